"""The engine gives what the definitions give, for any samples in any order, however a range is cut into queries."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_query.promql.labels import labels_of
from vigie_query.promql.parsing import parse

from . import corpus
from .slow import AGGREGATIONS, COMPARISONS, OPERATORS, RANGES, Database, Slow

MINUTE = 60_000
SERIES = [labels_of({"__name__": "x", "a": a, "b": b}) for a in ("1", "2") for b in ("1", "2")]

samples = st.dictionaries(
    st.sampled_from(SERIES),
    st.dictionaries(
        st.integers(0, 40 * MINUTE),
        st.floats(-1e6, 1e6, width=32).map(lambda value: round(value, 3)) | st.integers(0, 5).map(float),
        max_size=30,
    ),
    max_size=4,
)
durations = st.sampled_from(["1ms", "30s", "1m", "5m", "17m"])
offsets = st.sampled_from(["", "", " offset 3m", " offset -2m"])
selectors = st.tuples(st.sampled_from(["x", 'x{a="1"}', 'x{a!="1"}', 'x{a=~"1|3"}']), offsets).map("".join)
ranges = st.builds("{}[{}]{}".format, st.sampled_from(["x", 'x{b="2"}']), durations, offsets)
over_time = st.builds("{}({})".format, st.sampled_from(sorted(RANGES)), ranges) | st.builds(
    "quantile_over_time({}, {})".format, st.sampled_from([0, 0.3, 0.5, 0.99, 1]), ranges
)


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    grouping = st.sampled_from(["", "by (a) ", "without (a) ", "by (a, b) "])
    aggregated = st.builds("{} {}({})".format, st.sampled_from(sorted(AGGREGATIONS)), grouping, inner)
    quantiles = st.builds("quantile {}({}, {})".format, grouping, st.sampled_from([0, 0.25, 0.9]), inner)
    scaled = st.builds("({}) {} {}".format, inner, st.sampled_from([*OPERATORS, *COMPARISONS]), st.integers(-3, 3))
    compared = st.builds("({}) {} bool 2".format, inner, st.sampled_from(sorted(COMPARISONS)))
    matched = st.builds(
        "({}) {} ({})".format, inner, st.sampled_from([*OPERATORS, "and", "unless", "and on (a)"]), inner
    )
    stepped = st.builds(
        "max_over_time(({})[{}:{}])".format, inner, st.sampled_from(["5m", "7m"]), st.sampled_from(["", "1m", "90s"])
    )
    return aggregated | quantiles | scaled | compared | matched | stepped | inner.map("-({})".format)


expressions = st.recursive(selectors | over_time, larger, max_leaves=3)


def arranged(found: dict) -> list[corpus.Series]:
    """As a store has them: each series by time, the series in any order."""
    return [
        (labels, np.array(sorted(points), np.int64), np.array([points[at] for at in sorted(points)], np.float64))
        for labels, points in found.items()
    ]


@settings(max_examples=250, deadline=None)
@given(samples, expressions, st.integers(0, 30 * MINUTE), st.integers(1, 12 * MINUTE), st.integers(0, 6))
def test_engine_gives_what_the_definitions_give(
    found: dict, expression: str, start: int, step: int, steps: int
) -> None:
    database: Database = {labels: sorted(points.items()) for labels, points in found.items()}
    slow = Slow(database)
    node = parse(expression)
    end = start + steps * step
    answer = corpus.evaluate(arranged(found), expression, start, end, step)
    for at in range(start, end + 1, step):
        wanted = slow.vector(node, at)
        got = {labels: value for labels, points in answer.items() for when, value in points if when == at}
        assert set(got) == set(wanted)
        for labels, value in wanted.items():
            assert math.isclose(got[labels], value, rel_tol=1e-9, abs_tol=1e-6), (at, labels)


@settings(max_examples=100, deadline=None)
@given(samples, expressions, st.integers(0, 30 * MINUTE), st.integers(1, 5 * MINUTE), st.data())
def test_a_range_cut_into_queries_gives_the_same(
    found: dict, expression: str, start: int, step: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, 7))
    series = arranged(found)
    whole = corpus.evaluate(series, expression, start, start + 7 * step, step)
    parts = [corpus.evaluate(series, expression, start, start + cut * step, step)]
    if cut < 7:
        parts.append(corpus.evaluate(series, expression, start + (cut + 1) * step, start + 7 * step, step))
    together: corpus.Answer = {}
    for part in parts:
        for labels, points in part.items():
            together.setdefault(labels, []).extend(points)
    assert together == whole
