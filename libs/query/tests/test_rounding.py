"""The error bound of an answer holds for it, and means do not overflow."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_query.evaluation import Evaluation, Samples
from vigie_query.functions import QUANTILES, Function
from vigie_query.grid import Grid
from vigie_windows import Kind, fold, widen

BASE = 1_790_000_000_000 // 3_600_000 * 3_600_000


def evaluated(kind: Kind, series: list[list[float]], width_ms: int = 10_000) -> Evaluation:
    """One step of several series, a sample every 5 s."""
    samples = [(row, BASE + i * 5_000, value) for row, own in enumerate(series) for i, value in enumerate(own)]
    rows, times, values = (np.array(column) for column in zip(*samples, strict=True))
    cells = fold(rows, times, values.astype(np.float64), np.full(len(series), kind, np.uint8))
    grid = Grid(np.array([BASE, BASE + 3_600_000], np.int64), 3_600_000)
    read = Samples((widen(cells, width_ms),), grid, BASE + 3_600_000)
    return read.grouped(np.zeros(256, np.int64), 1)


def number(evaluation: Evaluation, function: Function) -> float:
    return float(evaluation.run(function)[0, 0])


def check(evaluation: Evaluation, function: Function, exact: Fraction) -> None:
    value, bound = number(evaluation, function), evaluation.error_bound(function)
    if math.isfinite(value) and bound is not None:
        off = abs(Fraction(value) - exact)
        assert off <= Fraction(max(bound, 1e-9)) * max(abs(exact), abs(Fraction(value)))


anything = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-50, 50).map(float), st.floats(-1, 1),
    st.sampled_from([1e16, -1e16, 2.0**53, -(2.0**53), 1e308, -1e308, 0.1, -0.1]),
)  # fmt: skip


@given(st.lists(st.lists(anything, min_size=1, max_size=8), min_size=1, max_size=3), st.sampled_from([10_000, 60_000]))
@settings(max_examples=150, deadline=None)
def test_means_and_sums_are_within_the_bound(series: list[list[float]], width_ms: int) -> None:
    together = [Fraction(value) for own in series for value in own]
    gauges = evaluated(Kind.GAUGE, series, width_ms)
    check(gauges, Function.AVG, sum(together) / len(together))
    check(gauges, Function.SUM, sum((sum(map(Fraction, own)) / len(own) for own in series), Fraction(0)))
    check(evaluated(Kind.HISTOGRAM, series, width_ms), Function.SUM, sum(together, Fraction(0)))


def test_ordinary_numbers_have_no_error_worth_naming() -> None:
    for values in ([1.0, 2.0, 3.0], [19.99, 5.01], [-3.0, 3.0], [0.0], [7.0, -7.0, 12.0]):
        evaluation = evaluated(Kind.GAUGE, [values])
        for function in (Function.AVG, Function.SUM, Function.MIN, Function.MAX, Function.LAST, Function.COUNT):
            assert evaluation.error_bound(function) == 0
    for function in QUANTILES:
        assert evaluated(Kind.GAUGE, [[1.0, 2.0, 3.0, 4.0]]).error_bound(function) == 0.01


def test_what_cancels_has_a_bound_that_says_so() -> None:
    evaluation = evaluated(Kind.GAUGE, [[1e16, 1.0, -1e16]])
    assert evaluation.error_bound(Function.AVG) is None or evaluation.error_bound(Function.AVG) > 0.1
    bound = evaluated(Kind.HISTOGRAM, [[1e9 + 0.1, -1e9, 0.25]]).error_bound(Function.SUM)
    assert bound is not None
    assert 1e-9 < bound < 1e-5


@pytest.mark.parametrize("kind", [Kind.COUNTER, Kind.HISTOGRAM])
def test_nothing_bounds_a_number_beyond_float64(kind: Kind) -> None:
    for series in ([[1.5e308, 1.5e308]], [[1.5e308], [1.5e308]]):
        evaluation = evaluated(kind, series)
        assert not math.isfinite(number(evaluation, Function.SUM))
        assert evaluation.error_bound(Function.SUM) is None
        assert evaluation.error_bound(Function.COUNT) == 0


def test_a_mean_does_not_overflow_with_the_sum() -> None:
    for values, mean in (([1e308, 1.5e308], 1.25e308), ([1.7e308] * 5, 1.7e308), ([-1e308, -1.6e308], -1.3e308)):
        for width_ms in (10_000, 60_000):
            evaluation = evaluated(Kind.GAUGE, [values], width_ms)
            bound = evaluation.error_bound(Function.AVG)
            assert bound is not None
            assert number(evaluation, Function.AVG) == pytest.approx(mean, rel=max(bound, 1e-9))
            assert number(evaluation, Function.SUM) == pytest.approx(mean, rel=max(bound, 1e-9))


def test_counters_beyond_whole_numbers_of_a_float_say_how_far_off_they_may_be() -> None:
    assert evaluated(Kind.CUMULATIVE, [[100.0, 160.0]]).error_bound(Function.INCREASE) == 0
    assert evaluated(Kind.CUMULATIVE, [[2.0**53 + 2, 2.0**53 + 2]]).error_bound(Function.INCREASE) is None
    bound = evaluated(Kind.CUMULATIVE, [[2.0**53, 2.0**53 + 2]]).error_bound(Function.RATE)
    assert bound is not None
    assert bound >= 0.5


@pytest.mark.parametrize("scale", [1e-15, 1e18, 1e300])
def test_percentiles_out_of_the_range_of_the_sketch_have_a_true_bound(scale: float) -> None:
    evaluation = evaluated(Kind.GAUGE, [[value * scale for value in (1.0, 2.0, 3.0, 4.0, 5.0)]], 60_000)
    bound = evaluation.error_bound(Function.P50)
    assert bound is not None
    assert 0.01 < bound < 1
    assert number(evaluation, Function.P50) == pytest.approx(3 * scale, rel=bound)
