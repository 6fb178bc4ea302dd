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
from vigie_query.errors import QueryLimitExceeded
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
        self.counted = 0
        """How many documents of a plan there really are."""

    async def completeness(self, _partitions: Collection[int]) -> Completeness:
        return Completeness(self.dirty_since, {})

    async def count(self, _tenant: TenantId, _selection: Selection, _plan: Plan, limit: int) -> int:
        return min(limit, self.counted)

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
        fine = fold(row, at, value, np.full(1 << 12, Kind.CUMULATIVE, np.uint8))
        wide = [(piece, widen(fine, piece.tier.width_ms)) for piece in plan.pieces]
        return tuple(cells.select((cells.starts >= piece.start) & (cells.starts < piece.end)) for piece, cells in wide)


def grown(windows: StoredWindows, grid: Grid, documents: int = 100_000) -> dict[int, float]:
    """The increase of all series together by the beginning of the step; steps without samples are absent."""
    reader = SeriesReader(None, windows, ManualClock(NOW), Limits(100, documents, 5_000))  # type: ignore[arg-type]
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


@given(
    st.builds(StoredWindows, st.fixed_dictionaries({ONE: counters(), OTHER: counters()}),
              st.fixed_dictionaries({"1h": tens, "1m": tens})),
    st.sampled_from([10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR]),
    st.lists(st.integers(0, 300), min_size=2, max_size=6, unique=True), tens,
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_a_step_has_one_number_however_the_range_is_cut(
    windows: StoredWindows, step: int, cuts: list[int], until: int
) -> None:
    at = sorted(max(until // step * step - cut * step, (NOW - 47 * HOUR) // step * step + step) for cut in cuts)
    at = sorted(set(at))
    if len(at) < 2:
        return
    whole = grown(windows, stepped(at[0], at[-1], step))
    assert whole == pytest.approx(reference(windows, stepped(at[0], at[-1], step)))
    pieces = [grown(windows, stepped(start, end, step)) for start, end in pairwise(at)]
    assert whole == pytest.approx({start: value for piece in pieces for start, value in piece.items()})


def test_only_counters_without_a_value_shortly_before_are_looked_for_further_back() -> None:
    steady = [(NOW - i * MINUTE, 1_000.0 - i) for i in range(90)]
    windows = StoredWindows({ONE: steady}, {})
    grid = stepped(NOW - HOUR, NOW, 10 * MINUTE)
    grown(windows, grid)
    assert len(windows.plans) == 1
    windows.samples[OTHER] = [(NOW - 20 * HOUR, 5.0), (NOW - 30 * MINUTE, 9.0)]
    assert sum(grown(windows, grid).values()) == pytest.approx(60 + 4, abs=1)
    [_, _, before] = windows.plans
    assert before.windows < 200
    assert before.pieces[0].tier is TIERS[-1]
    with pytest.raises(QueryLimitExceeded, match=r"1 counters .* fewer series"):
        grown(windows, grid, documents=20)
    windows.counted = 90
    with pytest.raises(QueryLimitExceeded, match=r"step: 2 series .* use step="):
        grown(windows, grid, documents=50)
