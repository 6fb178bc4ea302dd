"""The errors of identity. Each knows its problem kind and status; its sentence is for the client.

No sentence tells whether another tenant, or a user that one may not see, exists.
"""

from __future__ import annotations

from enum import StrEnum
from math import ceil

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import RETRY_AFTER_S, ProblemError


class InvalidField(ProblemError):  # noqa: N818 - named after what is wrong
    """A field of the request has an invalid value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", field=field)


class RefusalReason(StrEnum):
    """Why a credential was refused: for logs and metrics. The client is told less."""

    TWO_CREDENTIALS = "two_credentials"
    SCHEME = "scheme"
    MALFORMED = "malformed"
    TYPE = "type"
    ISSUER = "issuer"
    ALGORITHM = "algorithm"
    KEY_UNKNOWN = "key_unknown"
    SIGNATURE = "signature"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    CLAIMS = "claims"
    REVOKED = "revoked"
    OWNER = "owner"
    TENANT = "tenant"
    PASSWORD = "password"  # noqa: S105 - a reason, not a password
    REUSED = "reused"


class Unauthenticated(ProblemError):  # noqa: N818
    """A credential was sent and is not good, or none was sent where one is needed."""

    kind = ProblemKind.UNAUTHENTICATED
    status = 401

    def __init__(self, detail: str, reason: RefusalReason | None = None) -> None:
        super().__init__(detail)
        self.reason = reason

    def headers(self) -> dict[str, str]:
        """RFC 6750: no error code when nothing was sent."""
        error = "" if self.reason is None else ', error="invalid_token"'
        return {"www-authenticate": f'Bearer realm="vigie"{error}'}


class CredentialMissing(Unauthenticated):
    """Anonymous callers may not do this."""

    def __init__(self) -> None:
        super().__init__(
            "this needs a credential: send `Authorization: Bearer` with a token or an API key, or `X-API-Key`"
        )


class BadCredential(Unauthenticated):
    """The token or key is not good. One sentence for all reasons: it must not help to guess."""

    reason: RefusalReason

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__("the credential is not valid: unknown, malformed, expired or revoked", reason)


class TwoCredentials(Unauthenticated):
    """The request has more than one credential."""

    def __init__(self) -> None:
        super().__init__(
            "send one credential: one Authorization header or one X-API-Key", RefusalReason.TWO_CREDENTIALS
        )


class WrongLogin(Unauthenticated):
    """The login failed: name, password, or an inactive account or tenant, which are not told apart."""

    def __init__(self, reason: RefusalReason = RefusalReason.PASSWORD) -> None:
        super().__init__("the name or the password is not right, or the account is not active", reason)


class Forbidden(ProblemError):  # noqa: N818
    """The caller is known and lacks the permission. Only ever said about a tenant that the caller belongs to."""

    kind = ProblemKind.FORBIDDEN
    status = 403

    def __init__(self, permission: str) -> None:
        super().__init__(f"this needs the permission {permission}")
        self.permission = permission


class HostForbidden(ProblemError):  # noqa: N818
    """The key of an agent is bound to another host."""

    kind = ProblemKind.FORBIDDEN
    status = 403

    def __init__(self, host: str) -> None:
        super().__init__(f"this key speaks for the host {host} only")
        self.host = host


class TenantInactive(ProblemError):  # noqa: N818
    """The caller's own tenant is switched off."""

    kind = ProblemKind.FORBIDDEN
    status = 403

    def __init__(self) -> None:
        super().__init__("the tenant is not active")


class TenantNamedTwice(ProblemError):  # noqa: N818
    """The header that names the tenant is there twice, or names several."""

    status = 400

    def __init__(self) -> None:
        super().__init__("X-Scope-OrgID: name one tenant, in one header")


class NotFound(ProblemError):  # noqa: N818
    """The resource does not exist, or belongs to another tenant: the same words for both."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self, what: str) -> None:
        super().__init__(f"there is no such {what}")
        self.what = what


class Conflict(ProblemError):  # noqa: N818
    """The resource exists already, or was changed meanwhile."""

    kind = ProblemKind.CONFLICT
    status = 409


class LimitReached(ProblemError):  # noqa: N818
    """The tenant has as many of these as it may have."""

    kind = ProblemKind.LIMIT
    status = 403

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"there are {limit} {what} already, more are not allowed")


class TooManyAttempts(ProblemError):  # noqa: N818
    """Too many failed logins for this account or from this address."""

    kind = ProblemKind.THROTTLED
    status = 429

    def __init__(self, wait_s: float) -> None:
        seconds = max(1, ceil(wait_s))
        super().__init__(f"too many failed logins; try again in {seconds} s", retry_after=seconds)


class IssuerUnavailable(ProblemError):  # noqa: N818
    """The keys of the tokens' issuer cannot be fetched, so nobody can say whether the token is good."""

    kind = ProblemKind.STORE_AWAY
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "the issuer of the token cannot be asked for its keys; try again in a few seconds",
            retry_after=RETRY_AFTER_S,
        )
