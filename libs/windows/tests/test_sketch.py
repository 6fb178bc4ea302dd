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
    return float(np.sort(values)[max(0, math.ceil(round(q * len(values), 9)) - 1)])


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


def with_error(values: np.ndarray, q: float) -> tuple[float, float]:
    buckets, counts = counted(values)
    group = np.zeros(len(buckets), np.int64)
    found = sketch.quantiles_by_group(group, buckets, counts, (q,), minimum=[values.min()], maximum=[values.max()])
    return float(found.value[0, 0]), float(found.error[0, 0])


scales = st.sampled_from([1e-300, 1e-15, 1e-13, 1e-12, 1.0, 1e17, 1e18, 1e19, 1e300])


@given(st.lists(st.builds(lambda v, s: v * s, st.floats(0.1, 9), scales), min_size=1, max_size=30), st.floats(0, 1))
@settings(max_examples=300, deadline=None)
def test_the_error_of_a_quantile_is_what_holds_for_it(values, q):
    for column in (np.array(values), -np.array(values)):
        estimate, error = with_error(column, q)
        wanted = exact(column, q)
        assert 0 <= error <= 1
        assert abs(estimate - wanted) <= error * abs(wanted) * (1 + 1e-9)
        if 1e-12 <= abs(wanted) <= 1e17:
            assert error <= sketch.ALPHA


@pytest.mark.parametrize("scale", [1e-15, 1e18, 1e300])
def test_beyond_the_range_of_the_sketch_extremes_bound_the_error(scale):
    column = np.arange(1.0, 6.0) * scale
    estimate, error = with_error(column, 0.5)
    assert sketch.ALPHA < error < 0.7
    assert abs(estimate - 3 * scale) <= error * 3 * scale


def test_zeros_are_exact_and_near_zero_of_both_signs_nothing_is_known():
    assert with_error(np.array([0.0, 0.0, 0.0, 5.0]), 0.5) == (0.0, sketch.ALPHA)
    assert with_error(np.zeros(4), 0.5) == (0.0, 0.0)
    assert with_error(np.array([-1e-15, 1e-15, 2e-15]), 0.5) == (0.0, math.inf)


def test_the_greatest_of_few_values_is_their_p99():
    values = np.array([0.01, 9.0])
    assert with_error(values, 0.99) == (9.0, 0.0)
    assert with_error(values, 0.5) == (0.01, 0.0)
    hundred = np.arange(1.0, 101.0)
    for q in (0.07, 0.5, 0.9, 0.95, 0.99):
        assert with_error(hundred, q)[0] == pytest.approx(q * 100, rel=sketch.ALPHA)


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
    found = sketch.quantiles_by_group(group, sketch.buckets_of(values), ones, QS, minimum=low, maximum=high).value
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
