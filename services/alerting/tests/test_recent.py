"""The newest windows are those that folding all samples at once gives, whatever the batches."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.engine.recent import RecentWindows
from vigie_windows import Cells, Kind, fold, renumbered

WIDTH = 10_000
SLOTS = 4
KINDS = np.array([Kind.GAUGE, Kind.COUNTER, Kind.CUMULATIVE, Kind.HISTOGRAM] * 100, np.uint8)
SKETCHED = KINDS == Kind.HISTOGRAM

sample = st.tuples(st.integers(0, 399), st.integers(0, 8 * WIDTH), st.integers(0, 20))


def same(one: Cells, other: Cells) -> bool:
    names = [field.name for field in fields(Cells) if field.name != "width_ms"]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def folded(samples: list[tuple[int, int, int]]) -> Cells:
    rows, times, values = (np.array(column) for column in zip(*samples, strict=True))
    return fold(rows, times, values.astype(float), KINDS, WIDTH)


def of_histograms(cells: Cells) -> Cells:
    """With the sketches of histograms only."""
    kept = cells.kind[cells.sketch_cell] == Kind.HISTOGRAM
    columns = {name: getattr(cells, name)[kept] for name in ("sketch_cell", "sketch_bucket", "sketch_count")}
    return replace(cells, **columns)


@given(st.lists(st.lists(sample, min_size=1, max_size=20), min_size=1, max_size=8))
def test_batches_in_time_order_give_what_one_folding_gives(batches: list[list[tuple[int, int, int]]]) -> None:
    # In the order of time, because of the one case in which resets depend on the order (`vigie_windows.resets`).
    everything = sorted((one for batch in batches for one in batch), key=lambda one: (one[1], one[2]))
    recent = RecentWindows(WIDTH, SLOTS)
    recent.grow(KINDS[:150], SKETCHED[:150])
    recent.grow(KINDS[150:], SKETCHED[150:])
    recent.advance(8 * WIDTH)
    taken, at = 0, 0
    for size in (len(batch) for batch in batches):
        part, at = everything[at : at + size], at + size
        taken += len(folded(part)) - recent.add(folded(part))
    expected = of_histograms(folded(everything))
    expected = expected.select(expected.starts > (8 - SLOTS) * WIDTH)
    assert same(recent.cells(), expected)
    assert (taken > 0) == (len(expected) > 0)
    chosen = np.arange(0, 400, 7)
    assert same(recent.cells(chosen), expected.select(np.isin(expected.rows, chosen)))
    since = 7 * WIDTH
    assert same(recent.cells(since_ms=since), expected.select(expected.starts >= since))


crowded = st.tuples(st.integers(0, 7), st.integers(0, 3 * WIDTH - 1), st.integers(-3, 3))


@given(st.lists(st.lists(crowded, min_size=1, max_size=12), min_size=1, max_size=6))
def test_samples_of_the_same_windows_add_up_in_any_order(batches: list[list[tuple[int, int, int]]]) -> None:
    """Where there are no turning points, which depend on the order."""
    kept = [[one for one in batch if KINDS[one[0]] != Kind.CUMULATIVE] for batch in batches]
    recent = RecentWindows(WIDTH, SLOTS)
    recent.grow(KINDS[:8], SKETCHED[:8])
    recent.advance(3 * WIDTH)
    for batch in filter(None, kept):
        recent.add(folded(batch))
    if everything := [one for batch in kept for one in batch]:
        expected = of_histograms(folded(everything))
        assert same(recent.cells(), expected)
        low, high = recent.extremes(np.arange(8))
        for row in range(8):
            mine = expected.select(expected.rows == row)
            assert (low[row], high[row]) == (mine.min.min(initial=np.inf), mine.max.max(initial=-np.inf))


@given(st.lists(sample, min_size=1, max_size=40), st.lists(sample, max_size=20), st.permutations(range(400)))
def test_what_was_counted_before_is_added_to_what_came_since(
    before: list[tuple[int, int, int]], since: list[tuple[int, int, int]], rows: list[int]
) -> None:
    # One after the other, because of the one case in which resets depend on the order.
    since = [one for one in since if one[1] > max(at for _, at, _ in before)]
    row_of = np.array(rows)
    recent, expected = (RecentWindows(WIDTH, SLOTS) for _ in range(2))
    expected.grow(KINDS, SKETCHED)
    recent.grow(KINDS[np.argsort(row_of)], SKETCHED[np.argsort(row_of)])
    for one in (recent, expected):
        one.advance(8 * WIDTH)
    expected.add(folded(before + since))
    if since:
        cells = folded(since)
        recent.add(renumbered(cells, row_of[cells.rows]))
    recent.fill(folded(before), row_of[folded(before).rows])
    found = recent.cells()
    assert same(renumbered(found, np.argsort(row_of)[found.rows]), expected.cells())


def test_rows_that_were_cleared_hold_nothing_of_before() -> None:
    recent = RecentWindows(WIDTH, SLOTS)
    recent.grow(np.full(2, Kind.HISTOGRAM, np.uint8), np.ones(2, np.bool_))
    recent.advance(8 * WIDTH)
    times = np.full(2, 8 * WIDTH)
    recent.add(fold(np.arange(2), times, np.ones(2), np.full(2, Kind.HISTOGRAM, np.uint8), WIDTH))
    recent.clear(np.array([0]))
    recent.renew(np.array([0]), np.array([Kind.GAUGE], np.uint8), np.zeros(1, np.bool_))
    assert recent.cells().rows.tolist() == [1]
    recent.add(fold(np.zeros(1, np.int64), times[:1], np.ones(1), np.array([Kind.GAUGE], np.uint8), WIDTH))
    assert recent.cells(np.array([0])).kind.tolist() == [Kind.GAUGE]
    assert not len(recent.cells(np.array([0])).sketch_cell)


def test_what_is_too_old_or_too_new_is_refused() -> None:
    recent = RecentWindows(WIDTH, SLOTS)
    recent.grow(KINDS, SKETCHED)
    recent.advance(9 * WIDTH)
    assert recent.add(folded([(0, 5 * WIDTH, 1), (1, 6 * WIDTH, 1), (2, 9 * WIDTH, 1), (3, 10 * WIDTH, 1)])) == 2
    assert recent.cells().rows.tolist() == [1, 2]


def test_a_slot_is_taken_by_the_next_window_when_the_head_moves() -> None:
    recent = RecentWindows(WIDTH, SLOTS)
    recent.grow(KINDS, SKETCHED)
    recent.advance(3 * WIDTH)
    recent.add(folded([(3, 0, 5), (2, 1, 9), (2, 2, 1), (0, 3 * WIDTH, 2)]))
    assert recent.cells().rows.tolist() == [2, 3, 0]
    recent.advance(4 * WIDTH)
    assert recent.cells().rows.tolist() == [0]
    recent.add(folded([(3, 4 * WIDTH, 7), (2, 4 * WIDTH, 3)]))
    held = recent.cells()
    assert held.sketch_count.tolist() == [1]
    assert not len(held.turn_cell)
