"""Numbers from cells equal what the raw samples say, however the time is cut into tiers."""

import math
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_contracts.tiers import TIERS
from vigie_query.evaluation import Samples
from vigie_query.functions import QUANTILES, Function
from vigie_query.grid import Grid
from vigie_query.planning import plan
from vigie_query.times import DAY
from vigie_windows import Cells, Kind, fold, widen

Sample = tuple[int, int, float]
"""row, ms, value"""
BASE = 1_790_000_000_000 // 3_600_000 * 3_600_000
NOW = BASE + 3 * 3_600_000
KINDS = {0: Kind.GAUGE, 1: Kind.GAUGE, 2: Kind.COUNTER, 3: Kind.CUMULATIVE, 4: Kind.HISTOGRAM, 5: Kind.CUMULATIVE}


def cells_of(samples: list[Sample], pieces: Iterable[tuple[object, int, int]]) -> tuple[Cells, ...]:
    rows, times, values = (np.array(column) for column in zip(*samples, strict=True))
    kinds = np.array([KINDS[row] for row in range(len(KINDS))], np.uint8)
    fine = fold(rows, times.astype(np.int64), values.astype(np.float64), kinds)
    result = []
    for tier, start, end in pieces:
        wide = widen(fine, tier.width_ms)  # type: ignore[attr-defined]
        result.append(wide.select((wide.starts >= start) & (wide.starts < end)))
    return tuple(result)


SIMPLE = {
    Function.COUNT: len,
    Function.AVG: lambda values: math.fsum(values) / len(values),
    Function.MIN: min,
    Function.MAX: max,
}


def reference(function: Function, samples: list[Sample], rows: set[int], start: int, end: int) -> float | None:
    """The obvious way: all samples of the group in the step."""
    mine = [s for s in samples if s[0] in rows and start <= s[1] < end]
    if not mine:
        return None
    values = [value for _, _, value in mine]
    if function in SIMPLE:
        return SIMPLE[function](values)
    if function is Function.LAST:
        return max((at, value) for _, at, value in mine)[1]
    if function in QUANTILES:
        return sorted(values)[math.ceil(round(QUANTILES[function] * len(values), 9)) - 1]
    total = sum(total_of(function, row, [s for s in samples if s[0] == row], start, end) for row in rows)
    seconds = max(min(end, NOW) - start, 10_000) / 1000
    return total / seconds if function is Function.RATE else total


def total_of(function: Function, row: int, samples: list[Sample], start: int, end: int) -> float:
    """Of one series."""
    own = sorted((at, value) for _, at, value in samples if at < end)
    inside = [value for at, value in own if at >= start]
    match KINDS[row]:
        case Kind.CUMULATIVE:
            return sum(b - a if b >= a else b for (_, a), (at, b) in pairwise(own) if at >= start)
        case Kind.GAUGE:
            return sum(inside) / len(inside) if inside else 0.0
        case Kind.HISTOGRAM if function is not Function.SUM:
            return len(inside)
        case _:
            return sum(inside)


def check(function: Function, samples: list[Sample], grid: Grid, groups: dict[int, int], dirty: dict[str, int]) -> None:
    made = plan(grid, dirty, NOW, lookback=True)
    cells = cells_of(samples, made.pieces)
    group_of_row = np.full(256, -1, np.int64)
    for row, group in groups.items():
        group_of_row[row] = group
    count = max(groups.values()) + 1
    values = Samples(cells, grid, NOW).evaluate(function, group_of_row, count)
    assert values.shape == (count, grid.steps)
    members = defaultdict(set)
    for row, group in groups.items():
        members[group].add(row)
    for group in range(count):
        for step in range(grid.steps):
            start, end = int(grid.edges[step]), int(grid.edges[step + 1])
            expected = reference(function, samples, members[group], start, end)
            got = float(values[group, step])
            if expected is None:
                assert math.isnan(got)
            elif function in QUANTILES:
                assert got == pytest.approx(expected, rel=0.0101, abs=1e-12)
            else:
                assert got == pytest.approx(expected, rel=1e-12, abs=1e-9)


offsets = st.integers(0, 2 * 3_600_000 - 1)
samples = st.lists(
    st.tuples(st.integers(0, 5), offsets.map(lambda ms: BASE + ms), st.integers(0, 1000).map(float)),
    min_size=1, max_size=60, unique_by=lambda s: (s[0], s[1]),
)  # fmt: skip
tens = st.integers(0, 2 * 360)


@given(samples, st.lists(tens, min_size=2, max_size=6, unique=True), tens, tens, st.sampled_from(list(Function)))
@settings(max_examples=300, deadline=None)
def test_numbers_equal_those_of_the_raw_samples(
    raw: list[Sample], edges: list[int], hour: int, minute: int, function: Function
) -> None:
    grid = Grid(np.array([BASE + ten * 10_000 for ten in sorted(edges)], np.int64), 10_000)
    dirty = {"1h": BASE + hour * 10_000, "1m": BASE + minute * 10_000}
    if function in QUANTILES:
        groups = {0: 0, 1: 0, 4: 1}
    elif function in (Function.RATE, Function.INCREASE):
        groups = {2: 0, 3: 0, 4: 1, 5: 1}
    else:
        groups = {0: 0, 1: 0, 2: 1, 4: 1}
    if function in (Function.RATE, Function.INCREASE):
        # The reader looks back a window: earlier samples of cumulative counters are not known to it.
        raw = [s for s in raw if s[1] >= int(grid.edges[0]) or KINDS[s[0]] is not Kind.CUMULATIVE]
    if raw:
        check(function, raw, grid, groups, dirty)


def test_the_last_value_before_the_range_counts_for_cumulative_counters() -> None:
    raw = [(3, BASE + 3_599_000, 100.0), (3, BASE + 3_601_000, 130.0), (3, BASE + 3_700_000, 10.0)]
    grid = Grid(np.array([BASE + 3_600_000, BASE + 3_660_000, BASE + 3_720_000], np.int64), 60_000)
    check(Function.INCREASE, raw, grid, {3: 0}, {})


def test_the_sum_of_gauges_does_not_depend_on_how_often_they_are_sent() -> None:
    raw = [(0, BASE + i * 1_000, 10.0) for i in range(20)] + [(1, BASE + 500, 5.0)]
    grid = Grid(np.array([BASE, BASE + 60_000], np.int64), 60_000)
    made = cells_of(raw, [(TIERS[0], BASE, BASE + 60_000)])
    group_of_row = np.zeros(256, np.int64)
    assert Samples(made, grid, NOW).evaluate(Function.SUM, group_of_row, 1).tolist() == [[15.0]]


def test_a_rate_is_by_the_whole_step_however_young_the_series_is() -> None:
    made = cells_of([(2, BASE + 3_000_000, 6.0), (2, BASE + 3_300_000, 30.0)], [(TIERS[0], BASE, BASE + 3_600_000)])
    assert KINDS[2] is Kind.COUNTER
    grid = Grid(np.array([BASE, BASE + 3_600_000], np.int64), 3_600_000)
    [[whole]] = Samples(made, grid, BASE + DAY).evaluate(Function.RATE, np.zeros(256, np.int64), 1).tolist()
    assert whole == pytest.approx(36 / 3_600)
    [[running]] = Samples(made, grid, BASE + 3_400_000).evaluate(Function.RATE, np.zeros(256, np.int64), 1).tolist()
    assert running == pytest.approx(36 / 3_400)


def test_no_cells_give_no_numbers() -> None:
    grid = Grid(np.array([BASE, BASE + 60_000], np.int64), 60_000)
    for function in Function:
        values = Samples((), grid, NOW).evaluate(function, np.zeros(0, np.int64), 1)
        assert np.isnan(values).all()
