"""Authentication: from the headers of a request to a Principal.

A credential that was seen costs a hash and a look into the cache, which knows for how long it is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from math import inf
from secrets import token_bytes
from typing import Final, NoReturn

from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_runtime import tasks
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable

from vigie_identity.anonymous import AnonymousRule
from vigie_identity.api_keys import PREFIX, ApiKey, ApiKeys
from vigie_identity.credential_cache import CredentialCache, Found, Rejected, Requester
from vigie_identity.errors import BadCredential, NotFound, RefusalReason, TenantInactive, TwoCredentials
from vigie_identity.foreign import ForeignClaims
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.metrics import CacheName
from vigie_identity.permissions import of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_identity.session_store import SessionStore
from vigie_identity.tenants import Tenants
from vigie_identity.tokens import MAX_TOKEN_CHARS, Verified, Verifier
from vigie_identity.users import User, Users

MAX_KNOWN_BYTES: Final = 64 * 1024 * 1024
"""About what remembered principals may take together: 30,000 plain ones, fewer with thousands of sites."""
MAX_NOTES: Final = 64

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""


class Authenticator:
    """Authenticates requests by access token, API key or foreign token. For one event loop."""

    def __init__(
        self, *, verifier: Verifier, sessions: SessionStore, users: Users, keys: ApiKeys, tenants: Tenants,
        known_tenants: KnownTenants, foreign: ForeignClaims, anonymous: AnonymousRule, clock: Clock,
        on_stale: Callable[[], object],
    ) -> None:  # fmt: skip
        """`on_stale` is called for each cached result that could not be looked up again."""
        self._verifier = verifier
        self._sessions = sessions
        self._users = users
        self._keys = keys
        self._tenants = tenants
        self._foreign = foreign
        self._known_tenants = known_tenants
        self._nobody = anonymous.principal()
        self._nobody_without_tenant = anonymous.without_tenant().principal()
        self._clock = clock
        self._salt = token_bytes(16)  # credentials are remembered as hashes that mean nothing outside this process
        self._cache: CredentialCache[Principal, RefusalReason] = CredentialCache(
            CacheName.CREDENTIALS, clock, max_weight=MAX_KNOWN_BYTES, weigh=_bytes_of, on_stale=on_stale
        )
        self._notes: set[asyncio.Task[None]] = set()

    async def authenticate(self, headers: Headers, requester: Requester | None = None) -> Principal:
        """Return the caller. Without a credential that is the anonymous principal; a credential that is sent must be
        good. `requester` is checked before a credential is looked up that this process does not know.

        Raises BadCredential, TwoCredentials, TenantInactive; StoreUnavailable, IssuerUnavailable, Busy; what
        `requester` raises."""
        sent = sent_credential(headers)
        return await self.anonymous() if sent is None else await self.credential(sent, requester)

    async def anonymous(self) -> Principal:
        """Return the principal of callers without a credential; without the tenant of the setting while that is not
        active. Raises StoreUnavailable, Busy."""
        for tenant in self._nobody.assignments:
            try:
                _ = self._known_tenants.at_once(tenant) or await self._known_tenants.require(tenant)
            except (NotFound, TenantInactive):
                return self._nobody_without_tenant
        return self._nobody

    async def credential(self, sent: bytes, requester: Requester | None = None) -> Principal:
        """Return the owner of a token or key: for callers without headers. Raises as `authenticate`."""
        digest = blake2b(sent, digest_size=16, key=self._salt).digest()
        answer = self._cache.at_once(digest)
        if answer is None:
            answer = await self._cache.get(digest, lambda: self._judge(sent), requester)
        if not isinstance(answer, Rejected):
            return answer
        raise TenantInactive if answer.reason is RefusalReason.TENANT else BadCredential(answer.reason)

    async def close(self) -> None:
        """End what is under way."""
        await self._cache.close()
        await tasks.end(self._notes)

    async def _judge(self, sent: bytes) -> Found[Principal] | Rejected[RefusalReason]:
        try:
            principal, expires_s = await self._load(sent)
        except BadCredential as e:
            return Rejected(e.reason)
        except TenantInactive:
            return Rejected(RefusalReason.TENANT)
        return Found(principal, inf if expires_s is None else expires_s - self._clock.now_ms() / 1000)

    async def _load(self, sent: bytes) -> tuple[Principal, float | None]:
        """The principal, and when the credential expires, in seconds since the epoch."""
        try:
            text = sent.decode("ascii")
        except UnicodeDecodeError:
            raise BadCredential(RefusalReason.MALFORMED) from None
        if text.startswith(PREFIX):
            return await self._of_key(text)
        verified = await self._verifier.verify(text)
        return (await self._of_user(verified) if verified.own else await self._of_foreign(verified)), verified.expires

    async def _of_key(self, secret: str) -> tuple[Principal, float | None]:
        key = await self._keys.find(secret)
        if key is None:
            raise BadCredential(RefusalReason.KEY_UNKNOWN)
        if not key.good(datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)):
            raise BadCredential(RefusalReason.REVOKED if key.revoked else RefusalReason.EXPIRED)
        if not await self._tenants.active([key.tenant]):
            await self._refuse(key.tenant)
        self._note_use(key)
        principal = Principal(
            kind=PrincipalKind.KEY,
            id=key.visible,
            name=key.name,
            assignments=assigned(Assignment(key.tenant, of_scopes(key.scopes))),
            scopes=key.scopes,
            host=key.host,
        )
        return principal, None if key.expires is None else key.expires.timestamp()

    async def _of_user(self, verified: Verified) -> Principal:
        session, user = await self._session_of(verified)
        active = await self._tenants.active(one.tenant for one in user.assignments)
        if user.home != PLATFORM and user.home not in active:
            await self._refuse(user.home)  # also for further tenants: who the user is, is the home's word
        return Principal(
            kind=PrincipalKind.USER,
            id=user.id,
            name=user.name,
            role=user.role if user.home == PLATFORM else None,
            assignments=assigned(*(one for one in user.assignments if one.tenant in active)),
            session=session,
        )

    async def _refuse(self, tenant: TenantId) -> NoReturn:
        """Raises TenantInactive; BadCredential when the tenant is deleted, as if there had never been one."""
        try:
            await self._tenants.get(tenant)
        except NotFound:
            raise BadCredential(RefusalReason.OWNER) from None
        raise TenantInactive

    async def _session_of(self, verified: Verified) -> tuple[str, User]:
        session, owner = verified.claims.get("sid"), str(verified.claims["sub"])
        if not isinstance(session, str) or not await self._sessions.alive(session, owner):
            raise BadCredential(RefusalReason.REVOKED)
        user = await self._users.load(owner)
        if user is None or not user.active or user.epoch != verified.claims.get("epoch"):
            raise BadCredential(RefusalReason.OWNER)
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


def _bytes_of(principal: Principal) -> int:
    """About how much memory it takes; the same places in several tenants are kept once."""
    assignments = principal.assignments.values()
    places = {one.apps for one in assignments} | {one.sites for one in assignments}
    return 2_000 + 300 * len(assignments) + sum(100 + len(place) for group in places for place in group)


def sent_credential(headers: Headers) -> bytes | None:
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
            raise BadCredential(RefusalReason.SCHEME)
        if len(sent) > MAX_TOKEN_CHARS:
            raise BadCredential(RefusalReason.MALFORMED)
        found = sent
    return found
