"""Giving new watches their past: the windows that are stored, and exactly what came after them.

From the moment at which the watches are prepared, everything that is read of the log is remembered. When the stored
windows have got that far, they are loaded, and what was remembered from there on is counted on top.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import TIERS, Tier
from vigie_query.series import Selection, Series
from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_storage.partitions.checkpoint import Log, Position
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.windows.snapshot import Counted, Snapshot, Snapshots

from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.horizon import Depth
from vigie_alerting.engine.memory import Ints, Watch
from vigie_alerting.engine.samples_handler import SamplesHandler

log = logging.get(__name__)

PATIENCE_S: Final = 5.0
"""How long the stored windows may take to get to where the log is read. Then what is missing is missing, and said."""
_POLL_S: Final = 0.1
_TIERS: Final[Mapping[int, Tier]] = {tier.width_ms: tier for tier in TIERS}


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

    async def open(self, watches: Sequence[Watch]) -> None:
        """Returns when the watches are open. Raises Retryable: then they are not, and it may be tried again."""
        memory = self._engine.memory
        async with self._lock:
            memory.prepare()
            self._samples.keep_tail()
            reached = dict(self._samples.positions)
        try:
            await self._wait_for(reached)
            async with self._snapshots.open() as snapshot:
                selected = await self._select(watches)
                await self._fill(watches, selected, snapshot)
        finally:
            memory.end_preparation()
            self._samples.drop_tail()

    async def _wait_for(self, reached: Mapping[int, Position]) -> None:
        until = self._clock.monotonic() + PATIENCE_S
        while self._started:
            behind = _behind(self._positions(await self._snapshots.counted()), reached)
            if not behind:
                return
            if self._clock.monotonic() > until:
                log.warning("the stored windows lag behind the log: new rules miss what is between", partitions=behind)
                return
            await self._clock.sleep(_POLL_S)

    async def _select(self, watches: Sequence[Watch]) -> dict[int, list[Series]]:
        return {
            watch.number: list((await self._selectors.select(watch.tenant, watch.key[1])).selection.series)
            for watch in watches
        }

    async def _fill(self, watches: Sequence[Watch], selected: Mapping[int, list[Series]], snapshot: Snapshot) -> None:
        """All at once, so that no watch is half open: the log is not read meanwhile."""
        since = self._positions(snapshot.counted)
        async with self._lock:
            if not self._started:
                self._samples.positions.update(since)
            memory = self._engine.memory
            memory.advance(snapshot.taken_ms)
            met = len(memory)
            fresh: dict[Depth | None, list[Ints]] = defaultdict(list)
            for watch in watches:
                series = memory.open(watch, selected[watch.number])
                await self._load(watch, series, snapshot)
                fresh[watch.depth].append(homes := memory.homes_of(series))
                unmet = [one for one, home in zip(series, homes.tolist(), strict=True) if home >= met]
                await self._load_totals(watch.tenant, unmet, snapshot)
                fresh[None].append(homes[homes >= met])
            if self._started:
                await self._samples.replay(since, {depth: np.concatenate(homes) for depth, homes in fresh.items()})
            self._started = True

    async def _load(self, watch: Watch, series: Sequence[Series], snapshot: Snapshot) -> None:
        selection = Selection(series)
        tier = _TIERS[watch.depth.width_ms]
        since_ms = max(0, snapshot.taken_ms - watch.depth.width_ms * watch.depth.slots)
        cells = await snapshot.windows(watch.tenant, selection, tier, since_ms)
        self._engine.memory.load(watch, series, selection.rows, cells)

    async def _load_totals(self, tenant: TenantId, series: Sequence[Series], snapshot: Snapshot) -> None:
        counters = [one for one in series if one.kind is Kind.COUNTER]
        if counters:
            selection = Selection(counters)
            totals = await snapshot.totals(tenant, selection)
            self._engine.memory.set_totals(counters, np.nan_to_num(totals[selection.rows]))

    def _positions(self, counted: Mapping[int, Counted]) -> dict[int, Position]:
        """Of the log that is read; another's offsets mean nothing."""
        return {partition: one.position for partition, one in counted.items() if one.log == self._log}


def _behind(counted: Mapping[int, Position], reached: Mapping[int, Position]) -> list[int]:
    return sorted(partition for partition, at in reached.items() if counted.get(partition, Position(0)) < at)
