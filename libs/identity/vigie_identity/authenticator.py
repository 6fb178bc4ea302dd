"""From the headers of a request to a Principal: what every service asks first, for every request.

A credential that was seen costs a hash and a look-up. After TTL_S it is looked up again; when the stores are slow or
away meanwhile, who was known stays known for a while, because senders must be served then too. Others get 503.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

from vigie_runtime.clock import Clock

from vigie_identity.api_keys import PREFIX, ApiKey, ApiKeys
from vigie_identity.errors import (
    BadCredential,
    Busy,
    IdentityError,
    IssuerUnavailable,
    Refusal,
    StoreUnavailable,
    TenantInactive,
    TwoCredentials,
)
from vigie_identity.foreign import ForeignClaims
from vigie_identity.names import PLATFORM
from vigie_identity.permissions import of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_identity.session_store import SessionStore
from vigie_identity.tenants import Tenants
from vigie_identity.tokens import MAX_TOKEN_CHARS, Verified, Verifier
from vigie_identity.users import User, Users

TTL_S: Final = 5.0
"""A revoked key, an ended session, a changed role: in force after so long."""
STALE_S: Final = 900.0
"""How long who was known stays known while the stores cannot be asked."""
PATIENCE_S: Final = 0.25
"""How long a request of somebody known waits for the stores."""
MAX_KNOWN: Final = 20_000
MAX_REFUSED: Final = 5_000
MAX_LOOKUPS: Final = 128
MAX_NOTES: Final = 64

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""


@dataclass(slots=True)
class _Known:
    """Times are the clock's monotonic ones: looked up again after `fresh`, not believed any more after `dead`."""

    principal: Principal
    fresh: float
    dead: float


class Authenticator:
    """All methods are for one event loop."""

    def __init__(
        self, *, verifier: Verifier, sessions: SessionStore, users: Users, keys: ApiKeys, tenants: Tenants,
        foreign: ForeignClaims, anonymous: Principal, clock: Clock,
    ) -> None:  # fmt: skip
        self._verifier = verifier
        self._sessions = sessions
        self._users = users
        self._keys = keys
        self._tenants = tenants
        self._foreign = foreign
        self._anonymous = anonymous
        self._clock = clock
        self._salt = token_bytes(16)  # credentials are remembered as hashes that mean nothing outside this process
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._refused: OrderedDict[bytes, tuple[IdentityError, float]] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[Principal]] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def authenticate(self, headers: Headers) -> Principal:
        """Who asks. Without a credential that is the anonymous principal; a credential that is sent must be good.

        Raises BadCredential, TwoCredentials, TenantInactive; StoreUnavailable, IssuerUnavailable, Busy."""
        sent = _sent(headers)
        return self._anonymous if sent is None else await self.credential(sent)

    async def credential(self, sent: bytes) -> Principal:
        """Who has this token or key: for those who do not come with headers. Raises as `authenticate`."""
        digest = blake2b(sent, digest_size=16, key=self._salt).digest()
        known = self._known.get(digest)
        if known is None:
            self._raise_if_refused(digest)
            return await asyncio.shield(self._look_up(digest, sent))
        now = self._clock.monotonic()
        if now < known.fresh:
            self._known.move_to_end(digest)
            return known.principal
        return await self._again(digest, sent, known, now)

    async def close(self) -> None:
        """Wait for what is under way; it is bounded."""
        pending = [*self._running.values(), *self._notes]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)

    async def _again(self, digest: bytes, sent: bytes, known: _Known, now: float) -> Principal:
        if now >= known.dead:
            del self._known[digest]
            return await asyncio.shield(self._look_up(digest, sent))
        try:
            looking = self._look_up(digest, sent)
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.shield(looking)
        except (TimeoutError, StoreUnavailable, IssuerUnavailable, Busy):
            known.fresh = min(self._clock.monotonic() + TTL_S, known.dead)
            return known.principal

    def _look_up(self, digest: bytes, sent: bytes) -> asyncio.Task[Principal]:
        """One look-up for all who ask with the same credential at the same time."""
        task = self._running.get(digest)
        if task is None:
            if len(self._running) >= MAX_LOOKUPS:
                raise Busy("credentials to look up")
            task = asyncio.create_task(self._learn(digest, sent), name="authenticate")
            self._running[digest] = task
            task.add_done_callback(lambda done: self._done(digest, done))
        return task

    def _done(self, digest: bytes, task: asyncio.Task[Principal]) -> None:
        self._running.pop(digest, None)
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported when nobody waits any more

    async def _learn(self, digest: bytes, sent: bytes) -> Principal:
        began = self._clock.monotonic()
        try:
            principal, expires_s = await self._load(sent)
        except (BadCredential, TenantInactive) as e:
            self._known.pop(digest, None)
            self._refused[digest] = (e, began + TTL_S)
            while len(self._refused) > MAX_REFUSED:
                self._refused.popitem(last=False)
            raise
        left = float("inf") if expires_s is None else max(0.0, expires_s - self._clock.now_ms() / 1000)
        self._known[digest] = _Known(principal, began + min(TTL_S, left), began + min(STALE_S, left))
        self._known.move_to_end(digest)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return principal

    def _raise_if_refused(self, digest: bytes) -> None:
        refused = self._refused.get(digest)
        if refused is None:
            return
        error, until = refused
        if self._clock.monotonic() < until:
            raise BadCredential(error.reason) if isinstance(error, BadCredential) and error.reason else TenantInactive
        del self._refused[digest]

    async def _load(self, sent: bytes) -> tuple[Principal, float | None]:
        """The principal, and when the credential expires, in seconds since the epoch."""
        try:
            text = sent.decode("ascii")
        except UnicodeDecodeError:
            raise BadCredential(Refusal.MALFORMED) from None
        if text.startswith(PREFIX):
            return await self._of_key(text)
        verified = await self._verifier.verify(text)
        return (await self._of_user(verified) if verified.own else await self._of_foreign(verified)), verified.expires

    async def _of_key(self, secret: str) -> tuple[Principal, float | None]:
        key = await self._keys.find(secret)
        if key is None:
            raise BadCredential(Refusal.KEY_UNKNOWN)
        if not key.good(datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)):
            raise BadCredential(Refusal.REVOKED if key.revoked else Refusal.EXPIRED)
        if not await self._tenants.active([key.tenant]):
            raise TenantInactive
        self._note_use(key)
        principal = Principal(
            kind=PrincipalKind.KEY,
            id=key.visible,
            name=key.name,
            assignments=assigned(Assignment(key.tenant, of_scopes(key.scopes))),
            scopes=key.scopes,
        )
        return principal, None if key.expires is None else key.expires.timestamp()

    async def _of_user(self, verified: Verified) -> Principal:
        session, user = await self._session_of(verified)
        active = await self._tenants.active(one.tenant for one in user.assignments)
        if user.home != PLATFORM and not active:
            raise TenantInactive
        return Principal(
            kind=PrincipalKind.USER,
            id=user.id,
            name=user.name,
            role=user.role if user.home == PLATFORM else None,
            assignments=assigned(*(one for one in user.assignments if one.tenant in active)),
            session=session,
        )

    async def _session_of(self, verified: Verified) -> tuple[str, User]:
        session = verified.claims.get("sid")
        if not isinstance(session, str) or not await self._sessions.alive(session):
            raise BadCredential(Refusal.REVOKED)
        user = await self._users.load(str(verified.claims["sub"]))
        if user is None or not user.active or user.epoch != verified.claims.get("epoch"):
            raise BadCredential(Refusal.OWNER)
        return session, user

    async def _of_foreign(self, verified: Verified) -> Principal:
        active = await self._tenants.active(self._foreign.tenants_of(verified))
        return self._foreign.principal(verified, active)

    def _note_use(self, key: ApiKey) -> None:
        """Beside the request, which does not depend on it."""
        if len(self._notes) < MAX_NOTES:
            task = asyncio.create_task(self._note(key), name="key used")
            self._notes.add(task)
            task.add_done_callback(self._notes.discard)

    async def _note(self, key: ApiKey) -> None:
        with suppress(StoreUnavailable):
            await self._keys.used(key)


def _sent(headers: Headers) -> bytes | None:
    """The one credential of the request. Raises TwoCredentials, BadCredential."""
    found: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, sent = value.strip().partition(b" ")
            sent = sent.strip() if scheme.lower() == b"bearer" else b""
        elif name == b"x-api-key":
            sent = value.strip()
            if not sent.startswith(PREFIX.encode()):
                sent = b""
        else:
            continue
        if found is not None:
            raise TwoCredentials
        if not sent:
            raise BadCredential(Refusal.SCHEME)
        if len(sent) > MAX_TOKEN_CHARS:
            raise BadCredential(Refusal.MALFORMED)
        found = sent
    return found
