"""A repeated request is a no-op: keys that travel with the samples, and the stored answers that are replayed.

The keys alone make it exact: the aggregator drops samples whose key it has counted. The answers in Redis are comfort:
the same answer again, 422 for a key that is used twice, 409 while the first is still being worked on. So Redis may be
away, and no tenant has room for more than its newest answers; then requests just go on.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import uuid4

import msgspec
from vigie_contracts import limits
from vigie_publishing.errors import InProgressError
from vigie_publishing.keys import digest
from vigie_publishing.metric import Sample
from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import RedisAway, RedisBreaker, RedisUse
from vigie_web.connection import Header

from vigie_ingest.errors import InvalidRequestError, KeyReusedError

log = logging.get(__name__)

_VISIBLE: Final = re.compile(rb"[\x21-\x7e]{1,%d}\Z" % limits.MAX_IDEMPOTENCY_KEY_CHARS)
_LOCK_MS: Final = 10_000
"""A gateway that dies holding it keeps the key busy for this long. A request may take longer: then its repeat is
worked on beside it, which the aggregator notices."""
_MAX_STRANDED: Final = 1_000
MAX_SLOTS: Final = 20_000
"""Room for the answers of one tenant, as long as they live: when it is full, the oldest are forgotten."""
SLOT_BYTES: Final = 512
"""What one slot holds of an answer; a longer one takes several. Together about 10 MB for a tenant."""
MAX_ANSWER_SLOTS: Final = 16
"""A longer answer is not kept."""
_PLAIN_BYTES: Final = 1_024
"""A longer body is compressed: such answers are lists of refusals, which repeat themselves."""
_JSON: Final[tuple[Header, ...]] = ((b"content-type", b"application/json"),)
"""What all answers were before they were stored with their headers."""


def header_key(given: bytes) -> bytes:
    """The value of `Idempotency-Key`. Raises InvalidRequestError unless it is 1 to 255 visible ASCII characters."""
    if not _VISIBLE.match(given):
        raise InvalidRequestError(
            f"Idempotency-Key: must be 1 to {limits.MAX_IDEMPOTENCY_KEY_CHARS} visible ASCII characters without spaces"
        )
    return given


def request_key(tenant: str, key: bytes, route: str, body: bytes, *, stranger: bool = False) -> bytes:
    """The key that goes with every sample of a keyed request: 16 bytes. `body` is the decompressed one.

    Strangers have keys of their own: theirs of the same body may have been taken in part, or at another time, and must
    not make the sender's a repeat. Which credential a sender has is no part of it: a repeat may come with a new one."""
    return digest(b"vigie-request-s1" if stranger else b"vigie-request-v1", tenant.encode(), key, route.encode(), body)


def body_key(tenant: str, route: str, body: bytes) -> bytes:
    """The key of the samples of a request without a key, whose sender repeats its very bytes until they are taken.

    Only for bodies that say the time of every sample: others may say the same twice and mean it."""
    return digest(b"vigie-body-v1", tenant.encode(), route.encode(), body)


def event_key(tenant: str, source: str, id_: str, samples: Sequence[Sample]) -> bytes:
    """The key of the samples of one CloudEvent, in whatever request and form it comes: its source, its id, and what it
    counts. Each partition judges a key by itself, so one that stood for other samples too would be a repeat in some of
    them and new in others. When it counts is no part of the key: that may be the gateway's clock."""
    counted = msgspec.msgpack.encode([(one.name, one.kind, one.labels, one.value) for one in samples])
    return digest(b"vigie-event-v2", tenant.encode(), source.encode(), id_.encode(), counted)


def report_key(tenant: str, at_ms: int, body: bytes) -> bytes:
    """The 16 bytes that name a report of the past, from all that it says; `body` is JSON with sorted keys."""
    return digest(b"vigie-report-v1", tenant.encode(), str(at_ms).encode(), body)


class Lookup(StrEnum):
    """The outcome of looking for a stored answer."""

    NEW = "new"
    REPLAYED = "replayed"
    REUSED = "reused"
    IN_PROGRESS = "in_progress"
    UNAVAILABLE = "unavailable"


class _Stored(msgspec.Struct, array_like=True):
    """What lies in Redis under a key: a lock while `status` is 0, else the answer. No two have one token."""

    request: bytes
    token: bytes
    status: int = 0
    body: bytes = b""
    headers: tuple[Header, ...] = _JSON
    compressed: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """The stored answer."""

    status: int
    body: bytes
    headers: tuple[Header, ...]


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to answer a keyed request. `room`: where the names of the tenant's answers are, oldest first; `locked`
    is false when Redis is away."""

    name: str
    room: str
    lock: bytes
    request: bytes
    locked: bool


class IdempotencyStore:
    """Stored answers in Redis. Every call is short, and after a failure Redis is left alone for a while."""

    # Redis may go away while a request is worked on, and come back before its lock runs out: the retry must not find a
    # lock that nobody holds any more. So giving back what was locked is tried at any time, and remembered if it fails.
    _RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

    # Keeps an answer in so many slots of the tenant's room, and forgets the oldest answers that no longer fit. Slots of
    # a busy room outlive their answers: what has the name by then stays, unless it holds the token of the slot.
    # KEYS: answer, room. ARGV: value, seconds, slots, most slots of the tenant, token in the value (16 bytes).
    _KEEP: Final = """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
for _ = 1, ARGV[3] do redis.call('RPUSH', KEYS[2], ARGV[5] .. KEYS[1]) end
redis.call('EXPIRE', KEYS[2], ARGV[2])
for _ = 1, redis.call('LLEN', KEYS[2]) - ARGV[4] do
    local slot = redis.call('LPOP', KEYS[2])
    local name = slot:sub(17)
    local found = redis.call('GET', name)
    if found and found:find(slot:sub(1, 16), 1, true) then redis.call('DEL', name) end
end
return 1
"""

    def __init__(self, redis: object, clock: Clock, metrics: MetricSet | None = None) -> None:
        """`redis`: a `redis.asyncio.Redis` that gives bytes; `metrics` declares REDIS_AWAY."""
        self._redis: object = redis
        self._clock = clock
        self._breaker = RedisBreaker(clock, RedisUse.IDEMPOTENCY, metrics)
        self._stranded: dict[bytes, tuple[float, Replay | None]] = {}
        """Locks of finished requests that are still in Redis -> until when, and the answer if there is one."""

    async def claim(
        self, tenant: str, key: bytes, request: bytes, *, stranger: bool = False
    ) -> tuple[Lookup, Ticket | Replay]:
        """The stored answer, or a ticket to make one; strangers have keys and a room of their own in each tenant, so
        that they use up nobody's key. Raises KeyReusedError or InProgressError."""
        answers = f"vigie:{tenant}:idem:"
        name = answers + digest(b"vigie-answer-s1" if stranger else b"vigie-answer-v1", key).hex()
        room = answers + ("strangers" if stranger else "room")
        lock = msgspec.msgpack.encode(_Stored(request, uuid4().bytes))
        found = await self._ask(name, lock)
        if found is None:
            return Lookup.UNAVAILABLE, Ticket(name, room, lock, request, locked=False)
        if found == lock:
            return Lookup.NEW, Ticket(name, room, lock, request, locked=True)
        try:
            stored = msgspec.msgpack.decode(found, type=_Stored)
        except msgspec.MsgspecError:
            log.warning("a stored answer is unreadable and is ignored", name=name)
            return Lookup.UNAVAILABLE, Ticket(name, room, lock, request, locked=True)
        if stored.request != request:
            raise KeyReusedError
        if not stored.status:
            return self._take_over(Ticket(name, room, found, request, locked=True))
        body = zlib.decompress(stored.body) if stored.compressed else stored.body
        return Lookup.REPLAYED, Replay(stored.status, body, stored.headers)

    async def store(self, ticket: Ticket, answer: Replay) -> None:
        """Keep the answer for 24 h, if there is room. Not being able to is no failure of the request."""
        compressed = len(answer.body) > _PLAIN_BYTES
        body = zlib.compress(answer.body, 1) if compressed else answer.body
        token = uuid4().bytes
        value = msgspec.msgpack.encode(_Stored(ticket.request, token, answer.status, body, answer.headers, compressed))
        slots = -(-len(value) // SLOT_BYTES)
        if slots > MAX_ANSWER_SLOTS:
            await self.release(ticket)
            return
        arguments = (ticket.name, ticket.room, value, limits.IDEMPOTENCY_TTL_S, slots, MAX_SLOTS, token)
        stored = await self._try(lambda redis: redis.eval(self._KEEP, 2, *arguments), always=ticket.locked)
        if ticket.locked and stored is None:
            self._strand(ticket.lock, answer)

    async def release(self, ticket: Ticket) -> None:
        """Give the key back after a request that took nothing, or whose outcome is unknown."""
        if ticket.locked:
            released = await self._try(
                lambda redis: redis.eval(self._RELEASE, 1, ticket.name, ticket.lock), always=True
            )
            if released is None:
                self._strand(ticket.lock, None)

    def _strand(self, lock: bytes, answer: Replay | None) -> None:
        now = self._clock.monotonic()
        while self._stranded:  # the oldest stand first
            oldest = next(iter(self._stranded))
            if len(self._stranded) < _MAX_STRANDED and self._stranded[oldest][0] > now:
                break
            del self._stranded[oldest]
        self._stranded[lock] = (now + _LOCK_MS / 1000, answer)

    def _take_over(self, held: Ticket) -> tuple[Lookup, Ticket | Replay]:
        """What a lock in Redis means: nothing if it is stranded."""
        if held.lock not in self._stranded:
            raise InProgressError("a request with this Idempotency-Key")
        if (answer := self._stranded[held.lock][1]) is not None:
            return Lookup.REPLAYED, answer
        del self._stranded[held.lock]
        return Lookup.NEW, held

    async def _ask(self, name: str, lock: bytes) -> bytes | None:
        def commands(redis):  # redis-py's own types are wider than what comes back
            pipe = redis.pipeline(transaction=False)
            pipe.set(name, lock, nx=True, px=_LOCK_MS)
            pipe.get(name)
            return pipe.execute()

        replies = await self._try(commands)
        return replies[1] if replies else None

    async def _try(self, call, always=False):
        try:
            return await self._breaker.call(lambda: call(self._redis), always=always)
        except RedisAway:
            return None
