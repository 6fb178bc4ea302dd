"""The same step has the same number, however the time of a question is cut: with a double of the stored windows."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import TIERS
from vigie_query.errors import QueryLimitExceeded, RetentionExceeded
from vigie_query.functions import Function
from vigie_query.grid import Grid, stepped
from vigie_query.planning import Plan
from vigie_query.series import Selection, Series
from vigie_query.times import DAY, HOUR, MINUTE, SECOND
from vigie_runtime.clock import ManualClock
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.windows.reader import Completeness
from vigie_windows import Cells, fold, increase, widen

TENANT = TenantId("acme")
NOW = 1_790_000_000_000 // HOUR * HOUR + 20 * MINUTE
ONE = Series(1, "requests", Kind.CUMULATIVE, (("pod", "a"),), 0, 7, 0)
OTHER = Series(2, "requests", Kind.CUMULATIVE, (("pod", "b"),), 1, 300, 0)
Sample = tuple[int, float]


class StoredWindows:
    """What `WindowReader` reads, of samples by series."""

    def __init__(self, samples: dict[Series, list[Sample]], dirty_since: dict[str, int | None]) -> None:
        self.samples, self.dirty_since = samples, dirty_since
        self.plans: list[Plan] = []
        self.counted = self.counted_before = 0
        """How many documents of a plan there really are, and of the time before."""

    async def completeness(self, _partitions: Collection[int]) -> Completeness:
        return Completeness(self.dirty_since, {})

    async def count(
        self,
        _tenant: TenantId,
        _selection: Selection,
        _plan: Plan,
        limit: int,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> int:
        return min(limit, self.counted if rows is None else self.counted_before)

    async def read(
        self,
        _tenant: TenantId,
        selection: Selection,
        plan: Plan,
        _columns: Any,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> tuple[Cells, ...]:
        self.plans.append(plan)
        wanted = set((selection.rows if rows is None else rows).tolist())
        row_of = dict(zip(selection.series, selection.rows.tolist(), strict=True))
        found = [(row_of[one], at, value) for one, own in self.samples.items() if one in row_of for at, value in own]
        found = [sample for sample in found if sample[0] in wanted]
        columns = tuple(zip(*found, strict=True)) or ((), (), ())
        row, at, value = (np.array(column, kind) for column, kind in zip(columns, "qqd", strict=True))
        fine = fold(row, at, value, np.full(1 << 19, Kind.CUMULATIVE, np.uint8))
        wide = [(piece, widen(fine, piece.tier.width_ms)) for piece in plan.pieces]
        return tuple(cells.select((cells.starts >= piece.start) & (cells.starts < piece.end)) for piece, cells in wide)


def grown(windows: StoredWindows, grid: Grid, documents: int = 100_000, now_ms: int = NOW) -> dict[int, float]:
    """The increase of all series together by the beginning of the step; steps without samples are absent."""
    reader = SeriesReader(None, windows, ManualClock(now_ms), Limits(100, documents, 5_000))  # type: ignore[arg-type]
    read = reader.read(TENANT, windows.samples, grid, [(Function.INCREASE, Kind.CUMULATIVE)])
    answer = asyncio.run(read)
    _, group_of_row = answer.selection.groups(())
    values = answer.samples.evaluate(Function.INCREASE, group_of_row, 1)[0].tolist()
    steps = zip(grid.edges[:-1].tolist(), values, strict=True)
    return {start: value for start, value in steps if not math.isnan(value)}


def reference(windows: StoredWindows, grid: Grid) -> dict[int, float]:
    """The same from the samples."""
    result: dict[int, float] = {}
    for own in windows.samples.values():
        points = sorted(own)
        for before, (at, value) in pairwise([(-math.inf, 0.0), *points]):
            step = int(np.searchsorted(grid.edges, at, side="right")) - 1
            if 0 <= step < grid.steps:
                counted = value - before[1] if value >= before[1] else value
                counted = counted if at - before[0] <= increase.MAX_GAP_MS else 0.0
                start = int(grid.edges[step])
                result[start] = result.get(start, 0.0) + counted
    return result


def test_the_first_step_of_a_question_counts_from_the_value_before_it() -> None:
    start = NOW - 2 * HOUR
    windows = StoredWindows({ONE: [(start + i * 10 * MINUTE, 100.0 + 60 * i) for i in range(3)]}, {})
    whole = grown(windows, stepped(start, start + 30 * MINUTE, 10 * MINUTE))
    assert list(whole.values()) == [0, 60, 60]
    pieces = [
        grown(windows, stepped(start + i * 10 * MINUTE, start + (i + 1) * 10 * MINUTE, 10 * MINUTE)) for i in range(3)
    ]
    assert [value for piece in pieces for value in piece.values()] == [0, 60, 60]


cadences = st.sampled_from([1, 7, 10, 45, 60, 301, 600, 3_600, 7_300, 6 * 3_600, 24 * 3_600 + 30, 26 * 3_600])
values = st.integers(0, 50).map(float)


@st.composite
def counters(draw: st.DrawFn) -> list[Sample]:
    """Samples of one counter with its own cadence and some resets."""
    cadence = draw(cadences) * SECOND
    first = NOW - draw(st.integers(0, 4 * DAY // MINUTE)) * MINUTE - draw(st.integers(0, 59_999))
    steps = draw(st.lists(st.integers(-1, 50), min_size=1, max_size=25))
    samples, value = [], 100.0
    for position, grows in enumerate(steps):
        value = 3.0 if grows < 0 else value + grows
        samples.append((first + position * cadence, value))
    return [(at, value) for at, value in samples if at <= NOW]


tens = st.integers(0, 3 * 8_640).map(lambda n: NOW - n * 10 * SECOND)
# How long after NOW is asked: at once, or when the horizon of a tier is among the samples.
later = st.just(0) | st.builds(
    lambda tier, n: tier.retention_ms - n * 37 * SECOND, st.sampled_from(TIERS[:-1]), st.integers(0, 3_000)
)


def horizon(step: int, now_ms: int) -> int:
    """Since when everything is kept that these steps are read from."""
    finest = max(index for index, tier in enumerate(TIERS) if tier.width_ms <= step)
    coarser = TIERS[min(finest + 1, len(TIERS) - 1)].width_ms
    return -(-(now_ms - TIERS[finest].retention_ms) // coarser) * coarser


@given(
    st.builds(StoredWindows, st.fixed_dictionaries({ONE: counters(), OTHER: counters()}),
              st.fixed_dictionaries({"1h": tens, "1m": tens})),
    st.sampled_from([10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR]),
    st.lists(st.integers(0, 300), min_size=2, max_size=6, unique=True), tens, later,
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_a_step_has_one_number_however_the_range_is_cut(
    windows: StoredWindows, step: int, cuts: list[int], until: int, later: int
) -> None:
    kept = -(-horizon(step, NOW + later) // step) * step
    at = sorted({max(until // step * step - cut * step, kept) for cut in cuts})
    if len(at) < 2:
        return
    whole = grown(windows, stepped(at[0], at[-1], step), now_ms=NOW + later)
    assert whole == pytest.approx(reference(windows, stepped(at[0], at[-1], step)))
    pieces = [grown(windows, stepped(start, end, step), now_ms=NOW + later) for start, end in pairwise(at)]
    assert whole == pytest.approx({start: value for piece in pieces for start, value in piece.items()})


@pytest.mark.parametrize("tier", [0, 1])
def test_after_the_horizon_of_a_tier_a_counter_grows_as_before(tier: int) -> None:
    fine, coarse = TIERS[tier], TIERS[tier + 1]
    start = NOW // HOUR * HOUR
    cadence = coarse.width_ms // 6
    windows = StoredWindows({ONE: [(start + i * cadence, 10.0 * i) for i in range(-50, 50)]}, {})
    # Of a coarser window the first three quarters are gone.
    now_ms = start + coarse.width_ms * 3 // 4 + fine.retention_ms
    grid = stepped(start + coarse.width_ms, start + 2 * coarse.width_ms, fine.width_ms)
    assert list(grown(windows, grid, now_ms=now_ms).values()) == [10.0] * 6
    with pytest.raises(RetentionExceeded):
        grown(windows, stepped(grid.start - fine.width_ms, grid.end, fine.width_ms), now_ms=now_ms)


def test_only_counters_without_a_value_shortly_before_are_looked_for_further_back() -> None:
    steady = [(NOW - i * MINUTE, 1_000.0 - i) for i in range(90)]
    windows = StoredWindows({ONE: steady}, {})
    grid = stepped(NOW - HOUR, NOW, 10 * MINUTE)
    grown(windows, grid)
    assert len(windows.plans) == 1
    windows.samples[OTHER] = [(NOW - 20 * HOUR, 5.0), (NOW - 30 * MINUTE, 9.0)]
    assert sum(grown(windows, grid).values()) == pytest.approx(60 + 4, abs=1)
    before = windows.plans[2:]
    assert sum(one.windows for one in before) < 200
    assert before[-1].pieces[0].tier is TIERS[-1]
    assert before[-1].pieces[0].start <= NOW - 20 * HOUR
    windows.counted_before = 21
    with pytest.raises(QueryLimitExceeded, match=r"1 counters .* fewer series"):
        grown(windows, grid, documents=15)
    windows.counted = 90
    with pytest.raises(QueryLimitExceeded, match=r"step: 2 series .* use step="):
        grown(windows, grid, documents=50)


def test_what_was_found_is_not_looked_for_further_back() -> None:
    windows = StoredWindows({ONE: [(NOW - 3 * HOUR, 5.0), (NOW - 30 * MINUTE, 9.0)]}, {})
    assert sum(grown(windows, stepped(NOW - HOUR, NOW, 10 * MINUTE)).values()) == 4
    assert min(piece.start for one in windows.plans for piece in one.pieces) >= NOW - 6 * HOUR


def test_counters_that_are_new_may_be_in_as_many_chunks_as_one_question_reads() -> None:
    chunks = 1_250
    new = {Series(n, "requests", Kind.CUMULATIVE, (("pod", str(n)),), 0, 256 * n, 0): [(NOW - MINUTE, 1.0)]
           for n in range(chunks)}  # fmt: skip
    windows = StoredWindows(new, {})
    reader = SeriesReader(None, windows, ManualClock(NOW), Limits(2_000, 16 * chunks, 5_000))  # type: ignore[arg-type]
    grid = stepped(NOW - 10 * MINUTE, NOW, MINUTE)
    answer = asyncio.run(reader.read(TENANT, new, grid, [(Function.INCREASE, Kind.CUMULATIVE)]))
    assert len(answer.selection.chunks) == chunks


def test_what_is_read_of_the_time_before_is_counted_when_it_may_be_too_much() -> None:
    imported = {"1h": NOW - 5 * DAY, "1m": NOW - 5 * DAY}
    windows = StoredWindows({ONE: [(NOW - 20 * HOUR, 5.0), (NOW - 30 * MINUTE, 9.0)]}, imported)
    grid = stepped(NOW - HOUR, NOW, 10 * MINUTE)
    assert sum(grown(windows, grid, documents=500).values()) == 4
