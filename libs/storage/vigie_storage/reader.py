"""From a question to its samples: select the series, plan the tiers, check what it costs, read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_query import functions
from vigie_query.errors import QueryLimitExceeded
from vigie_query.evaluation import Samples
from vigie_query.functions import Function
from vigie_query.grid import NICE_STEPS, Grid, stepped
from vigie_query.planning import Plan, plan, plans_before
from vigie_query.series import Selection, Series
from vigie_query.times import duration, iso
from vigie_runtime.clock import Clock
from vigie_windows import Cells, increase
from vigie_windows.chunks import Column

from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.filter import Filter
from vigie_storage.series.selections import Selections
from vigie_storage.windows.reader import Completeness, WindowReader

_COUNTED_CHUNKS = 200
"""Of so many chunks windows are counted when they might be too many; more are taken to have them all."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one question."""

    series: int
    documents: int
    preferred_documents: int
    """A step that nobody asked for costs at most so many."""


@dataclass(frozen=True, slots=True)
class SelectedSamples:
    """What was read: the numbers come from `samples.evaluate` with the rows of `selection`."""

    selection: Selection
    samples: Samples
    plan: Plan


class SeriesReader:
    """Every windowed read goes through this."""

    def __init__(self, series: SeriesCatalogue, windows: WindowReader, clock: Clock, limits: Limits) -> None:
        self.catalogue, self.limits = series, limits
        self._windows, self._clock = windows, clock
        self._selections = Selections[list[Series]](series, clock, len)

    async def select(self, tenant: TenantId, wanted: Filter, what: str) -> list[Series]:
        """The series of the filter, by name and labels. Raises QueryLimitExceeded."""
        return await self._selections.get(
            tenant, wanted, lambda: self.catalogue.find(tenant, wanted, self.limits.series, what)
        )

    async def read(
        self, tenant: TenantId, series: Iterable[Series], grid: Grid, asked: Collection[tuple[Function, Kind]]
    ) -> SelectedSamples:
        """The samples of the series for these functions of these kinds of series.

        Raises QueryLimitExceeded when that is more than one question may cost, RetentionExceeded when it is too fine
        for its age."""
        selection = Selection(list(series))
        now_ms = self._clock.now_ms()
        present = [(function, kind) for function, kind in asked if kind in selection.kinds]
        columns = frozenset[Column]().union(*(functions.columns(f, [k]) for f, k in present))
        lookback = any(functions.needs_lookback(function, [kind]) for function, kind in present)
        whole = await self._completeness(selection)
        chosen = plan(grid, whole.dirty_since, now_ms, whole_since=whole.whole_since, lookback=lookback)
        if await self.too_many(tenant, selection, chosen):
            possible = partial(plan, dirty_since=whole.dirty_since, now_ms=now_ms, whole_since=whole.whole_since)
            raise self._too_expensive(chosen, selection, grid, possible)
        cells = await self._windows.read(tenant, selection, chosen, columns)
        if lookback:
            cells += await self._read_before(tenant, selection, chosen, cells=cells, start_ms=grid.start, whole=whole)
        return SelectedSamples(selection, Samples(cells, grid, now_ms), chosen)

    async def _read_before(
        self,
        tenant: TenantId,
        selection: Selection,
        chosen: Plan,
        *,
        cells: tuple[Cells, ...],
        start_ms: int,
        whole: Completeness,
    ) -> tuple[Cells, ...]:
        """The windows with the last values of the counters that had none shortly before `start_ms`."""
        known_since_ms = min([start_ms, *(piece.start for piece in chosen.pieces)])
        rows = await asyncio.to_thread(increase.unpreceded, *cells, start_ms=start_ms, known_since_ms=known_since_ms)
        found: tuple[Cells, ...] = ()
        plans = plans_before(known_since_ms, whole.dirty_since, self._clock.now_ms(), whole_since=whole.whole_since)
        for before in plans:
            if not len(rows):
                break
            if await self.too_many(tenant, selection, before, rows):
                documents = before.windows * len(selection.chunks_of(rows))
                raise QueryLimitExceeded(
                    f"match: {len(rows)} counters have their last value long before the time asked for; finding it "
                    f"needs {documents} documents, one request reads at most {self.limits.documents} of them at once: "
                    "use fewer series (match=label=value)",
                    "match",
                )
            latest = await self._windows.read(tenant, selection, before, (), rows)
            rows = np.setdiff1d(rows, np.concatenate([rows[:0], *(one.rows for one in latest)]))
            found += latest
        return found

    async def cheapest(self, series: Iterable[Series], grids: Iterable[Callable[[], Grid]]) -> Grid:
        """The first of the grids, finest first, that costs little; else the last one that is possible at all."""
        selection = Selection(list(series))
        whole = await self._completeness(selection)
        now_ms = self._clock.now_ms()
        last: Grid | None = None
        for make in grids:
            last = make()
            chosen = plan(last, whole.dirty_since, now_ms, whole_since=whole.whole_since)
            if chosen.windows * len(selection.chunks) <= self.limits.preferred_documents:
                return last
        if last is None:
            raise ValueError("no grid to choose from")
        return last

    async def _completeness(self, selection: Selection) -> Completeness:
        return await self._windows.completeness(selection.partitions) if selection.series else Completeness({}, {})

    async def too_many(
        self, tenant: TenantId, selection: Selection, chosen: Plan, rows: npt.NDArray[np.int64] | None = None
    ) -> bool:
        """Whether there are more documents, of the chunks of `rows` only, than one question may read at once: counted
        when there might be."""
        limit = self.limits.documents
        chunks = len(selection.chunks if rows is None else selection.chunks_of(rows))
        if chosen.windows * chunks <= limit:
            return False
        return chunks > _COUNTED_CHUNKS or await self._windows.count(tenant, selection, chosen, limit + 1, rows) > limit

    def _too_expensive(
        self, chosen: Plan, selection: Selection, grid: Grid, possible: Callable[[Grid], Plan]
    ) -> QueryLimitExceeded:
        """With a step that costs less, or else with the time that can be had."""
        limit, chunks = self.limits.documents, len(selection.chunks)
        error = QueryLimitExceeded(
            f"step: {len(selection.series)} series over {chosen.windows} windows (finest use of the {chosen.tier.name} "
            f"tier) need more than the {limit} documents that one request reads at most",
            "step",
        )
        fewer = "or fewer series (match=label=value)"
        for step in NICE_STEPS:
            if grid.step_ms < step <= grid.end - grid.start:
                coarser = possible(stepped(grid.start, grid.end, step))
                if coarser.windows * chunks <= limit:
                    return error.advise(f"use step={duration(step)}, a shorter time {fewer}")
        length = (grid.end - grid.start) // 2
        while length >= grid.step_ms:
            shorter = stepped(grid.end - length, grid.end, grid.step_ms)
            if possible(shorter).windows * chunks <= limit:
                return error.advise(f"use from={iso(shorter.start)} {fewer}")
            length //= 2
        return error.advise("use fewer series (match=label=value)")
