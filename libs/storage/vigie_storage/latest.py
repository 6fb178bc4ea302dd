"""Reading latest values: from Redis, and from MongoDB what Redis does not know."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis
from vigie_contracts.latest import Latest, field, hash_key, unpack
from vigie_runtime import logging
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import RedisAway, RedisBreaker, RedisUse

from vigie_storage.reads import MAX_TIME_MS, reading

log = logging.get(__name__)

LATEST: Final = "latest"
_BATCH: Final = 1_000

Chunks: TypeAlias = dict[tuple[int, int], Latest]
"""(partition, chunk) -> its latest values."""


class LatestRepository:
    """Both places are written by the aggregator; Redis is the fast one, MongoDB the one that never forgets."""

    def __init__(self, db: Database, redis: Redis, clock: Clock, metrics: MetricSet | None = None) -> None:
        """`metrics` declares REDIS_AWAY."""
        self._latest = db[LATEST]
        self._redis = redis
        # As long as the client waits: the values of a large tenant take their time.
        self._breaker = RedisBreaker(clock, RedisUse.LATEST_READS, metrics, wait_s=None)

    async def everything(self, tenant: str, known: Iterable[tuple[int, int]]) -> Chunks:
        """The latest values of all series of the tenant; `known` are the chunks that it has series in."""
        stored: dict[Any, Any] = {}
        with suppress(RedisAway):
            # Small compared with the catalogue that names them: 33 bytes a series.
            stored = await self._breaker.call(lambda: self._redis.hgetall(hash_key(tenant)))  # bytes: so is the client
        found: Chunks = {}
        for name, data in stored.items():
            partition, _, chunk = name.decode().partition(":")
            self._add(found, (int(partition), int(chunk)), data)
        return await self._completed(tenant, found, known)

    async def some(self, tenant: str, chunks: Iterable[tuple[int, int]]) -> Chunks:
        """The latest values of these chunks; chunks without any are absent."""
        wanted = list(chunks)
        if not wanted:
            return {}
        found: Chunks = {}
        names = [field(partition, chunk) for partition, chunk in wanted]
        stored: list[Any] = []
        with suppress(RedisAway):
            stored = await self._breaker.call(lambda: self._redis.hmget(hash_key(tenant), names))
        for place, data in zip(wanted, stored, strict=False):
            if data is not None:
                self._add(found, place, data)
        return await self._completed(tenant, found, wanted)

    async def _completed(self, tenant: str, found: Chunks, wanted: Iterable[tuple[int, int]]) -> Chunks:
        """With the chunks that Redis does not have: it forgot, and each partition is rebuilt in its own time."""
        missing = [{"t": tenant, "p": partition, "c": chunk} for partition, chunk in set(wanted) - found.keys()]
        for start in range(0, len(missing), _BATCH):
            found |= await self._find({"_id": {"$in": missing[start : start + _BATCH]}})
        return found

    async def _find(self, query: dict[str, object]) -> Chunks:
        found: Chunks = {}
        with reading():
            async for document in self._latest.find(query, batch_size=_BATCH, max_time_ms=MAX_TIME_MS):
                self._add(found, (int(document["_id"]["p"]), int(document["_id"]["c"])), document["data"])
        return found

    def _add(self, found: Chunks, place: tuple[int, int], data: bytes) -> None:
        try:
            found[place] = unpack(data)
        except ValueError as e:
            log.error("a chunk of latest values cannot be read", partition=place[0], chunk=place[1], reason=str(e))
