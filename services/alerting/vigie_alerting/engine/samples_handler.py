"""The samples log: every replica reads all of it, from where the windows in its memory end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.samples import JoinedBatches, join
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
"""Of the log, remembered while new rules get their past."""
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

    def replay(self, since: Mapping[int, Position], fresh: Mapping[Depth | None, Ints]) -> None:
        """Count what came since `keep_tail`, as `count_for` does."""
        if self._tail_bytes >= TAIL_BYTES:
            log.warning("too much came while the windows of new rules were read: they miss some of it")
        self.count_for(self._tail or (), since, fresh)

    def count_for(
        self, records: Sequence[KafkaRecord], since: Mapping[int, Position], fresh: Mapping[Depth | None, Ints]
    ) -> None:
        """Count records from these positions on: by depth for the series whose windows are new to it, under None in the
        totals of series that are new at all. The caller has the lock. All that came was looked up then."""
        memory = self._engine.memory
        masks = {depth: memory.marked(own) for depth, own in fresh.items() if len(own)}
        for record in records if masks else ():
            begin = since.get(record.partition, Position(0))
            if record.offset < begin.offset:
                continue
            joined, errors = join([record.value or b""])
            if errors or not len(joined):
                continue
            homes = memory.find(joined.fingerprints)[0][joined.index]
            counts = self._counts([record], joined, errors, begin.sample if record.offset == begin.offset else 0)
            counts &= homes >= 0
            for depth, mask in masks.items():
                mine = counts & mask[homes]
                memory.add_to(depth, homes[mine], joined.timestamps[mine], joined.values[mine])

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
        """Go on at `start`. What is missing is in the stored windows, perhaps: all are read again."""
        log.warning("samples were gone before the rules saw them", partition=partition, stored=stored, start=start)
        async with self._lock:
            self._engine.memory.close()
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
        counts = self._counts(records, joined, errors, skip) & (homes >= 0)
        return homes[counts], joined.timestamps[counts], joined.values[counts]

    def _counts(
        self, records: Sequence[KafkaRecord], joined: JoinedBatches, errors: Container[int], skip: int
    ) -> npt.NDArray[np.bool_]:
        """[samples]: which are to be counted."""
        counts = self._keys.first([record for at, record in enumerate(records) if at not in errors], joined)
        if 0 not in errors:
            counts[:skip] = False
        return counts

    async def _homes(self, fingerprints: UInt64s) -> Ints:
        memory = self._engine.memory
        homes, missing = memory.find(fingerprints)
        if len(missing):
            found = await self._look_up(missing)
            known = np.array([series.fingerprint for _, series in found], np.uint64)
            # In a thread: there may be very many, and users write the expressions that they are held against.
            await asyncio.to_thread(memory.learn, found, missing[~np.isin(missing, known)])
            homes, _ = memory.find(fingerprints)
        return homes
