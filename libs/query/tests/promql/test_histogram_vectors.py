"""Histograms of a vector give what their raw observations give, however they were cut, added up and scaled."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_query.errors import QueryLimitExceeded
from vigie_query.promql import distributions, histogram_vectors, histogram_windows, written
from vigie_query.promql.histogram_vectors import Histograms
from vigie_query.promql.windows import cut
from vigie_windows import sketch

from .sketched import Cell, histogram_samples, nearest_rank

values = (
    st.floats(1e-9, 1e9)
    | st.floats(-1e6, -1e-6)
    | st.integers(-3, 1_000).map(float)
    | st.sampled_from([0.0, 0.05, 0.1, 1.0])
)
cells = st.dictionaries(st.integers(0, 60), st.lists(values, min_size=1, max_size=12), max_size=12).map(
    lambda found: [(at * 10_000, found[at]) for at in sorted(found)]
)
series = st.lists(cells, min_size=1, max_size=4)
quantiles = st.sampled_from([0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0]) | st.floats(0, 1)

Observed = list[list[list[float]]]
"""[series][steps]: the observations in each window."""


def time_left() -> None:
    """There is always some."""


def ranged(found: Sequence[Sequence[Cell]], ends: Sequence[int], range_ms: int) -> tuple[Histograms, Observed]:
    samples = histogram_samples([(("i", str(i)),) for i in range(len(found))], found)
    histograms = histogram_windows.merged(cut(samples, np.array(ends) - range_ms, np.array(ends, np.int64)))
    raw = [
        [[value for at, many in one if end - range_ms < at <= end for value in many] for end in ends] for one in found
    ]
    return histograms, raw


def check(histograms: Histograms, raw: Observed, factor: float = 1.0, q: float = 0.5) -> None:
    """All that is asked of histograms, against the observations."""
    steps = len(raw[0])
    found = distributions.quantile(histograms, np.full(steps, q), time_left)[0]
    deviations, means = distributions.variance(histograms, time_left), distributions.average(histograms)
    for row, of_steps in enumerate(raw):
        for step, many in enumerate(of_steps):
            place = row, step
            assert histograms.present[place] == bool(many)
            if not many:
                assert math.isnan(found[place])
                continue
            assert math.isclose(histograms.count[place], len(many) * factor, rel_tol=1e-12)
            scale = math.fsum(map(abs, many)) * abs(factor)
            assert math.isclose(histograms.sum[place], math.fsum(many) * factor, rel_tol=1e-9, abs_tol=1e-9 * scale)
            assert (histograms.min[place], histograms.max[place]) == (min(many), max(many))
            wanted = nearest_rank(many, q)
            assert math.isclose(found[place], wanted, rel_tol=sketch.ALPHA * (1 + 1e-6), abs_tol=1e-12)
            mean = math.fsum(many) / len(many)
            assert math.isclose(means[place], mean, rel_tol=1e-9, abs_tol=1e-9 * scale)
            spread = math.fsum((value - mean) ** 2 for value in many) / len(many)
            # Each distance is off by ALPHA of the observation.
            off = sketch.ALPHA * math.sqrt(math.fsum(value * value for value in many) / len(many))
            assert abs(math.sqrt(deviations[place]) - math.sqrt(spread)) <= off * (1 + 1e-6) + 1e-9 * scale


@settings(max_examples=30, deadline=None)
@given(series, st.integers(0, 300_000), st.sampled_from([7_000, 15_000, 60_000]), st.integers(1, 900_000), quantiles)
def test_windows_hold_what_was_observed_in_them(
    found: list[list[Cell]], start: int, step: int, range_ms: int, q: float
) -> None:
    ends = [start + i * step for i in range(9)]
    histograms, raw = ranged(found, ends, range_ms)
    check(histograms, raw, q=q)
    check(histograms.scaled(0.3), raw, 0.3, q)


@settings(max_examples=30, deadline=None)
@given(series, st.data(), quantiles)
def test_sums_over_series_are_the_sketch_of_the_union(found: list[list[Cell]], data: st.DataObject, q: float) -> None:
    ends = list(range(0, 600_001, 60_000))
    histograms, raw = ranged(found, ends, 200_000)
    numbers = data.draw(st.lists(st.integers(0, 1), min_size=len(found), max_size=len(found)))
    numbers = np.unique(numbers, return_inverse=True)[1]
    groups = int(numbers.max()) + 1
    union = [
        [[v for row in np.flatnonzero(numbers == group) for v in raw[row][step]] for step in range(len(ends))]
        for group in range(groups)
    ]
    check(histograms.merged(numbers, groups), union, q=q)
    # The same by another way: each row scaled by its step, which keeps the buckets step by step.
    factors = np.arange(1.0, len(ends) + 1)
    by_step = histograms.scaled(factors).merged(numbers, groups).scaled(1 / factors)
    check(by_step, union, q=min(q, 0.999) if q != 1 else 1)


@settings(max_examples=30, deadline=None)
@given(series, st.data())
def test_rows_and_places_are_chosen_freely(found: list[list[Cell]], data: st.DataObject) -> None:
    ends = list(range(0, 600_001, 100_000))
    histograms, raw = ranged(found, ends, 300_000)
    picked = data.draw(st.lists(st.integers(0, len(found) - 1), min_size=1, max_size=6))
    chosen = histograms.rows(np.array(picked))
    check(chosen, [raw[row] for row in picked])
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(ends) * len(picked), max_size=len(ends) * len(picked)))
    )
    mask = mask.reshape(len(picked), len(ends))
    kept = [
        [many if keep else [] for many, keep in zip(raw[row], keeps, strict=True)]
        for row, keeps in zip(picked, mask, strict=True)
    ]
    check(chosen.where(mask), kept)
    check(chosen.where(mask).above(histograms), [*kept, *raw])
    both = [
        [a + b if a and b else [] for a, b in zip(x, raw[row], strict=True)]
        for x, row in zip(kept, picked, strict=True)
    ]
    check(chosen.where(mask).plus(chosen), both)
    check(chosen.where(mask).plus(chosen.scaled(2.0).scaled(np.full(len(ends), 0.5))), both)


@settings(max_examples=30, deadline=None)
@given(series, values, values)
def test_fractions_are_within_the_buckets_of_their_bounds(found: list[list[Cell]], a: float, b: float) -> None:
    lower, upper = min(a, b), max(a, b)
    ends = [200_000, 600_000]
    histograms, raw = ranged(found, ends, 400_000)
    got = distributions.fraction(histograms, np.full(2, lower), np.full(2, upper), time_left)
    wide = 1 + 2.1 * sketch.ALPHA
    for row, of_steps in enumerate(raw):
        for step, many in enumerate(of_steps):
            if not many:
                assert math.isnan(got[row, step])
                continue
            if lower == upper:
                assert got[row, step] == 0
                continue

            def inside(low: float, high: float, many: list[float] = many) -> float:
                return sum(low <= value <= high for value in many) / len(many)

            outer = inside(
                lower * (wide if lower < 0 else 1 / wide) - 1e-12, upper * (wide if upper > 0 else 1 / wide) + 1e-12
            )
            inner_bounds = (
                lower * (wide if lower > 0 else 1 / wide) + 1e-12,
                upper * (wide if upper < 0 else 1 / wide) - 1e-12,
            )
            assert inside(*inner_bounds) - 1e-9 <= got[row, step] <= outer + 1e-9


def test_fractions_at_the_ends_are_exact() -> None:
    histograms, _ = ranged([[(0, [0.0, 0.0, 1.0, 2.0, 5.0])]], [0], 10_000)

    def fraction(lower: float, upper: float) -> float:
        return float(distributions.fraction(histograms, np.array([lower]), np.array([upper]), time_left)[0, 0])

    assert fraction(0, 5) == fraction(-math.inf, math.inf) == fraction(0, math.inf) == 1
    assert fraction(5.0001, math.inf) == fraction(-3, -1e-6) == 0
    assert fraction(0.001, 1.5) == pytest.approx(0.2)
    assert fraction(-1, 0) == pytest.approx(0.4)
    assert fraction(3, 1) == 0
    assert math.isnan(fraction(math.nan, 1))
    assert math.isnan(fraction(0, math.nan))


def test_quantiles_outside_are_infinite() -> None:
    histograms, _ = ranged([[(0, [1.0, 2.0])]], [0, 10_000, 20_000, 30_000], 100_000)
    assert distributions.quantile(histograms, np.array([-0.1, 1.1, math.nan, 0]), time_left)[0].tolist()[0][:2] == [
        -math.inf,
        math.inf,
    ]
    found = distributions.quantile(histograms, np.array([math.nan, 0, 1, 0.5]), time_left)[0][0]
    assert math.isnan(found[0])
    assert found[1:].tolist() == [1.0, 2.0, 1.0]


def test_many_series_are_spread_out_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    found = [[(at, rng.lognormal(size=3).tolist()) for at in range(0, 200_000, 10_000)] for _ in range(20)]
    ends = list(range(0, 200_001, 15_000))
    histograms, raw = ranged(found, ends, 60_000)
    whole = distributions.quantile(histograms, np.full(len(ends), 0.9), time_left)[0]
    for block in (50, 500, 5_000):
        monkeypatch.setattr(histogram_vectors, "BLOCK", block)
        assert np.array_equal(
            distributions.quantile(histograms, np.full(len(ends), 0.9), time_left)[0], whole, equal_nan=True
        )
    check(histograms, raw)
    monkeypatch.setattr(histogram_vectors, "MAX_ENTRIES", 100)
    with pytest.raises(QueryLimitExceeded, match="buckets of histograms"):
        histograms.scaled(np.arange(len(ends))).merged(np.zeros(len(raw)), 1)


def test_work_ends_with_its_time() -> None:
    histograms, _ = ranged([[(0, [1.0])]], [0], 10_000)

    def over() -> None:
        raise TimeoutError

    one = np.ones(1)
    with pytest.raises(TimeoutError):
        distributions.quantile(histograms, one, over)
    with pytest.raises(TimeoutError):
        distributions.fraction(histograms, one, 2 * one, over)
    with pytest.raises(TimeoutError):
        distributions.variance(histograms, over)


@settings(max_examples=30, deadline=None)
@given(st.lists(values, min_size=1, max_size=400))
def test_written_buckets_hold_every_observation(many: list[float]) -> None:
    histograms, _ = ranged([[(0, many)]], [0], 10_000)
    [(row, step, one)] = written.written(histograms)
    assert (row, step, one.count) == (0, 0, len(many))
    assert len(one.buckets) <= written.MAX_BUCKETS
    assert sum(bucket.count for bucket in one.buckets) == len(many)
    bounds = [(bucket.lower, bucket.upper) for bucket in one.buckets]
    assert bounds == sorted(bounds)
    for bucket in one.buckets:
        rule, lower, upper, count = bucket.rule, bucket.lower, bucket.upper, bucket.count
        near = 1e-9 * max(abs(lower), abs(upper), 1e-12)  # at its bounds a value may fall on either side
        held = sum(lower - near <= value <= upper + near for value in many)
        assert held >= count
        assert rule == (3 if lower < 0 < upper else 0 if lower > 0 else 1)


def test_a_written_histogram_is_what_prometheus_would_write() -> None:
    histograms, _ = ranged([[(0, [-1.0, 0.0, 1.0, 1.0, 2.0])]], [0], 10_000)
    [(_, _, one)] = written.written(histograms.scaled(0.5))
    assert (one.count, one.sum) == (2.5, 1.5)
    assert [(bucket.rule, bucket.count) for bucket in one.buckets] == [(1, 0.5), (3, 0.5), (0, 1.0), (0, 0.5)]
    assert one.buckets[0].lower <= -1 < one.buckets[0].upper
    assert one.buckets[2].lower < 1 <= one.buckets[2].upper < 1.03
