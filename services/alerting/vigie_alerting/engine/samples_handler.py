"""The samples log: every replica reads all of it, from where the windows in its memory end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from vigie_contracts.samples import join
from vigie_contracts.tenants import TenantId
from vigie_query.series import Series
from vigie_runtime import logging, tracing
from vigie_runtime.clients import KafkaRecord
from vigie_runtime.clock import Clock
from vigie_storage.partitions.checkpoint import Position

from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.horizon import Depth
from vigie_alerting.engine.memory import Floats, Ints, UInt64s
from vigie_alerting.engine.metrics import EngineMetrics
from vigie_alerting.engine.request_keys import RequestKeys

log = logging.get(__name__)

TAIL_BYTES: Final = 64 << 20
LookUp: TypeAlias = Callable[[UInt64s], Awaitable[list[tuple[TenantId, Series]]]]


class SamplesHandler:
    """A `PartitionHandler`. What cannot be read is the aggregator's to bury; here it is passed over."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, look_up: LookUp, *, clock: Clock, metrics: EngineMetrics
    ) -> None:
        """`lock` keeps the engine to one at a time."""
        self._engine, self._lock, self._look_up, self._clock, self._metrics = engine, lock, look_up, clock, metrics
        self.arrived = asyncio.Event()
        """Samples came."""
        self.positions: dict[int, Position] = {}
        """Where each partition is read on. Set before anything is read: where the windows in memory end."""
        self._keys = RequestKeys()
        self._tail: list[KafkaRecord] | None = None
        self._tail_bytes = 0

    def keep_tail(self) -> None:
        """Remember what comes from now on, for `replay`."""
        self._tail, self._tail_bytes = [], 0

    def drop_tail(self) -> None:
        """Nobody will ask for it."""
        self._tail = None

    async def replay(self, since: Mapping[int, Position], fresh: Mapping[Depth | None, Ints]) -> None:
        """Count what came since `keep_tail`, from these positions on: by depth for the series whose windows are new to
        it, under None in the totals of series that are new at all. The caller has the lock."""
        tail, self._tail = self._tail or [], None
        for record in tail:
            begin = since.get(record.partition, Position(0))
            if record.offset < begin.offset:
                continue
            homes, times, values = await self._read([record], begin.sample if record.offset == begin.offset else 0)
            for depth, own in fresh.items():
                mine = np.isin(homes, own)
                self._engine.memory.add_to(depth, homes[mine], times[mine], values[mine])

    async def assigned(self, partition: int) -> int | None:
        """Where it was left, or where the windows in memory end."""
        known = self.positions.get(partition)
        return None if known is None else known.offset

    async def records(self, partition: int, records: Sequence[KafkaRecord]) -> None:
        """Count them at once."""
        async with self._lock:
            if self._tail is not None and self._tail_bytes < TAIL_BYTES:
                self._tail += records
                self._tail_bytes += sum(len(record.value or b"") for record in records)
            begin = self.positions.get(partition, Position(0))
            skip = begin.sample if records[0].offset == begin.offset else 0
            await self._count(records, skip)
            self.positions[partition] = Position(records[-1].offset + 1)
        self._metrics.behind.set(max(0, self._clock.now_ms() - records[-1].timestamp) / 1000)
        self.arrived.set()

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Nothing is stored here, and every partition is always this process's."""

    async def lost_log(self, partition: int, stored: int, start: int) -> None:
        """Go on at `start`."""
        log.warning("samples were gone before the rules saw them", partition=partition, stored=stored, start=start)
        self.positions[partition] = Position(start)

    async def tick(self) -> None:
        """Nothing is due here."""

    def committed(self, partition: int) -> int | None:
        """Nothing to say: no lag of this is anybody's."""

    async def _count(self, records: Sequence[KafkaRecord], skip: int) -> None:
        homes, times, values = await self._read(records, skip)
        if len(homes):
            late = self._engine.take(homes, times, values, tracing.traceparent(records[-1].headers))
            self._metrics.samples.inc(len(homes))
            self._metrics.late.inc(late)

    async def _read(self, records: Sequence[KafkaRecord], skip: int) -> tuple[Ints, Ints, Floats]:
        """Home, time and value of the samples of series that rules select. `skip`: so many of the first record are in
        the windows already."""
        joined, errors = join([record.value or b"" for record in records])
        if not len(joined):
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        homes = (await self._homes(joined.fingerprints))[joined.index]
        counts = self._keys.first([record for at, record in enumerate(records) if at not in errors], joined)
        counts &= homes >= 0
        if 0 not in errors:
            counts[:skip] = False
        return homes[counts], joined.timestamps[counts], joined.values[counts]

    async def _homes(self, fingerprints: UInt64s) -> Ints:
        memory = self._engine.memory
        homes, missing = memory.find(fingerprints)
        if len(missing):
            found = await self._look_up(missing)
            known = np.array([series.fingerprint for _, series in found], np.uint64)
            memory.learn(found, missing[~np.isin(missing, known)])
            homes, _ = memory.find(fingerprints)
        return homes
