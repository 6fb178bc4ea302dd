"""Giving new watches their past: the windows that are stored, and exactly what came after them.

From the moment at which the watches are prepared, everything that is read of the log is remembered. When the stored
windows have got that far, they are read, and when the log is read as far as they go, they are loaded, and what was
remembered from there on is counted on top.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from vigie_contracts.series import Kind
from vigie_contracts.tiers import TIERS, Tier
from vigie_query.errors import QueryError
from vigie_query.series import Selection, Series
from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError, Retryable, StoreUnavailable, reason_of
from vigie_storage.partitions.checkpoint import Log, Position
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.windows.snapshot import Counted, Snapshot, Snapshots
from vigie_windows import Cells

from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.horizon import Depth
from vigie_alerting.engine.memory import Ints, Watch
from vigie_alerting.engine.samples_handler import SamplesHandler

log = logging.get(__name__)

PATIENCE_S: Final = 5.0
"""How long the stored windows may take to get to where the log is read. Then what is missing is missing, and said."""
READING_S: Final = 30.0
"""How long the log may take to be read to where the stored windows end."""
AT_ONCE: Final = 10_000
"""Series whose windows are held beside the memory, about."""
_POLL_S: Final = 0.1
_TIERS: Final[Mapping[int, Tier]] = {tier.width_ms: tier for tier in TIERS}


@dataclass(frozen=True, slots=True)
class Past:
    """What is stored of a watch."""

    watch: Watch
    series: list[Series]
    """All that it selects."""
    rows: Mapping[int, int]
    """By fingerprint, in the cells, of those whose windows were read."""
    cells: Cells
    totals: Mapping[int, float]
    """By fingerprint, of counters of increments."""


class Opener:
    """Opens watches. One call at a time."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, samples: SamplesHandler, *, log_: Log, snapshots: Snapshots,
        selectors: SelectorReader, clock: Clock,
    ) -> None:  # fmt: skip
        self._engine, self._lock, self._samples = engine, lock, samples
        self._log, self._snapshots, self._selectors, self._clock = log_, snapshots, selectors, clock
        self._started = False

    async def begin(self) -> None:
        """Without any watches: the log is read from where the stored windows end. Raises Retryable."""
        if not self._started:
            self._samples.positions.update(self._positions(await self._snapshots.counted()))
            self._started = True

    async def open(self, watches: Sequence[Watch]) -> dict[int, str]:
        """Returns when the watches are open; of those that cannot be, by number, why. Raises Retryable,
        StoreUnavailable: then some may be open, and it may be tried again with the others."""
        memory, first = self._engine.memory, not self._started
        async with self._lock:
            memory.prepare()
            self._samples.keep_tail()
            reached = dict(self._samples.positions)
        try:
            if self._started:
                await self.stored_to(reached)
            async with self._snapshots.open() as snapshot:
                return await self._open(watches, snapshot)
        except BaseException:
            if first:  # the next snapshot ends elsewhere, and the log is read from one place
                async with self._lock:
                    memory.close()
                self._started = False
            raise
        finally:
            memory.end_preparation()
            self._samples.drop_tail()

    async def stored_to(self, reached: Mapping[int, Position]) -> bool:
        """Wait until the stored windows have got there, for PATIENCE_S at most; whether they have."""
        until = self._clock.monotonic() + PATIENCE_S
        while behind := _before(self._positions(await self._snapshots.counted()), reached):
            if self._clock.monotonic() > until:
                log.warning("the stored windows lag behind the log: new rules miss what is between", partitions=behind)
                return False
            await self._clock.sleep(_POLL_S)
        return True

    async def _open(self, watches: Sequence[Watch], snapshot: Snapshot) -> dict[int, str]:
        since = self._positions(snapshot.counted)
        if not self._started:
            self._samples.positions.update(since)
            self._started = True
        failed: dict[int, str] = {}
        read: list[Past] = []
        for watch in watches:
            try:
                read.append(await self._read(watch, read, snapshot))
            except StoreUnavailable:
                raise
            except (QueryError, ProblemError) as e:  # too many series, or windows, or too slow an expression
                failed[watch.number] = reason_of(e)
            if sum(len(past.rows) for past in read) >= AT_ONCE:
                await self._fill(read, since, snapshot.taken_ms)
                read = []
        await self._fill(read, since, snapshot.taken_ms)
        return failed

    async def _read(self, watch: Watch, others: Sequence[Past], snapshot: Snapshot) -> Past:
        """What is in memory already, or comes with the others, is not read."""
        memory = self._engine.memory
        found = await self._selectors.select(watch.tenant, watch.key[1])
        series = list(found.selection.series)
        coming = {fingerprint for past in others if past.watch.depth == watch.depth for fingerprint in past.rows}
        new = [one for one in memory.new_to(watch.depth, series) if one.fingerprint not in coming]
        selection = Selection(new)
        since_ms = max(0, snapshot.taken_ms - watch.depth.width_ms * watch.depth.slots)
        cells = await snapshot.windows(watch.tenant, selection, _TIERS[watch.depth.width_ms], since_ms)
        rows = dict(zip((one.fingerprint for one in new), selection.rows.tolist(), strict=True))
        return Past(watch, series, rows, cells, await self._totals(watch, new, snapshot))

    async def _totals(self, watch: Watch, series: Sequence[Series], snapshot: Snapshot) -> dict[int, float]:
        counters = [one for one in series if one.kind is Kind.COUNTER]
        if not counters:
            return {}
        selection = Selection(counters)
        totals = np.nan_to_num((await snapshot.totals(watch.tenant, selection))[selection.rows])
        return dict(zip((one.fingerprint for one in counters), totals.tolist(), strict=True))

    async def _fill(self, read: Sequence[Past], since: Mapping[int, Position], taken_ms: int) -> None:
        """All or nothing: the log is not read meanwhile."""
        until = self._clock.monotonic() + READING_S
        while True:
            async with self._lock:
                if not _before(self._samples.positions, since):
                    await asyncio.to_thread(self._load, read, since, taken_ms)
                    return
            if self._clock.monotonic() > until:  # else what is in the windows already would be counted again
                raise Retryable("the log of samples is not read to where the stored windows end")
            await self._clock.sleep(_POLL_S)

    def _load(self, read: Sequence[Past], since: Mapping[int, Position], taken_ms: int) -> None:
        memory = self._engine.memory
        memory.advance(taken_ms)
        met = len(memory)
        fresh: dict[Depth | None, list[Ints]] = defaultdict(list)
        for past in read:
            if not memory.has(past.watch):  # its rules are gone meanwhile
                continue
            new = memory.open(past.watch, past.series)
            homes = memory.homes_of(new)
            fresh[past.watch.depth].append(homes)
            fresh[None].append(homes[homes >= met])
            stored = [one for one in new if one.fingerprint in past.rows]
            memory.load(past.watch, stored, np.array([past.rows[one.fingerprint] for one in stored]), past.cells)
            counters = [
                one
                for one, home in zip(new, homes.tolist(), strict=True)
                if home >= met and one.fingerprint in past.totals
            ]
            memory.set_totals(counters, np.array([past.totals[one.fingerprint] for one in counters]))
        self._samples.replay(since, {depth: np.concatenate(homes) for depth, homes in fresh.items()})

    def _positions(self, counted: Mapping[int, Counted]) -> dict[int, Position]:
        """Of the log that is read; another's offsets mean nothing."""
        return {partition: one.position for partition, one in counted.items() if one.log == self._log}


def _before(those: Mapping[int, Position], these: Mapping[int, Position]) -> list[int]:
    """The partitions in which those positions are before these."""
    return sorted(partition for partition, at in these.items() if those.get(partition, Position(0)) < at)
