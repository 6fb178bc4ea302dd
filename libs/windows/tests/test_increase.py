"""Increase across windows against a walk over all samples."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_windows import IncompatibleError, Kind, fold, increase, widen
from vigie_windows.arrays import run_starts

T0 = 1_700_000_400_000 // 3_600_000 * 3_600_000
KINDS = np.array([Kind.CUMULATIVE, Kind.COUNTER, Kind.GAUGE, Kind.CUMULATIVE], np.uint8)


def cells_of(samples, width=10_000):
    columns = list(zip(*samples, strict=True)) if samples else ([], [], [])
    rows, ts, values = np.array(columns[0], np.int64), np.array(columns[1], np.int64), np.array(columns[2], float)
    return fold(rows, ts, values, KINDS, width)


def over_windows(*cells, start_ms, end_ms, step_ms):
    """The increase per row and step of `step_ms`; nan where a row has no window in a step."""
    steps = max(0, -((start_ms - end_ms) // step_ms))
    rows, starts, grown = increase.per_window(*cells)
    inside = (starts >= start_ms) & (starts < end_ms)
    rows, starts, grown = rows[inside], starts[inside], grown[inside]
    begins = run_starts(rows)
    place = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(rows))))
    square = place * steps + (starts - start_ms) // step_ms
    size = len(begins) * steps
    values = np.bincount(square, grown, size).astype(np.float64, copy=False)
    values[np.bincount(square, minlength=size) == 0] = np.nan
    return SimpleNamespace(rows=rows[begins], values=values.reshape(len(begins), steps))


def reference(samples, start, end, step):
    """(row, step index) -> increase; a sample's step from the one before counts where the sample's window starts."""
    out, before = {}, {}
    for row, ts, value in sorted(samples):
        if KINDS[row] == Kind.GAUGE:
            continue
        last = before.get(row)
        before[row] = value
        grown = value if KINDS[row] == Kind.COUNTER else 0.0
        if KINDS[row] == Kind.CUMULATIVE and last is not None:
            grown = value - last if value >= last else value
        window = ts // 10_000 * 10_000
        if start <= window < end:
            place = row, (window - start) // step
            out[place] = out.get(place, 0.0) + grown
    return out


samples_of = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 200_000).map(lambda ms: T0 + ms), st.integers(0, 100).map(float)),
    max_size=60,
    unique_by=lambda s: s[:2],
)


@given(samples_of, st.sampled_from([10_000, 20_000, 50_000, 70_000]), st.sampled_from([0, 20_000]))
@settings(max_examples=200, deadline=None)
def test_increase_equals_a_walk_over_all_samples(samples, step, skip):
    start, end = T0 + skip, T0 + 190_000
    found = over_windows(cells_of(samples), start_ms=start, end_ms=end, step_ms=step)
    want = reference(samples, start, end, step)
    assert found.values.shape == (len(found.rows), math.ceil((end - start) / step))
    assert found.rows.tolist() == sorted({row for row, _ in want})
    for i, row in enumerate(found.rows.tolist()):
        for j, value in enumerate(found.values[i].tolist()):
            assert value == want[row, j] if (row, j) in want else math.isnan(value)


@given(samples_of)
@settings(max_examples=80, deadline=None)
def test_a_coarse_tier_continued_by_a_finer_one_gives_the_same_total(samples):
    fine = cells_of(samples)
    coarse = widen(fine.select(fine.starts < T0 + 120_000), 60_000)
    rest = fine.select(fine.starts >= T0 + 120_000)
    span = {"start_ms": T0, "end_ms": T0 + 240_000, "step_ms": 60_000}
    whole, spliced = over_windows(fine, **span), over_windows(rest, coarse, **span)
    np.testing.assert_array_equal(whole.rows, spliced.rows)
    np.testing.assert_array_equal(whole.values, spliced.values)


def test_a_gap_is_counted_in_the_later_window_and_the_first_window_starts_at_its_first_sample():
    cells = cells_of([(0, T0, 100.0), (0, T0 + 1, 101.0), (0, T0 + 50_000, 7.0)])
    found = over_windows(cells, start_ms=T0, end_ms=T0 + 60_000, step_ms=10_000)
    assert found.values[0, 0] == 1.0
    assert np.isnan(found.values[0, 1:5]).all()
    assert found.values[0, 5] == 7.0


def test_nothing_to_read_gives_no_rows():
    span = {"start_ms": T0, "end_ms": T0 + 60_000, "step_ms": 10_000}
    assert over_windows(**span).values.shape == (0, 6)
    assert over_windows(cells_of([]), **span).values.shape == (0, 6)
    assert over_windows(cells_of([]), start_ms=T0, end_ms=T0, step_ms=1).values.shape == (0, 0)


def test_overlapping_windows_are_refused():
    cells = cells_of([(0, T0, 1.0)])
    with pytest.raises(IncompatibleError):
        over_windows(cells, widen(cells, 60_000), start_ms=T0, end_ms=T0 + 1, step_ms=1)
