"""The sketch keeps its promise: relative error ALPHA against the exact rank-based quantile."""

import math

import numpy as np
import pytest
from ddsketch import DDSketch
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_windows import sketch

QS = (0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)


def exact(values: np.ndarray, q: float) -> float:
    return float(np.sort(values)[math.floor(q * (len(values) - 1))])


def counted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, buckets, counts = sketch.tally(np.zeros(len(values), np.int64), sketch.buckets_of(values), 1)
    return buckets, counts


def within(estimate: float, wanted: float) -> bool:
    if abs(wanted) > sketch.MAX_MAGNITUDE:
        return True
    return abs(estimate - wanted) <= sketch.ALPHA * abs(wanted) * (1 + 1e-9) + sketch.MIN_MAGNITUDE


magnitudes = st.floats(-12, 18).map(lambda e: 10**e) | st.floats(1e-3, 1e3) | st.integers(1, 50).map(float)
signed = st.builds(lambda m, s: m * s, magnitudes, st.sampled_from([1, 1, -1, 0]))
anything = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(signed, min_size=1, max_size=80), st.floats(0, 1))
@settings(max_examples=300, deadline=None)
def test_quantiles_are_within_the_stated_error(values, q):
    column = np.array(values, np.float64)
    buckets, counts = counted(column)
    for p in (q, *QS):
        assert within(sketch.quantile(buckets, counts, p, column.min(), column.max()), exact(column, p))


@given(st.lists(anything, min_size=1, max_size=40), st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_any_float_stays_between_the_extremes_and_in_bounds(values, q):
    column = np.array(values, np.float64)
    buckets, counts = counted(column)
    assert np.abs(buckets).max() <= sketch.BUCKETS
    estimate = sketch.quantile(buckets, counts, q, column.min(), column.max())
    assert column.min() <= estimate <= column.max()
    assert within(estimate, exact(column, q))


@given(st.lists(anything, min_size=2, max_size=40))
def test_buckets_have_the_order_of_values(values):
    column = np.sort(np.array(values))
    assert (np.diff(sketch.buckets_of(column)) >= 0).all()
    np.testing.assert_array_equal(sketch.buckets_of(-column), -sketch.buckets_of(column))


def test_bucket_edges_are_within_the_error():
    edges = sketch.GAMMA ** np.arange(sketch.LOWEST + 1, sketch.LOWEST + sketch.BUCKETS - 1)
    for column in (edges, np.nextafter(edges, 0), np.nextafter(edges, np.inf)):
        estimate = sketch.representative(sketch.buckets_of(column))
        assert (np.abs(estimate - column) <= sketch.ALPHA * column * (1 + 1e-9)).all()


def test_extremes_are_exact():
    column = np.array([3.3, 7.7, 1.1, 9.9])
    buckets, counts = counted(column)
    assert sketch.quantile(buckets, counts, 0, 1.1, 9.9) == 1.1
    assert sketch.quantile(buckets, counts, 1, 1.1, 9.9) == 9.9


def test_empty_sketch_has_no_quantile_and_bad_q_is_refused():
    nothing = np.empty(0, np.int32), np.empty(0, np.int64)
    assert math.isnan(sketch.quantile(*nothing, 0.5, math.nan, math.nan))
    with pytest.raises(ValueError, match="between 0 and 1"):
        sketch.quantile(*nothing, 1.5, 0, 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        sketch.quantile(*nothing, math.nan, 0, 0)


def test_groups_are_independent_and_unsorted_input_is_fine():
    rng = np.random.default_rng(7)
    values, group = rng.normal(0, 100, 3000), rng.choice([0, 1, 3], 3000)
    low = [values[group == g].min() if (group == g).any() else math.nan for g in range(4)]
    high = [values[group == g].max() if (group == g).any() else math.nan for g in range(4)]
    ones = np.ones(3000, np.int64)
    found = sketch.quantiles_by_group(group, sketch.buckets_of(values), ones, QS, minimum=low, maximum=high)
    assert found.shape == (4, len(QS))
    assert np.isnan(found[2]).all()
    for g in (0, 1, 3):
        for column, q in enumerate(QS):
            assert within(found[g, column], exact(values[group == g], q))


def test_combining_parts_equals_counting_the_whole():
    rng = np.random.default_rng(3)
    cell, bucket = rng.integers(0, 50, 4000), sketch.buckets_of(rng.normal(0, 10, 4000))
    halves = [sketch.tally(cell[part], bucket[part], 50) for part in (slice(0, 1500), slice(1500, None))]
    combined = sketch.combine(*(np.concatenate(columns) for columns in zip(*halves, strict=True)))
    for one, other in zip(combined, sketch.tally(cell, bucket, 50), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(combined, sketch.tally(cell, bucket, 1 << 30), strict=True):
        np.testing.assert_array_equal(one, other)


def test_results_agree_with_the_ddsketch_package():
    values = np.random.default_rng(5).lognormal(3, 2, 5000)
    oracle = DDSketch(relative_accuracy=sketch.ALPHA)
    for value in values.tolist():
        oracle.add(value)
    buckets, counts = counted(values)
    for q in (0.1, 0.5, 0.9, 0.99, 0.999):
        ours = sketch.quantile(buckets, counts, q, values.min(), values.max())
        assert ours == pytest.approx(oracle.get_quantile_value(q), rel=1e-6)


def test_combining_by_grid_and_by_sorting_is_the_same(monkeypatch):
    rng = np.random.default_rng(9)
    cell, bucket, count = rng.integers(0, 30, 5000), rng.integers(-40, 90, 5000, np.int32), rng.integers(1, 9, 5000)
    by_grid = sketch.combine(cell, bucket, count)
    monkeypatch.setattr(sketch, "_GRID_PER_ENTRY", 0)
    for one, other in zip(by_grid, sketch.combine(cell, bucket, count), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
