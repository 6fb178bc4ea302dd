"""The samples log: every replica reads all of it, from where the windows in its memory end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
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

from vigie_alerting.engine.bank import Ints
from vigie_alerting.engine.early import Arrived, EarlySamples
from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.horizon import AHEAD_MS, Depth
from vigie_alerting.engine.memory import UInt64s
from vigie_alerting.engine.metrics import EngineMetrics
from vigie_alerting.engine.request_keys import RequestKeys

log = logging.get(__name__)

TAIL_BYTES: Final = 64 << 20
"""Of the log, remembered while new rules get their past."""
HELD_BYTES: Final = 32 << 20
"""Of records that are not counted yet; while there are more, no others are read."""
COUNTED_BYTES: Final = 2 << 20
"""Of records that are counted together, about: a hundred thousand samples."""
LEARNING_S: Final = 0.02
"""Series that are new are held against the selectors for about so long in one go..."""
FEWEST_LEARNED, MOST_LEARNED = 64, 10_000
"""... and how many those are."""
LookUp: TypeAlias = Callable[[UInt64s], Awaitable[list[tuple[TenantId, Series]]]]


class SamplesHandler:
    """A `PartitionHandler`. What cannot be read is the aggregator's to bury; here it is passed over."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, look_up: LookUp, *, clock: Clock, metrics: EngineMetrics
    ) -> None:
        """`lock` keeps the engine to one at a time."""
        self._engine, self._lock, self._look_up, self._clock, self._metrics = engine, lock, look_up, clock, metrics
        self.arrived = asyncio.Event()
        """Samples came, or wait to be counted."""
        self.positions: dict[int, Position] = {}
        """Where each partition is read on. Set before anything is read: where the windows in memory end."""
        self._held: dict[int, list[KafkaRecord]] = {}
        """By partition what is not counted yet."""
        self._held_bytes = 0
        self._early = EarlySamples()
        self._learned_at_once = FEWEST_LEARNED
        self.keys = RequestKeys()
        self._tail: list[KafkaRecord] | None = None
        self._tail_bytes = 0

    @property
    def waiting(self) -> bool:
        """Whether anything is still to be counted."""
        return bool(self._held)

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
            skipped = np.arange(begin.sample if record.offset == begin.offset else 0)
            counts = self._counts([record], joined, errors, skipped)
            counts &= homes >= 0
            for depth, mask in masks.items():
                mine = counts & mask[homes]
                memory.add_to(depth, homes[mine], joined.timestamps[mine], joined.values[mine])

    async def assigned(self, partition: int) -> int | None:
        """Where it was left, or where the windows in memory end. What was read and not counted is read again."""
        async with self._lock:
            self._held_bytes -= _bytes(self._held.pop(partition, ()))
            known = self.positions.get(partition)
        return None if known is None else known.offset

    async def records(self, partition: int, records: Sequence[KafkaRecord]) -> None:
        """Hold them for `count`: those of all partitions together cost little more than those of one."""
        self._held.setdefault(partition, []).extend(records)
        self._held_bytes += _bytes(records)
        self._metrics.behind.set(max(0, self._clock.now_ms() - records[-1].timestamp) / 1000)
        self.arrived.set()
        while self._held_bytes > HELD_BYTES:
            await self.count()

    async def count(self) -> None:
        """What is held, or a part of it: then `arrived` is set. Raises Retryable, and it is held still."""
        async with self._lock:
            now_ms = self._clock.now_ms()
            self._engine.memory.advance(now_ms)
            records = self._next()
            if records and await self._count(records, now_ms):
                self._done(records)
            for arrived in self._early.due(now_ms + AHEAD_MS):
                self._take(arrived)
        if self._held:
            self.arrived.set()

    def _next(self) -> list[KafkaRecord]:
        """The first ones of each partition, COUNTED_BYTES of them."""
        taken: list[KafkaRecord] = []
        share = COUNTED_BYTES // max(1, len(self._held))
        for records in self._held.values():
            size = 0
            for record in records:
                if size > share:
                    break
                size += len(record.value or b"")
                taken.append(record)
        return taken

    def _done(self, records: Sequence[KafkaRecord]) -> None:
        if self._tail is not None and self._tail_bytes < TAIL_BYTES:
            self._tail += records
            self._tail_bytes += _bytes(records)
        self._held_bytes -= _bytes(records)
        for partition, count in Counter(record.partition for record in records).items():
            self.positions[partition] = Position(self._held[partition][count - 1].offset + 1)
            del self._held[partition][:count]
            if not self._held[partition]:
                del self._held[partition]

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

    async def _count(self, records: Sequence[KafkaRecord], now_ms: int) -> bool:
        """Whether it was done: not before all series are known."""
        joined, errors = join([record.value or b"" for record in records])
        if not len(joined):
            return True
        homes = await self._homes(joined.fingerprints)
        if homes is None:
            return False
        counted = self._counts(records, joined, errors, self._skipped(records, joined, errors))
        counted &= (homes >= 0)[joined.index]
        read = [record for at, record in enumerate(records) if at not in errors]
        arrived = Arrived(
            joined.fingerprints[joined.index[counted]], joined.timestamps[counted], joined.values[counted],
            np.searchsorted(joined.ends, np.flatnonzero(counted), side="right"),
            lambda record: tracing.traceparent(read[record].headers),
        )  # fmt: skip
        early = arrived.times > now_ms + AHEAD_MS
        if early.any():
            self._hold_early(arrived.select(early))
            arrived = arrived.select(~early)
        self._take(arrived)
        return True

    def _take(self, arrived: Arrived) -> None:
        homes = self._engine.memory.find(arrived.fingerprints)[0]
        if not (homes >= 0).all():  # its rules are gone meanwhile
            arrived, homes = arrived.select(homes >= 0), homes[homes >= 0]
        if not len(arrived):
            return
        late = self._engine.take(homes, arrived.times, arrived.values, arrived.records, arrived.traceparent)
        self._metrics.samples.inc(len(arrived))
        self._metrics.late.inc(late)

    def _hold_early(self, arrived: Arrived) -> None:
        self._metrics.early.inc(len(arrived))
        if not self._early.add(arrived):
            self._metrics.early_dropped.inc(len(arrived))

    def _skipped(self, records: Sequence[KafkaRecord], joined: JoinedBatches, errors: Container[int]) -> Ints:
        """Samples of the first record of each partition that are in the windows already: their places."""
        begins = iter([0, *joined.ends.tolist()])
        skipped: list[Ints] = []
        for at, record in enumerate(records):
            if at in errors:
                continue
            first, position = next(begins), self.positions.get(record.partition, Position(0))
            if record.offset == position.offset and position.sample:
                skipped.append(np.arange(first, first + position.sample))
        return np.concatenate([*skipped, np.empty(0, np.int64)])

    def _counts(
        self, records: Sequence[KafkaRecord], joined: JoinedBatches, errors: Container[int], skipped: Ints
    ) -> npt.NDArray[np.bool_]:
        """[samples]: which are to be counted."""
        counts = self.keys.first([record for at, record in enumerate(records) if at not in errors], joined)
        counts[skipped] = False
        return counts

    async def _homes(self, fingerprints: UInt64s) -> Ints | None:
        """Of each series; None while there are more to be learned than in one go."""
        memory = self._engine.memory
        homes, missing = memory.find(fingerprints)
        if not len(missing):
            return homes
        rounds = -(-len(missing) // self._learned_at_once)
        some = missing[::rounds]  # of everywhere: sorted ones that are alike would make the tables slow
        found = await self._look_up(some)
        # In a thread: users write the expressions that they are held against.
        took_s = await asyncio.to_thread(self._learn, found, some)
        wanted = min(2 * self._learned_at_once, int(len(some) * LEARNING_S / max(took_s, 1e-6)))
        self._learned_at_once = min(max(wanted, FEWEST_LEARNED), MOST_LEARNED)
        return memory.find(fingerprints)[0] if rounds == 1 else None

    def _learn(self, found: Sequence[tuple[TenantId, Series]], asked: UInt64s) -> float:
        """Seconds of a core that it took."""
        began = time.thread_time()
        known = np.array([series.fingerprint for _, series in found], np.uint64)
        self._engine.memory.learn(found, asked[~np.isin(asked, known)])
        return time.thread_time() - began


def _bytes(records: Iterable[KafkaRecord]) -> int:
    return sum(len(record.value or b"") for record in records)
