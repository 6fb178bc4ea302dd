"""Samples for PromQL from the stored windows: select the series, cover the time with windows, read, convert."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np
from vigie_contracts.limits import MAX_FUTURE_SKEW_MS
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import CHUNK_SLOTS, TIERS
from vigie_query.errors import QueryLimitExceeded
from vigie_query.planning import Plan, covering
from vigie_query.promql import tiers
from vigie_query.promql.cells import samples_of
from vigie_query.promql.plan import Selector
from vigie_query.promql.reading import Read, Wanted
from vigie_query.promql.samples import Ints, Samples, joined
from vigie_query.promql.tiers import Need
from vigie_runtime import tasks
from vigie_runtime.clock import Clock
from vigie_runtime.expressions import Expressions
from vigie_windows import Cells

from vigie_storage.latest import Chunks, LatestReader
from vigie_storage.promql import newest
from vigie_storage.promql.selection import Selected, SelectorReader
from vigie_storage.promql.totals import totals_of
from vigie_storage.reader import SeriesReader
from vigie_storage.windows.reader import WindowReader

MAX_SAMPLES: Final = 6_000_000
"""Samples held for one question: about 100 MB; those that stand for several weigh as much as _HEAVY, two
buckets of sketches as much as one."""
_HEAVY: Final = 4
_FEW_ENDS: Final = 1_000
_FEW_CELLS: Final = 2_000
"""So many are planned for, and converted, in less than a millisecond."""
_CELLS_AT_ONCE: Final = 250_000
"""Cells of one part; two parts are held beside the samples, of which one is being read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One selector of a question, and where it is read."""

    windows: WindowReader
    tenant: TenantId
    selected: Selected
    need: Need


class PromqlReader:
    """Every read for PromQL goes through this."""

    def __init__(
        self, series: SeriesReader, windows: WindowReader, latest: LatestReader, clock: Clock, expressions: Expressions
    ) -> None:
        self._series, self._windows, self._latest, self._clock = series, windows, latest, clock
        self.selectors = SelectorReader(series.catalogue, expressions, clock, series.limits.series)
        """Also for who asks what there is: what is kept of the catalogue is kept once."""

    def of(self, tenant: TenantId) -> StoredSamples:
        """What the expressions of a tenant read."""
        return StoredSamples(self, tenant)

    async def read(self, tenant: TenantId, wanted: Wanted, room: int) -> tuple[Samples, tuple[str, ...]]:
        """The samples of one selector, of which `room` fit, and the infos about them."""
        # What the plan will ask is looked up meanwhile.
        selected, _ = await asyncio.gather(
            self.selectors.select(tenant, wanted.selector.matchers), self._windows.completeness(())
        )
        if not selected.selection.series:
            return samples_of((), selected.shown), ()
        short = sum(map(tiers.ends, wanted.uses)) <= _FEW_ENDS and len(selected.shown.rows) <= _FEW_CELLS
        need = await tasks.beside(lambda: tiers.need(wanted, selected.shown), short=short)
        # Running totals are those of the latest values, without what came since: of one moment with the windows.
        moment = self._windows.at_one_moment() if need.totals else nullcontext(self._windows)
        async with moment as windows:
            asked = Asked(windows, tenant, selected, need)
            plan, infos = await self._plan(asked, wanted.selector)
            parts = [part async for part in self._parts(asked, plan, room)]
        samples = replace(joined(parts), labels=selected.shown.labels)
        if need.estimated and samples.columns is not None and (samples.columns.count > 1).any():
            infos = (*infos, tiers.of_estimates(need.estimated, wanted.selector))
        return samples, infos

    async def _plan(self, asked: Asked, selector: Selector) -> tuple[Plan, tuple[str, ...]]:
        """The finest windows that are not too many, where finer ones would say more."""
        need, selection, now_ms = asked.need, asked.selected.selection, self._clock.now_ms()
        whole = await asked.windows.completeness(selection.partitions)
        # All that is counted, also ahead of its time.
        edges = [*need.edges, max(now_ms + MAX_FUTURE_SKEW_MS, need.edges[-1])] if need.totals else need.edges
        for finest in range(len(TIERS)):
            cover = partial(
                covering, edges, whole.dirty_since, now_ms, whole_since=whole.whole_since, finest=finest,
                coarsest=max(finest, need.coarsest),
            )  # fmt: skip
            plan, rounded = await tasks.beside(cover, short=len(edges) <= 2 * _FEW_ENDS)
            if not await self._series.too_many(asked.tenant, selection, plan):
                return plan, () if rounded is None else (tiers.of_tier(rounded, selector),)
        raise QueryLimitExceeded(
            f"query: {len(selection.series)} series need more than the {self._series.limits.documents} "
            "documents that one question reads at most: use fewer series, a shorter time or a longer step",
            "query",
        )

    async def _parts(self, asked: Asked, plan: Plan, room: int) -> AsyncIterator[Samples]:
        """Some chunks at a time, so that their cells need not all be held at once."""
        selection, shown = asked.selected.selection, asked.selected.shown
        step = max(1, _CELLS_AT_ONCE // max(1, plan.windows * CHUNK_SLOTS)) * CHUNK_SLOTS
        edges = np.searchsorted(shown.rows, np.arange(0, len(selection.chunks) * CHUNK_SLOTS + step, step)).tolist()
        parts = [shown.slice(begin, end) for begin, end in pairwise(edges)]

        async def read(rows: Ints) -> tuple[tuple[Cells, ...], Chunks | None]:
            cells = await self._cells(asked, plan, rows)
            if not asked.need.totals:
                return cells, None
            return cells, await self._latest.stored(asked.tenant, selection.chunks_of(rows), asked.windows.session)

        reading = asyncio.create_task(read(np.unique(parts[0].rows)))
        try:
            for at, part in enumerate(parts):
                cells, latest = await reading
                if at + 1 < len(parts):  # the store works while these are converted
                    reading = asyncio.create_task(read(np.unique(parts[at + 1].rows)))
                totals = None if latest is None else await asyncio.to_thread(totals_of, part, selection, latest)
                samples = await tasks.beside(
                    partial(samples_of, cells, part, totals), short=sum(map(len, cells)) <= _FEW_CELLS
                )
                room -= _weight(samples)
                if room < 0:
                    raise QueryLimitExceeded(
                        f"query: more than {MAX_SAMPLES:,} samples would have to be held: use fewer series, a shorter "
                        "time or a longer step",
                        "query",
                    )
                yield samples
        finally:
            await tasks.end([reading])

    async def _cells(self, asked: Asked, plan: Plan, rows: Ints) -> tuple[Cells, ...]:
        """The windows of these rows; when only their newest samples matter, no more than these need."""
        tenant, selection, need = asked.tenant, asked.selected.selection, asked.need
        if need.newest_ms is None or need.totals:  # totals: with all that came since
            return await asked.windows.read(tenant, selection, plan, need.columns, rows)
        found: tuple[Cells, ...] = ()
        for part in newest.parts(plan, need.newest_ms):
            found += await asked.windows.read(tenant, selection, part, need.columns, rows)
            rows = newest.without(rows, found, need.newest_ms)
            if not len(rows):
                break
        return found


def _weight(samples: Samples) -> int:
    buckets = 0 if samples.sketches is None else len(samples.sketches.count)
    return len(samples.times) * (1 if samples.columns is None else _HEAVY) + buckets // 2


@dataclass(frozen=True, slots=True)
class StoredSamples:
    """A SamplesReader over the stored windows of a tenant."""

    reader: PromqlReader
    tenant: TenantId

    async def read(self, wanted: Sequence[Wanted]) -> Read:
        found: dict[Selector, Samples] = {}
        infos: dict[str, None] = {}
        room = MAX_SAMPLES
        for one in wanted:
            found[one.selector], said = await self.reader.read(self.tenant, one, room)
            room -= _weight(found[one.selector])
            infos.update(dict.fromkeys(said))
        return Read(found, infos=tuple(infos))
