"""A question and its answer, over samples in memory."""

import asyncio

import numpy as np
import pytest
from vigie_query.promql.errors import InvalidExpression, TooManySteps
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.labels import labels_of
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.parsing import parse
from vigie_query.promql.plan import ValueType
from vigie_query.promql.queries import Answer, Query, answer
from vigie_query.promql.reading import Use, wanted
from vigie_query.promql.samples import Samples, Vector

X = labels_of({"__name__": "x", "a": "1"})
Y = labels_of({"__name__": "y", "a": "2"})
READER = MemoryReader.of({X: [(60_000, 1.0), (120_000, 3.0)], Y: [(60_000, 5.0)]})


def ask(text: str, start_ms: int = 120_000, end_ms: int | None = None, step_ms: int = 0) -> Answer:
    query = Query(text, parse(text), start_ms, start_ms if end_ms is None else end_ms, step_ms)
    return asyncio.run(answer(READER, query))


def test_an_instant_query_answers_with_the_type_of_its_expression() -> None:
    vector, scalar, text, matrix = ask("x"), ask("1 + 1"), ask('"a"'), ask('{__name__=~"x|y"}[90s]')
    assert [one.type for one in (vector, scalar, text, matrix)] == ["vector", "scalar", "string", "matrix"]
    assert isinstance(vector.value, Vector)
    assert isinstance(matrix.value, Samples)
    assert (vector.value.labels, vector.value.values.tolist()) == ([X], [[3.0]])
    assert isinstance(scalar.value, np.ndarray)
    assert scalar.value.tolist() == [2.0]
    assert text.value == "a"
    assert matrix.value.labels == [X, Y]
    assert (matrix.value.bounds.tolist(), matrix.value.values.tolist()) == ([0, 2, 3], [1.0, 3.0, 5.0])


def test_a_range_query_answers_with_a_matrix_sorted_by_labels() -> None:
    found = ask('-{__name__=~"y|x"}', 60_000, 120_000, 60_000)
    assert isinstance(found.value, Vector)
    assert (found.type, found.times.tolist()) == (ValueType.MATRIX, [60_000, 120_000])
    assert found.value.labels == [(("a", "1"),), (("a", "2"),)]
    scalar = ask("time()", 60_000, 120_000, 60_000)
    assert isinstance(scalar.value, Vector)
    assert (scalar.value.labels, scalar.value.values.tolist()) == ([()], [[60.0, 120.0]])


def test_a_range_query_of_a_range_or_a_string_is_refused() -> None:
    for text in ("x[1m]", '"a"'):
        with pytest.raises(InvalidExpression, match="for range query"):
            ask(text, 0, 60_000, 60_000)


def test_too_many_steps_are_refused_before_anything_is_read() -> None:
    with pytest.raises(TooManySteps, match="11,000 points"):
        ask("x", 0, 10**12, 1)
    with pytest.raises(TooManySteps, match="11,000 points"):
        ask("x", 0, 11_001_000, 1_000)


def test_as_many_steps_as_prometheus_takes_are_answered() -> None:
    assert len(ask("x", 0, 11_000_000, 1_000).times) == 11_001


def test_what_a_plan_reads_says_how_it_is_used() -> None:
    node = parse("rate(x[5m] offset 1m) / max_over_time((x)[10m:1m])")
    rate, plain = wanted(node, Evaluation({}, 600_000, 660_000), 30_000)
    assert rate.uses == (Use("rate", 300_000, 540_000, 600_000, 30_000),)
    assert (rate.first_ms, rate.last_ms) == (240_001, 600_000)
    assert plain.uses == (Use("", 300_000, 60_000, 660_000, 60_000),)


def test_a_rate_is_rounded_where_prometheus_rounds_it() -> None:
    """Change times (factor by seconds): change times factor, by seconds, is 0.26666666666666666."""
    reader = MemoryReader.of({X: [(10_000, 1.0), (20_000, 4.0)]})
    found = asyncio.run(answer(reader, Query("", parse("rate(x[15s])"), 20_000, 20_000))).value
    assert isinstance(found, Vector)
    assert found.values.tolist() == [[0.2666666666666666]]
