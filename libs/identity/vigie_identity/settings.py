"""The settings of identity. A service's settings inherit from these, which inherit from what every service has."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from vigie_runtime.settings import Settings

from vigie_identity.anonymous import HELP, AnonymousRule
from vigie_identity.audit import KEPT
from vigie_identity.bootstrap import NAME
from vigie_identity.errors import InvalidField
from vigie_identity.passwords import new_password

MIN_SECRET_BYTES: Final = 32
ASYMMETRIC: Final = frozenset({"RS256", "ES256"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class IdentitySettings(Settings):
    """Read from `VIGIE_<FIELD>`; secrets also from the file that `VIGIE_<FIELD>_FILE` names."""

    anonymous: str = Field(default="telemetry", description=f"what callers without a credential may do: {HELP}")
    admin_password: SecretStr | None = Field(
        default=None,
        description="password of the first administrator; unset: made up, shown once by `vigie up` on a "
        "terminal and by nobody else: `vigie admin reset-password` makes another",
    )

    jwt_secret: SecretStr | None = Field(
        default=None,
        description="what our own access tokens are signed with, 32 bytes or more; unset: nobody logs in",
    )
    jwt_issuer: str = Field(default="vigie", min_length=1, description="`iss` of our own access tokens")
    jwt_audience: str = Field(default="vigie", min_length=1, description="`aud` that every token must name")
    jwt_shared_secret: SecretStr | None = Field(
        default=None, description="what another system signs its HS256 tokens with, 32 bytes or more"
    )
    jwt_shared_issuer: str | None = Field(default=None, min_length=1, description="`iss` of those tokens")
    jwt_jwks_url: str | None = Field(default=None, description="where the keys of RS256 and ES256 tokens are: https")
    jwt_jwks_issuer: str | None = Field(default=None, min_length=1, description="`iss` of those tokens")
    jwt_jwks_algorithms: str = Field(default="RS256,ES256", description="algorithms of those tokens, comma-separated")
    jwt_roles_claim: str = Field(default="roles", min_length=1, description="claim of foreign tokens with the roles")
    jwt_tenants_claim: str = Field(default="tenants", min_length=1, description="claim of foreign tokens with tenants")
    jwt_foreign_platform_roles: bool = Field(
        default=False, description="whether tokens of other issuers may carry SUPERADMIN and SUPPORT"
    )
    jwt_skew_s: float = Field(default=30.0, ge=0, le=300, description="how far clocks may differ")

    access_token_s: int = Field(default=600, ge=60, le=3_600, description="life of an access token")
    session_s: int = Field(default=30 * 86_400, ge=3_600, le=366 * 86_400, description="longest life of a session")
    session_idle_s: int = Field(
        default=7 * 86_400, ge=600, le=366 * 86_400, description="a session that is not refreshed for so long ends"
    )

    audit_retention_days: int = Field(
        default=KEPT.days, ge=1, le=3_660, description="days for which what is written to the audit log is kept"
    )

    @property
    def anonymous_rule(self) -> AnonymousRule:
        return AnonymousRule.parse(self.anonymous)

    @property
    def jwks_algorithms(self) -> frozenset[str]:
        return frozenset(word.strip() for word in self.jwt_jwks_algorithms.split(","))

    @property
    def session_life(self) -> timedelta:
        return timedelta(seconds=self.session_s)

    @property
    def session_idle(self) -> timedelta:
        return timedelta(seconds=self.session_idle_s)

    @field_validator("anonymous")
    @classmethod
    def _readable_rule(cls, text: str) -> str:
        try:
            return str(AnonymousRule.parse(text))
        except InvalidField as e:
            raise ValueError(e.detail) from None

    @field_validator("jwt_secret", "jwt_shared_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"has fewer than {MIN_SECRET_BYTES} bytes; `openssl rand -base64 48` makes a good one")
        return secret

    @field_validator("admin_password")
    @classmethod
    def _good_password(cls, password: SecretStr | None) -> SecretStr | None:
        if password is None or not password.get_secret_value():  # an empty file is how compose says that there is none
            return None
        try:
            new_password(password.get_secret_value(), NAME)
        except InvalidField as e:
            raise ValueError(e.detail) from None
        return password

    @field_validator("jwt_jwks_url")
    @classmethod
    def _trustworthy(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if not parts.hostname or not (
                parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
            ):
                raise ValueError("must be an https URL: whoever can change the keys on their way can forge every token")
        return url

    @field_validator("jwt_jwks_algorithms")
    @classmethod
    def _asymmetric(cls, text: str) -> str:
        if not {word.strip() for word in text.split(",")} <= ASYMMETRIC:
            raise ValueError(f"must be of {', '.join(sorted(ASYMMETRIC))}")
        return text

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for one, other, names in (
            (self.jwt_shared_secret, self.jwt_shared_issuer, "VIGIE_JWT_SHARED_SECRET and VIGIE_JWT_SHARED_ISSUER"),
            (self.jwt_jwks_url, self.jwt_jwks_issuer, "VIGIE_JWT_JWKS_URL and VIGIE_JWT_JWKS_ISSUER"),
        ):
            if (one is None) != (other is None):
                raise ValueError(f"{names} belong together: set both or none")
        issuers = [self.jwt_issuer, self.jwt_shared_issuer, self.jwt_jwks_issuer]
        named = [issuer for issuer in issuers if issuer is not None]
        if len(named) != len(set(named)):
            raise ValueError("every issuer of tokens needs a name of its own: it decides which key must have signed")
        if self.jwt_secret is not None and self.jwt_secret == self.jwt_shared_secret:
            raise ValueError(
                "VIGIE_JWT_SECRET and VIGIE_JWT_SHARED_SECRET must differ: who has one could forge the other"
            )
        if self.session_idle_s > self.session_s:
            raise ValueError("VIGIE_SESSION_IDLE_S must not be longer than VIGIE_SESSION_S")
        return self
