"""Vigie's own functions give what their definitions give, in plain Python and exact numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from vigie_contracts.series import Kind
from vigie_contracts.tiers import TIERS
from vigie_query.promql.cells import VALUE, Shown
from vigie_query.promql.errors import ExecutionError
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.labels import labels_of
from vigie_query.promql.parsing import parse
from vigie_query.promql.reading import wanted
from vigie_query.promql.tiers import need
from vigie_windows.chunks import Column

from . import corpus
from .test_against_slow import arranged

SERIES = [labels_of({"__name__": "x", "a": a}) for a in ("1", "2", "3")]
HOUR = 3_600_000
NOW = 30 * HOUR
numbers = st.integers(-50, 50).map(float) | st.floats(-1e4, 1e4, width=32).map(lambda value: round(value, 2))
Points = list[tuple[int, float]]


def root(number: Fraction) -> float:
    return math.sqrt(number)


def scaled(distance: Fraction, unit: float) -> float:
    if not distance:
        return 0.0
    return float(distance) / unit if unit else math.copysign(math.inf, distance)


def mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction()) / len(values)


def deviation(values: Sequence[Fraction]) -> float:
    middle = mean(values)
    return root(mean([(value - middle) ** 2 for value in values]))


def ranked(values: Sequence[Fraction], q: Fraction) -> Fraction:
    ordered = sorted(values)
    rank = q * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] * (1 - (rank - below)) + ordered[above] * (rank - below)


def zscore(values: Sequence[Fraction]) -> float:
    return scaled(values[-1] - mean(values), deviation(values))


def mad_zscore(values: Sequence[Fraction]) -> float:
    median = ranked(values, Fraction(1, 2))
    distances = [abs(value - median) for value in values]
    mad = ranked(distances, Fraction(1, 2))
    unit = float(mad) / 0.6745 if mad else 1.253314 * float(mean(distances))
    return scaled(values[-1] - median, unit)


def iqr_outlier(values: Sequence[Fraction]) -> float:
    low, high = ranked(values, Fraction(1, 4)), ranked(values, Fraction(3, 4))
    outside = max(values[-1] - high, Fraction()) + min(values[-1] - low, Fraction())
    return scaled(outside, float(high - low))


def seasonal(points: Points, end: int, range_ms: int, period: int, width: int) -> float | None:
    """Every sample by itself: how many periods ago it is, and whether it is in the part that is compared."""
    seasons: dict[int, list[Fraction]] = {}
    for at, value in points:
        if end - range_ms < at <= end and (end - at) % period < width:
            seasons.setdefault((end - at) // period, []).append(Fraction(value))
    now, before = seasons.pop(0, None), [mean(values) for values in seasons.values()]
    if now is None or len(before) < 2:
        return None
    return scaled(mean(now) - mean(before), deviation(before))


DEFINITIONS: dict[str, Callable[[Sequence[Fraction]], float]] = {
    "zscore_over_time": zscore,
    "mad_zscore_over_time": mad_zscore,
    "iqr_outlier_over_time": iqr_outlier,
}
samples = st.dictionaries(
    st.sampled_from(SERIES), st.dictionaries(st.integers(NOW - HOUR + 1, NOW), numbers, max_size=25), max_size=3
)


def close(got: float, wanted: float) -> bool:
    return got == wanted or math.isclose(got, wanted, rel_tol=1e-7, abs_tol=1e-7)


@settings(max_examples=120, deadline=None)
@given(samples, st.sampled_from(sorted(DEFINITIONS)))
@example({SERIES[0]: {NOW - 2: 0.1, NOW - 1: 0.1, NOW: 0.1}}, "zscore_over_time")
@example({SERIES[0]: {NOW - 2: 5.0, NOW - 1: 5.0, NOW: 6.0}}, "mad_zscore_over_time")
@example({SERIES[0]: {NOW - i: 5.0 + (i == 0) for i in range(9)}}, "iqr_outlier_over_time")
def test_a_score_is_what_its_definition_says(found: dict, function: str) -> None:
    answer = corpus.evaluate(arranged(found), f"{function}(x[1h])", NOW, NOW, 1)
    wanted = {
        labels[1:]: DEFINITIONS[function]([Fraction(points[at]) for at in sorted(points)])
        for labels, points in found.items()
        if len(points) > 1
    }
    assert answer.keys() == wanted.keys()
    for labels, value in wanted.items():
        assert close(answer[labels][0][1], value), (answer[labels], value)


MINUTE = 60_000
grid = st.dictionaries(st.integers(0, 60 * 6).map(lambda at: NOW - at * MINUTE), numbers, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(SERIES), grid, max_size=3),
    st.sampled_from([20, 60, 90]),
    st.sampled_from([1, 10, 20]),
    st.integers(0, 3),
)
def test_a_season_is_compared_with_those_before_it(found: dict, period: int, width: int, steps: int) -> None:
    text = f"seasonal_zscore(x[5h], {period}m, {width}m)"
    answer = corpus.evaluate(arranged(found), text, NOW - steps * MINUTE, NOW, MINUTE)
    for at in range(NOW - steps * MINUTE, NOW + 1, MINUTE):
        wanted = {
            labels[1:]: value
            for labels, points in found.items()
            if (value := seasonal(sorted(points.items()), at, 5 * HOUR, period * MINUTE, width * MINUTE)) is not None
        }
        got = {labels: value for labels, points in answer.items() for when, value in points if when == at}
        assert got.keys() == wanted.keys()
        for labels, value in wanted.items():
            assert close(got[labels], value), (got[labels], value)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("x[1h], 1h", "two periods"),
        ("x[3h], 30m", "must not be longer than its period"),
        ("x[4w], 0", "invalid period"),
        ("x[4w], 1w, -1h", "invalid width"),
        ("x[4w], NaN", "invalid period"),
    ],
)
def test_seasons_that_cannot_be_are_refused(arguments: str, reason: str) -> None:
    with pytest.raises(ExecutionError, match=reason):
        corpus.evaluate([], f"seasonal_zscore({arguments})", NOW, NOW, 1)


@pytest.mark.parametrize("function", DEFINITIONS)
def test_of_what_is_no_number_there_is_no_score(function: str) -> None:
    points = {SERIES[0]: {NOW - 2: 1.0, NOW - 1: 2.0, NOW: math.nan}}
    [[(_, value)]] = corpus.evaluate(arranged(points), f"{function}(x[1h])", NOW, NOW, 1).values()
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("expression", "coarsest"), [("zscore_over_time(x[4w])", 0), ("seasonal_zscore(x[4w], 1w)", len(TIERS) - 1)]
)
def test_ranges_of_weeks_are_read_in_wide_windows_where_the_function_is_for_weeks(
    expression: str, coarsest: int
) -> None:
    [one] = wanted(parse(expression), Evaluation({}, NOW, NOW), 0)
    gauge = np.array([Kind.GAUGE], np.uint8)
    needed = need(one, Shown([SERIES[0]], np.zeros(1, np.int64), gauge, np.full(1, VALUE)))
    assert needed.coarsest == coarsest
    assert needed.estimated, "windows of several samples do not know it exactly"
    assert Column.SUM in needed.columns
