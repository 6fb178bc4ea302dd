"""Login sessions: stored in MongoDB, cached in Redis, which may lose everything.

What is in Redis is either whose living session it is, for ALIVE_S at most, or "ended", for as long as an access token
lives. What is not there is asked of MongoDB. So a Redis that is away, empty, or full lets nobody in who should be out.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from redis.asyncio import Redis
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import RedisAway, RedisBreaker, RedisUse
from vigie_storage import collections
from vigie_storage.mongo import Session as Transaction
from vigie_storage.mongo import bounded, exactly
from vigie_storage.tenancy import TenantCollection, Why

ALIVE_S: Final = 30
"""A session that ended while Redis was away may look alive for so long after Redis came back."""
MAX_PER_USER: Final = 50
_ENDED = b"0"


@dataclass(frozen=True, slots=True)
class StoredSession:
    """`until` moves on with every refresh, up to `expires`."""

    id: str
    home: TenantId
    user: str
    epoch: int
    generation: int
    started: datetime
    expires: datetime
    until: datetime
    revoked: datetime | None

    def alive(self, now: datetime) -> bool:
        return self.revoked is None and now < self.until


class SessionStore:
    """The collection `sessions`, and what Redis knows of it."""

    def __init__(
        self, db: Database, redis: Redis, clock: Clock, access_token_s: float, metrics: MetricSet | None = None
    ) -> None:
        """`access_token_s`: how long an access token is good, skew included. `metrics` declares IDENTITY_METRICS."""
        self._store = TenantCollection(db, collections.SESSIONS)
        self._redis = redis
        self._breaker = RedisBreaker(clock, RedisUse.SESSIONS, metrics)
        self._clock = clock
        self._ended_ms = int(access_token_s * 1000) + 60_000

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded():
            await self._store.ensure()

    async def start(self, session: StoredSession, transaction: Transaction, about: Mapping[str, str]) -> str | None:
        """Store it; gives the id of the user's oldest session when that had to make room."""
        mine = self._store.of(session.home)
        live = {"user": session.user, "revoked": None}
        oldest: Document | None = None
        if await mine.count(live, MAX_PER_USER, transaction) >= MAX_PER_USER:
            oldest = next(iter(await mine.first(live, "_id", 1, session=transaction)), None)
        if oldest is not None:
            await mine.change({"_id": oldest["_id"]}, {"$set": {"revoked": session.started}}, transaction)
        await mine.insert(
            {
                "_id": session.id,
                "user": session.user,
                "epoch": session.epoch,
                "generation": session.generation,
                "started": session.started,
                "expires": session.expires,
                "until": session.until,
                "revoked": None,
                **about,
            },
            transaction,
        )
        return None if oldest is None else str(oldest["_id"])

    async def load(self, session: str) -> StoredSession | None:
        """Return the session with this id. Raises StoreUnavailable."""
        with bounded():
            document = await self._store.across(Why.AUTHENTICATE).find_one({"_id": exactly(session)})
        return None if document is None else _session(document)

    async def rotate(self, session: StoredSession, generation: int, until: datetime) -> bool:
        """Make `generation + 1` the one that may refresh; False when another request was faster. StoreUnavailable."""
        query = {"_id": session.id, "generation": generation, "revoked": None}
        update = {"$set": {"generation": generation + 1, "until": until}}
        with bounded():
            return await self._store.of(session.home).change(query, update) is not None

    async def revoke(self, session: StoredSession, transaction: Transaction) -> bool:
        """End it in MongoDB; False when it had ended already. `forget` it afterwards."""
        query = {"_id": session.id, "revoked": None}
        update = {"$set": {"revoked": self.now()}}
        return await self._store.of(session.home).change(query, update, transaction) is not None

    async def forget(self, session: str) -> None:
        """Tell Redis that the session ended; when it is away it finds out within ALIVE_S of its coming back."""
        with suppress(RedisAway):
            await self._breaker.call(lambda: self._redis.set(_key(session), _ENDED, px=self._ended_ms), always=True)

    async def alive(self, session: str, user: str) -> bool:
        """Whether tokens of this session, which is the user's, are good now. Raises StoreUnavailable when neither store
        can say."""
        known = await self._known(session)
        if known is not None:
            return known == user.encode()
        stored = await self.load(session)
        if stored is None or stored.user != user or not stored.alive(self.now()):
            return False
        with suppress(RedisAway):
            # nx: a logout that comes between the look and this must win.
            await self._breaker.call(lambda: self._redis.set(_key(session), user, ex=ALIVE_S, nx=True))
        return True

    async def _known(self, session: str) -> bytes | None:
        """The user, or _ENDED; None when Redis does not know."""
        answer: Any = None
        with suppress(RedisAway):
            answer = await self._breaker.call(lambda: self._redis.get(_key(session)))
        return answer

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)


def _key(session: str) -> str:
    return f"vigie:_identity:session:{session}"


def _session(document: Document) -> StoredSession:
    return StoredSession(
        id=document["_id"],
        home=document["tenant"],
        user=document["user"],
        epoch=document["epoch"],
        generation=document["generation"],
        started=document["started"],
        expires=document["expires"],
        until=document["until"],
        revoked=document["revoked"],
    )
