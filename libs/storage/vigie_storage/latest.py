"""Latest values: their documents, and reading them: from Redis, and from MongoDB what Redis does not know.

latest                 {_id: {t: tenant, p: partition, c: chunk}, p: partition, data: packed columns}
vigie:{tenant}:latest  in Redis: the same bytes by `vigie_contracts.latest.field`

They are written by `partitions.store`, with the offsets they hold; Redis by the aggregator's view of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from redis.asyncio import Redis
from vigie_contracts.latest import Buckets, Latest, field, hash_key, pack, unpack
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import RedisAway, RedisBreaker, RedisUse

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, Session, TooSlow, batches
from vigie_storage.tenancy import TenantCollection, Why

log = logging.get(__name__)

_BATCH: Final = 1_000
_CACHED_BATCH: Final = 32
"""Chunks in one question to Redis: each is 8 kB, of histograms with many buckets up to a megabyte."""

Chunks: TypeAlias = dict[tuple[int, int], Latest]
"""(partition, chunk) -> its latest values."""


class LatestChunk(NamedTuple):
    """The latest values of a chunk, packed (`vigie_contracts.latest`)."""

    tenant: str
    chunk: int
    data: bytes


def chunk_id(tenant: str, partition: int, chunk: int) -> Document:
    """The `_id` of the latest values of a chunk; only its tenant's."""
    return {"t": tenant, "p": partition, "c": chunk}


def document(partition: int, chunk: LatestChunk) -> Document:
    """As it is stored."""
    return {"_id": chunk_id(chunk.tenant, partition, chunk.chunk), "p": partition, "data": chunk.data}


def of_partition(partition: int) -> Document:
    """The query for all chunks of a partition."""
    return {"p": partition}


def parse(document: Mapping[str, Any]) -> tuple[int, LatestChunk]:
    """(partition, chunk) of what `document` made."""
    where = document["_id"]
    return where["p"], LatestChunk(where["t"], where["c"], document["data"])


def narrowed(data: bytes, slots: Collection[int]) -> bytes | None:
    """Packed latest values without those of other slots; None when nothing is left."""
    known = unpack(data)
    wanted = list(slots)
    kept, buckets = np.isin(known.slots, wanted), np.isin(known.buckets.slots, wanted)
    if not kept.any():
        return None
    of = known.buckets
    left = Latest(
        known.slots[kept], known.timestamps[kept], known.values[kept], known.sums[kept], known.counts[kept],
        Buckets(of.slots[buckets], of.bounds[buckets], of.counts[buckets]),
    )  # fmt: skip
    return pack(left, [0, int(kept.sum())], [0, int(buckets.sum())])[0]


class LatestReader:
    """Reads latest values from Redis, and from MongoDB those that Redis lacks. The aggregator writes both."""

    def __init__(self, db: Database, redis: Redis, clock: Clock, metrics: MetricSet | None = None) -> None:
        """`metrics` declares REDIS_AWAY."""
        self._latest = TenantCollection(db, collections.LATEST).across(Why.IDS)
        self._redis = redis
        # As long as the client waits. A large tenant's values come by parts: only Redis itself can be slow at one.
        self._breaker = RedisBreaker(clock, RedisUse.LATEST_READS, metrics, wait_s=None)

    async def some(self, tenant: TenantId, chunks: Iterable[tuple[int, int]]) -> Chunks:
        """The latest values of these chunks; chunks without any are absent."""
        wanted = list(chunks)
        found: Chunks = {}
        await self._add_cached(tenant, wanted, found)
        return await self._completed(tenant, found, wanted)

    async def stored(
        self, tenant: TenantId, chunks: Iterable[tuple[int, int]], session: Session | None = None
    ) -> Chunks:
        """The same from MongoDB: in a session of snapshot reads of the same commits as the windows read in it."""
        return await self._completed(tenant, {}, chunks, session)

    async def at_hand(self, tenant: TenantId, chunks: Iterable[tuple[int, int]], wait_s: float) -> tuple[Chunks, bool]:
        """The same within `wait_s`, half of it for Redis, and whether it is all: else chunks are missing that Redis
        lacks, because MongoDB does not answer. Raises StoreUnavailable when there is nothing at all."""
        wanted = list(chunks)
        found: Chunks = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s / 2):
                await self._add_cached(tenant, wanted, found)
        try:
            async with asyncio.timeout(wait_s / 2):
                return await self._completed(tenant, found, wanted), True
        except (StoreUnavailable, TooSlow, TimeoutError) as e:
            if not found:
                raise StoreUnavailable from e
            return found, False

    async def _add_cached(self, tenant: TenantId, wanted: list[tuple[int, int]], found: Chunks) -> None:
        """Add what Redis has, until it does not answer."""
        with suppress(RedisAway):
            for start in range(0, len(wanted), _CACHED_BATCH):
                part = wanted[start : start + _CACHED_BATCH]
                names = [field(partition, chunk) for partition, chunk in part]
                stored: list[Any] = await self._breaker.call(
                    lambda names=names: self._redis.hmget(hash_key(tenant), names)
                )
                for key, data in zip(part, stored, strict=True):
                    if data is not None:
                        self._add(found, key, data)

    async def _completed(
        self, tenant: TenantId, found: Chunks, wanted: Iterable[tuple[int, int]], session: Session | None = None
    ) -> Chunks:
        """With the chunks that Redis does not have: it forgot, and each partition is rebuilt in its own time."""
        missing = [chunk_id(tenant, partition, chunk) for partition, chunk in set(wanted) - found.keys()]
        for start in range(0, len(missing), _BATCH):
            found |= await self._find({"_id": {"$in": missing[start : start + _BATCH]}}, session)
        return found

    async def _find(self, query: dict[str, object], session: Session | None) -> Chunks:
        found: Chunks = {}
        cursor = self._latest.find(query, batch_size=_BATCH, max_time_ms=MAX_TIME_MS, session=session)
        async for documents in batches(cursor, _BATCH):
            for document in documents:
                partition, stored = parse(document)
                self._add(found, (partition, stored.chunk), stored.data)
        return found

    def _add(self, found: Chunks, key: tuple[int, int], data: bytes) -> None:
        try:
            found[key] = unpack(data)
        except ValueError as e:
            log.error("a chunk of latest values cannot be read", partition=key[0], chunk=key[1], reason=str(e))
