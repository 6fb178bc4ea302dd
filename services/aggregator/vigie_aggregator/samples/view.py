"""The view in Redis: latest values of every chunk, and live messages. Losing it loses nothing; counting never waits.

Chunks wait in a map where newer bytes replace older ones, so it is bounded by the number of chunks; the live messages
of a commit replace those of the commit before it. A marker per partition tells that all its chunks were written: when
it is gone (another Redis, a flush), everything is written again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis
from vigie_contracts.latest import field as chunk_field
from vigie_contracts.latest import hash_key
from vigie_runtime.clock import Clock
from vigie_runtime.redis_breaker import RedisAway, RedisBreaker, RedisUse
from vigie_storage.latest import LatestChunk

from vigie_aggregator.metrics import Metrics

_BATCH_CHUNKS: Final = 256
"""Chunks in one pipeline: about 2 MB, of histograms about 6 MB."""
_CHECK_S: Final = 5.0
"""How long a missing marker goes unnoticed while nothing is pushed."""
_BACK_OFF_S: Final = 1.0

Snapshot = Callable[[int], Sequence[LatestChunk]]
"""Gives the latest values of all chunks of a partition."""


@dataclass(slots=True)
class _Waiting:
    """What Redis has not been told of one partition."""

    chunks: dict[tuple[str, int], bytes] = field(default_factory=dict[tuple[str, int], bytes])
    messages: Sequence[tuple[str, bytes]] = ()
    rebuild: bool = True
    leaving: bool = False


class RedisView:
    """One per process; `run` is its task. All other methods return at once and never fail."""

    def __init__(self, redis: Redis, namespace: str, clock: Clock, metrics: Metrics) -> None:
        """namespace: tells this deployment's markers from others' in the same Redis."""
        self._redis = redis
        self._namespace = namespace
        self._clock = clock
        self._metrics = metrics
        self._waiting: dict[int, _Waiting] = {}
        self._wake = asyncio.Event()
        # It may take as long as the client waits; how soon it is tried again is said by `run`.
        self._breaker = RedisBreaker(clock, RedisUse.LATEST_WRITES, metrics.set, wait_s=None)

    def adopt(self, partition: int) -> None:
        """The partition is owned now: everything of it is to be written."""
        self._waiting[partition] = _Waiting()
        self._wake.set()

    def forget(self, partition: int) -> None:
        """The partition is not owned any more. What waits is tried once more; its next owner writes all of it again."""
        if (waiting := self._waiting.get(partition)) is not None:
            waiting.leaving = True
            self._wake.set()

    def push(self, partition: int, chunks: Sequence[LatestChunk], messages: Sequence[tuple[str, bytes]]) -> None:
        """Write these chunks and send these messages soon."""
        waiting = self._waiting.get(partition)
        if waiting is None:
            return
        waiting.chunks.update({(tenant, chunk): data for tenant, chunk, data in chunks})
        self._metrics.live_dropped.inc(len(waiting.messages))
        waiting.messages = messages
        self._wake.set()

    async def run(self, snapshot: Snapshot) -> None:
        """Write what waits, for ever; to be cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_S):
                    await self._wake.wait()
            self._wake.clear()
            if not await self.flush(snapshot):
                await self._clock.sleep(_BACK_OFF_S)
                self._wake.set()

    async def flush(self, snapshot: Snapshot) -> bool:
        """Write what waits now. False when Redis did not take it: then chunks wait on, messages are dropped."""
        try:
            await self._breaker.call(lambda: self._flush_all(snapshot), always=True)
        except RedisAway:
            self._metrics.view_failures.inc()
            return False
        return True

    async def _flush_all(self, snapshot: Snapshot) -> None:
        partitions = list(self._waiting)
        if not partitions:
            return
        markers = await self._redis.mget([self._marker(partition) for partition in partitions])
        for partition, marker in zip(partitions, markers, strict=True):
            await self._flush(partition, snapshot, lost=marker is None)

    async def _flush(self, partition: int, snapshot: Snapshot, *, lost: bool) -> None:
        waiting = self._waiting.get(partition)
        if waiting is None:
            return
        if waiting.leaving:
            self._waiting.pop(partition)
            waiting.rebuild = False
        elif waiting.rebuild or lost:
            waiting.rebuild = True
            newest = waiting.chunks
            waiting.chunks = {(tenant, chunk): data for tenant, chunk, data in snapshot(partition)} | newest
        chunks, waiting.chunks = waiting.chunks, {}
        messages, waiting.messages = waiting.messages, ()
        try:
            await self._write(partition, chunks)
            if waiting.rebuild:
                await self._redis.set(self._marker(partition), 1)
                waiting.rebuild = False
        except BaseException:
            waiting.chunks = chunks | waiting.chunks  # what came meanwhile is newer
            self._metrics.live_dropped.inc(len(messages))
            raise
        await self._publish(messages)

    async def _write(self, partition: int, chunks: Mapping[tuple[str, int], bytes]) -> None:
        items = list(chunks.items())
        for start in range(0, len(items), _BATCH_CHUNKS):
            fields: dict[str, dict[Any, Any]] = {}
            for (tenant, chunk), data in items[start : start + _BATCH_CHUNKS]:
                fields.setdefault(hash_key(tenant), {})[chunk_field(partition, chunk)] = data
            async with self._redis.pipeline(transaction=False) as pipeline:
                for key, mapping in fields.items():
                    pipeline.hset(key, mapping=mapping)
                await pipeline.execute()

    async def _publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        if not messages:
            return
        async with self._redis.pipeline(transaction=False) as pipeline:
            for channel, message in messages:
                pipeline.publish(channel, message)
            await pipeline.execute()

    def _marker(self, partition: int) -> str:
        # A tenant is never empty, so this is no tenant's key.
        return f"vigie::latest:{self._namespace}:{partition}"
