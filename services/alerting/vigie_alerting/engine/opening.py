"""Giving new watches their past: the windows that are stored, and exactly what came after them.

From the moment at which the watches are prepared, everything that is read of the log is remembered. When the stored
windows have got that far, and the log is read as far as they go, the series are held: from then on what is read is
counted for them, and what was remembered from where the windows end is counted too. Then the windows are read, many
series at a time, and added; a watch is open when those of its last series are.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat, zip_longest
from typing import Final, TypeAlias

import numpy as np
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import TIERS, Tier
from vigie_query.errors import QueryError
from vigie_query.series import Selection, Series
from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Retryable, reason_of
from vigie_storage.partitions.checkpoint import Log, Position
from vigie_storage.windows.snapshot import Counted, Snapshot, Snapshots
from vigie_windows import Cells
from vigie_windows.chunks import Column

from vigie_alerting.engine.bank import Floats, Ints
from vigie_alerting.engine.between import Between
from vigie_alerting.engine.choosing import Chooser
from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.horizon import Depth
from vigie_alerting.engine.metrics import EngineMetrics
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.engine.watch import Selected, Watch

log = logging.get(__name__)

PATIENCE_S: Final = 5.0
"""How long the stored windows may take to get to where the log is read. Then what is missing is read of the log."""
READING_S: Final = 30.0
"""How long the log may take to be read to where the stored windows end."""
CELLS_AT_ONCE: Final = 400_000
"""Windows of single series that are read at a time, about: 40 MB. Two parts are in hand, one of them being read."""
_POLL_S: Final = 0.1
_TIERS: Final[Mapping[int, Tier]] = {tier.width_ms: tier for tier in TIERS}
_EVERYTHING: Final = frozenset(Column)
_PLAIN: Final = _EVERYTHING - {Column.SKETCH}

Opened: TypeAlias = Callable[[Sequence[Watch]], Awaitable[None]]
"""Is told which watches are open now: first, when all are held, those whose past is there, and none perhaps. From then
on the log may be read."""


@dataclass(slots=True)
class Part:
    """Some of the series whose past is to be read: of one tenant and depth, and whole chunks of them."""

    tenant: TenantId
    depth: Depth
    homes: Ints
    series: list[Series]
    first: list[bool]
    """Of each, whether its total is to be read with this part."""
    watches: list[Watch] = field(default_factory=list[Watch])
    """They are open after this part."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is stored of a part."""

    rows: Ints
    """Of each of its series in the cells."""
    cells: Cells
    totals: Floats
    """Of each of its series."""


Fresh: TypeAlias = Mapping[Depth | None, Ints]
"""By depth the homes of series whose windows are new to it; under None those whose totals are not known."""
Held: TypeAlias = tuple[Fresh, list[Part], list[Watch]]
"""What is new, what is to be read of its past, and the watches of whose series nothing is."""


class Opener:
    """Opens watches. One call at a time."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, samples: SamplesHandler, *, log_: Log, snapshots: Snapshots,
        chooser: Chooser, between: Between, clock: Clock, metrics: EngineMetrics,
    ) -> None:  # fmt: skip
        self._engine, self._lock, self._samples = engine, lock, samples
        self._log, self._snapshots, self._chooser, self._clock = log_, snapshots, chooser, clock
        self._between, self._metrics = between, metrics
        self._started = False

    async def begin(self) -> None:
        """Without any watches: the log is read from where the stored windows end. Raises Retryable."""
        if not self._started:
            self._samples.positions.update(self._positions(await self._snapshots.counted()))
            self._started = True

    async def open(self, watches: Sequence[Watch], opened: Opened) -> dict[int, str]:
        """Returns when the watches are open; of those that cannot be, by number, why. Raises Retryable,
        StoreUnavailable: then some may be open, and it may be tried again with the others."""
        memory = self._engine.memory
        async with self._lock:
            memory.prepare()
            self._samples.keep_tail()
            reached = dict(self._samples.positions)
        try:
            if self._started:
                await self.stored_to(reached)
            async with self._snapshots.open() as snapshot:
                chosen = await self._chooser.choose(watches)
                there = [watch for watch in watches if watch.number not in chosen.failed]
                fresh, parts, at_once = await self._hold(there, chosen.parts, snapshot)
                await opened(at_once)
                await self._bridge(self._positions(snapshot.counted), reached, fresh)
                failed = await self._fill(parts, snapshot, opened)
                return chosen.failed | failed
        except BaseException:
            async with self._lock:
                for watch in watches:
                    if not memory.is_open(watch):
                        memory.let_go(watch)
                # Here, as series are learned in threads that have the lock.
                memory.end_preparation()
                self._samples.drop_tail()
            raise

    async def stored_to(self, reached: Mapping[int, Position]) -> bool:
        """Wait until the stored windows have got there, for PATIENCE_S at most; whether they have."""
        until = self._clock.monotonic() + PATIENCE_S
        while behind := _before(self._positions(await self._snapshots.counted()), reached):
            if self._clock.monotonic() > until:
                log.warning("the stored windows lag behind the log", partitions=behind)
                return False
            await self._clock.sleep(_POLL_S)
        return True

    async def _hold(self, watches: Sequence[Watch], chosen: Sequence[Selected], snapshot: Snapshot) -> Held:
        """From here on what is read of the log is counted for the watches. What is to be read of their past."""
        since = self._positions(snapshot.counted)
        until = self._clock.monotonic() + READING_S
        while True:
            async with self._lock:
                if not self._started:
                    self._samples.positions.update(since)
                    self._started = True
                if not _before(self._samples.positions, since):
                    return await asyncio.to_thread(self._held, watches, chosen, since, snapshot.taken_ms)
            if self._clock.monotonic() > until:  # else what is in the windows already would be counted again
                raise Retryable("the log of samples is not read to where the stored windows end")
            await self._clock.sleep(_POLL_S)

    def _held(
        self, watches: Sequence[Watch], chosen: Sequence[Selected], since: Mapping[int, Position], taken_ms: int
    ) -> Held:
        memory = self._engine.memory
        memory.advance(taken_ms)
        fresh = memory.hold(watches, chosen)
        self._samples.replay(since, fresh)
        self._samples.drop_tail()
        memory.end_preparation()
        parts = list(self._parts(fresh))
        at_once = _say_when([watch for watch in watches if memory.holds(watch)], parts)
        for watch in at_once:
            memory.open(watch)
        return fresh, parts, at_once

    async def _bridge(self, since: Mapping[int, Position], reached: Mapping[int, Position], fresh: Fresh) -> None:
        """Count for the new series what is neither in the stored windows nor in what was remembered."""
        ranges = {at: (since.get(at, Position(0)).offset, reached[at].offset) for at in _before(since, reached)}
        if not ranges or not any(len(homes) for homes in fresh.values()):
            return
        missing = sum(end - begin for begin, end in ranges.values())
        generation = self._engine.memory.generation
        async for records in self._between.records(ranges):
            missing -= len(records)
            async with self._lock:
                if self._engine.memory.generation != generation:
                    return
                await asyncio.to_thread(self._samples.count_for, records, since, fresh)
        if missing:
            log.warning("new rules miss samples between the stored windows and the log", records=missing)
            self._metrics.missed.inc(missing)

    def _parts(self, fresh: Fresh) -> Iterator[Part]:
        """What is to be read. Of few series first, so that their rules need not wait for the others."""
        unknown = set(fresh[None].tolist())
        groups: dict[tuple[TenantId, Depth], list[tuple[int, Series]]] = defaultdict(list)
        for depth, homes in fresh.items():
            if depth is None:
                continue
            for home, (tenant, series) in zip(homes.tolist(), self._engine.memory.series_at(homes), strict=True):
                groups[tenant, depth].append((home, series))
        for (tenant, depth), own in sorted(groups.items(), key=lambda group: len(group[1]) * group[0][1].slots):
            own.sort(key=lambda one: (one[1].partition, one[1].ordinal))
            for some in _cut(own, max(1, CELLS_AT_ONCE // depth.slots)):
                first = [home in unknown for home, _ in some]
                unknown.difference_update(home for home, _ in some)
                homes = np.array([home for home, _ in some], np.int64)
                yield Part(tenant, depth, homes, [series for _, series in some], first)

    async def _fill(self, parts: Sequence[Part], snapshot: Snapshot, opened: Opened) -> dict[int, str]:
        """While one part is added, the next one is read."""
        failed: dict[tuple[TenantId, Depth], str] = {}
        generation = self._engine.memory.generation
        reading = [asyncio.create_task(self._read(part, snapshot)) for part in parts[:1]]
        try:
            for part, after in zip_longest(parts, parts[1:]):
                try:
                    past = await reading.pop()
                except QueryError as e:  # it was cut so that this does not happen
                    failed[part.tenant, part.depth] = reason_of(e)
                    past = None
                if after is not None:
                    reading.append(asyncio.create_task(self._read(after, snapshot)))
                async with self._lock:
                    if self._engine.memory.generation != generation:
                        raise Retryable("the windows in memory were given up while others were read")
                    if past is not None:
                        await asyncio.to_thread(self._add, part, past)
                    there = [] if (part.tenant, part.depth) in failed else self._open_watches(part)
                if there:
                    await opened(there)
        finally:
            for task in reading:
                task.cancel()
                await asyncio.wait([task])
        return {
            watch.number: failed[part.tenant, part.depth]
            for part in parts
            if (part.tenant, part.depth) in failed
            for watch in part.watches
            if not self._engine.memory.is_open(watch)
        }

    async def _read(self, part: Part, snapshot: Snapshot) -> Past:
        selection = Selection(part.series)
        since_ms = max(0, self._engine.memory.oldest_ms(part.depth))
        sketched = part.depth.sketched or Kind.HISTOGRAM in selection.kinds
        tier, columns = _TIERS[part.depth.width_ms], _EVERYTHING if sketched else _PLAIN
        cells = await snapshot.windows(part.tenant, selection, tier, since_ms, columns)
        counted = np.array(part.first, np.bool_) & np.array([one.kind is Kind.COUNTER for one in part.series])
        totals = np.zeros(len(part.series))
        if counted.any():
            counters = Selection([one for one, is_counted in zip(part.series, counted, strict=True) if is_counted])
            totals[counted] = np.nan_to_num((await snapshot.totals(part.tenant, counters))[counters.rows])
        return Past(selection.rows, cells, totals)

    def _add(self, part: Part, past: Past) -> None:
        memory = self._engine.memory
        memory.load(part.depth, part.homes, past.rows, past.cells)
        first = np.array(part.first, np.bool_)
        memory.add_totals(part.homes[first], past.totals[first])

    def _open_watches(self, part: Part) -> list[Watch]:
        """Those whose rules are gone meanwhile are not."""
        there = [watch for watch in part.watches if self._engine.memory.holds(watch)]
        for watch in there:
            self._engine.memory.open(watch)
        return there

    def _positions(self, counted: Mapping[int, Counted]) -> dict[int, Position]:
        """Of the log that is read; another's offsets mean nothing."""
        return {partition: one.position for partition, one in counted.items() if one.log == self._log}


def _cut(series: Sequence[tuple[int, Series]], size: int) -> Iterator[Sequence[tuple[int, Series]]]:
    """Parts of about that size, no chunk in two of them."""
    begin = 0
    for at in range(size, len(series)):
        if at - begin >= size and series[at][1].chunk != series[at - 1][1].chunk:
            yield series[begin:at]
            begin = at
    if begin < len(series):
        yield series[begin:]


def _say_when(watches: Iterable[Watch], parts: Sequence[Part]) -> list[Watch]:
    """Each watch to the last part that has a series of it; those of which no part has any."""
    last_of: dict[Depth, dict[int, int]] = defaultdict(dict)
    for place, part in enumerate(parts):
        last_of[part.depth].update(dict.fromkeys(part.homes.tolist(), place))
    at_once: list[Watch] = []
    for watch in watches:
        last = max(map(last_of[watch.depth].get, watch.homes, repeat(-1)), default=-1)
        (at_once if last < 0 else parts[last].watches).append(watch)
    return at_once


def _before(those: Mapping[int, Position], these: Mapping[int, Position]) -> list[int]:
    """The partitions in which those positions are before these."""
    return sorted(partition for partition, at in these.items() if those.get(partition, Position(0)) < at)
