"""Bearer tokens (JWT): the trusted issuers, verification, and our own access tokens.

The issuer that a token names decides which algorithms and which key may have signed it. So a token cannot choose the
key's use: HS256 under a public key, `none`, and another issuer's key are refused before anything is computed.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jwt
import msgspec
from jwt.exceptions import (
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)
from jwt.types import Options
from vigie_runtime.clock import Clock

from vigie_identity.errors import BadCredential, RefusalReason
from vigie_identity.names import new_id

MAX_TOKEN_CHARS: Final = 8_192
OWN_TYPE: Final = "at+jwt"
HS256: Final = "HS256"
LONGEST_S: Final = 86_400.0
"""No token is believed for longer after it was issued, whatever it says: nobody can take one back."""
_OPTIONS: Final[Options] = {
    "require": ["exp", "iat", "sub", "iss", "aud"],
    "verify_exp": False,  # the times are judged by our clock
    "verify_nbf": False,
    "verify_iat": False,
}
_WRONG: Final[tuple[tuple[type[PyJWTError], RefusalReason], ...]] = (
    (InvalidSignatureError, RefusalReason.SIGNATURE),
    (InvalidAudienceError, RefusalReason.AUDIENCE),
    (InvalidIssuerError, RefusalReason.ISSUER),
    (MissingRequiredClaimError, RefusalReason.CLAIMS),
)


class KeySource(Protocol):
    """Returns the verification key of an issuer. `kid` is what the token says of it; it was not verified."""

    async def key(self, kid: str | None, algorithm: str) -> Any: ...


@dataclass(frozen=True, slots=True, repr=False)
class SharedSecret:
    """One secret for all tokens of an issuer."""

    secret: bytes

    async def key(self, kid: str | None, algorithm: str) -> Any:
        return self.secret


@dataclass(frozen=True, slots=True)
class Issuer:
    """A trusted issuer of tokens. `own`: tokens that we made, which stand for a session."""

    name: str
    algorithms: frozenset[str]
    keys: KeySource
    own: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """The claims of a token that is good, and until when (seconds since the epoch, without skew)."""

    own: bool
    issuer: str
    claims: Mapping[str, Any]
    expires: float


class _UnverifiedClaims(msgspec.Struct):
    iss: str | None = None


class Verifier:
    """Verifies tokens. The time is the clock's."""

    def __init__(self, issuers: Iterable[Issuer], audience: str, skew_s: float, clock: Clock) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._audience = audience
        self._skew_s = skew_s
        self._clock = clock

    async def verify(self, token: str) -> Verified:
        """Verify a token. Raises BadCredential with the reason; IssuerUnavailable when the keys cannot be had."""
        header, issuer = self._announced(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
            raise BadCredential(RefusalReason.ALGORITHM)
        if not _is_access_token(header.get("typ"), own=issuer.own):
            raise BadCredential(RefusalReason.TYPE)
        key = await issuer.keys.key(kid if isinstance(kid, str) else None, algorithm)
        claims = self._claims(token, key, algorithm, issuer.name)
        return Verified(issuer.own, issuer.name, claims, self._good_until(claims))

    def _announced(self, token: str) -> tuple[Mapping[str, Any], Issuer]:
        """What the token says of itself: nothing of it is believed yet."""
        if len(token) > MAX_TOKEN_CHARS or token.count(".") != 2:
            raise BadCredential(RefusalReason.MALFORMED)
        try:
            header = jwt.get_unverified_header(token)
            payload = token.split(".")[1]
            named = msgspec.json.decode(
                base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True),
                type=_UnverifiedClaims,
            )
        except (PyJWTError, msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
            raise BadCredential(RefusalReason.MALFORMED) from None
        issuer = self._issuers.get(named.iss or "")
        if issuer is None:
            raise BadCredential(RefusalReason.ISSUER)
        return header, issuer

    def _claims(self, token: str, key: Any, algorithm: str, issuer: str) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=issuer,
                options=_OPTIONS,
            )
        except PyJWTError as e:
            reason = next((reason for kind, reason in _WRONG if isinstance(e, kind)), RefusalReason.CLAIMS)
            raise BadCredential(reason) from None
        except (ValueError, TypeError, RecursionError):  # odd JSON that the signer signed all the same
            raise BadCredential(RefusalReason.CLAIMS) from None

    def _good_until(self, claims: Mapping[str, Any]) -> float:
        now = self._clock.now_ms() / 1000
        issued = _time(claims["iat"])
        expires = min(_time(claims["exp"]), issued + LONGEST_S)
        not_before = _time(claims["nbf"]) if "nbf" in claims else issued
        if now >= expires + self._skew_s:
            raise BadCredential(RefusalReason.EXPIRED)
        if now < max(not_before, issued) - self._skew_s:
            raise BadCredential(RefusalReason.NOT_YET)
        return expires


@dataclass(frozen=True, slots=True)
class AccessToken:
    token: str
    expires_in_s: int

    def __repr__(self) -> str:
        return "AccessToken(***)"


class Signer:
    """Makes our own access tokens. They say who and which session; what one may do is looked up."""

    def __init__(self, secret: bytes, issuer: str, audience: str, life_s: int, clock: Clock) -> None:
        self._secret = secret
        self._issuer = issuer
        self._audience = audience
        self._life_s = life_s
        self._clock = clock

    def sign(self, user: str, session: str, epoch: int) -> AccessToken:
        """A token for this user in this session; `epoch` is the user's."""
        now = self._clock.now_ms() // 1000
        claims = {
            "iss": self._issuer, "aud": self._audience, "sub": user, "sid": session, "epoch": epoch,
            "iat": now, "nbf": now, "exp": now + self._life_s, "jti": new_id(),
        }  # fmt: skip
        return AccessToken(jwt.encode(claims, self._secret, HS256, {"typ": OWN_TYPE}), self._life_s)


def _is_access_token(typ: object, *, own: bool) -> bool:
    """Other issuers need not say the type, but what says that it is another one (`logout+jwt`) is none."""
    if own:
        return typ == OWN_TYPE
    return typ is None or (isinstance(typ, str) and typ.lower().removeprefix("application/") in {"jwt", OWN_TYPE})


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise BadCredential(RefusalReason.CLAIMS)
    return float(min(value, 1 << 53))  # of an int that no float can be, the smaller first
