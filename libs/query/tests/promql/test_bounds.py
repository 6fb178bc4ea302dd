"""No expression takes more time or memory than it may."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
from vigie_contracts.series import Kind
from vigie_query.errors import QueryLimitExceeded
from vigie_query.promql import evaluation, histogram_windows, parsing
from vigie_query.promql.cells import VALUE, Shown
from vigie_query.promql.errors import ExecutionError
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.labels import labels_of
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.parsing import parse
from vigie_query.promql.queries import Answer, Query, answer
from vigie_query.promql.reading import wanted
from vigie_query.promql.samples import Samples, Vector
from vigie_query.promql.tiers import need

from .sketched import histogram_samples

T = TypeVar("T")
STEPS = 1_000
LABELS = [labels_of({"__name__": name, "a": str(number)}) for name in ("x", "y") for number in range(20)]
VALUES = np.random.default_rng(1).normal(size=len(LABELS) * STEPS)
READER = MemoryReader(
    Samples(
        LABELS,
        np.arange(len(LABELS) + 1, dtype=np.int64) * STEPS,
        np.tile(np.arange(STEPS, dtype=np.int64) * 10_000, len(LABELS)),
        VALUES,
    )
)


def ask(text: str) -> Answer:
    return asyncio.run(answer(READER, Query(text, parse(text), 0, STEPS * 10_000, 10_000)))


def nested(template: str, depth: int, inner: str = "x") -> str:
    for _ in range(depth):
        inner = template.format(inner)
    return inner


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("sum_over_time(x[100y:1ms])", "values at once"),
        ('count_values("v", x)', "different values"),
        (nested("label_join({}, 'a', '', 'a', 'a', 'a')", 40), "longer than 16,384 characters"),
        (nested("label_replace({}, 'a', '$1$1$1$1', 'a', '(.*)')", 40), "longer than 16,384 characters"),
    ],
)
def test_what_would_be_too_much_is_refused(expression: str, told: str) -> None:
    with pytest.raises(QueryLimitExceeded, match=told):
        ask(expression)


def test_pairs_of_series_that_take_turns_are_bounded() -> None:
    """Series of one signature, of which never two have a value at the same step, make a pair each with each."""
    count = 3_000
    labels = [labels_of({"__name__": "x", "a": str(number)}) for number in range(count)]
    times = np.arange(count, dtype=np.int64) * 400_000
    turns = MemoryReader(Samples(labels, np.arange(count + 1, dtype=np.int64), times, np.ones(count)))
    text = "x * on () group_left () x"
    with pytest.raises(QueryLimitExceeded, match="pairs of series"):
        asyncio.run(answer(turns, Query(text, parse(text), 0, 400 * 400_000, 400_000)))


@pytest.mark.parametrize(
    "expression",
    [
        nested("x + ({})", 60),
        "x" + " ^ x" * 200,
        nested("x or ({})", 60),
        nested("topk(scalar({}), x)", 30),
        nested("clamp_min(x, scalar({}))", 30),
        nested("x + scalar({})", 60),
    ],
    ids=lambda expression: expression[:12],
)
def test_what_is_kept_of_all_parts_is_bounded(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MAX_HELD", 25 * 20 * STEPS)
    with pytest.raises(QueryLimitExceeded, match="of its parts"):
        ask(expression)


def test_parts_of_which_one_is_kept_at_a_time_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MAX_HELD", 2 * 20 * (STEPS + 1))
    assert isinstance(ask("x" + " + x" * 100).value, Vector)


def test_ranges_of_very_many_ends_are_cut_for_none_of_them() -> None:
    shown = Shown([labels_of({"__name__": "x"})], np.zeros(1, np.int64), np.array([Kind.COUNTER]), np.array([VALUE]))

    def edges(ranges: int) -> int:
        text = " + ".join(f"rate(x[{60_001 + 5 * number}ms])" for number in range(ranges))
        [one] = wanted(parse(text), Evaluation({}, 0, 11_000_000), 1_000)
        return len(need(one, shown).edges)

    assert edges(1) > 22_000
    assert edges(100) == 101


def test_long_expressions_are_not_kept() -> None:
    text = "x" + " + x" * 150
    assert parse(text) is parse(text)
    long = "label_join(x, 'a', ''" + ", 'b'" * parsing.MAX_KEPT_CHARS + ")"
    assert parse(long) is not parse(long)


@pytest.mark.parametrize(
    "expression",
    [
        nested("abs({})", 64),
        nested("-({})", 64),
        nested("max_over_time({}[1m:1m])", 21),
        nested("sum by (a) ({})", 64),
        "x" + " + x" * 200,
        "x" + " or x" * 200,
        nested("({}) + (-x)", 60),
    ],
    ids=lambda expression: expression[:12],
)
def test_what_is_as_deep_as_may_be_is_evaluated(expression: str) -> None:
    found = asyncio.run(answer(READER, Query(expression, parse(expression), 60_000, 60_000))).value
    assert isinstance(found, Vector)
    assert len(found.labels) == 20


class TooSlowError(Exception):
    pass


@pytest.mark.parametrize(
    ("expression", "least"),
    [
        ("rate(x[5m])", 4),
        ("x", 4),
        ("topk by (a) (1, x)", 20),
        ("quantile by (a) (0.5, x)", 20),
        ("sum(x - ignoring (b) x)", 10),
        ("label_replace(x, 'b', '$1', 'a', '(.*)')", 20),
        ("label_join(x, 'b', '-', 'a')", 20),
        ("quantile_over_time(0.5, x[10m])", 6),
        ("max_over_time(x[5m:10s])", 6),
    ],
)
def test_work_looks_at_its_time(expression: str, least: int) -> None:
    """How often: per node, per group, per chunk of windows."""
    query = Query(expression, parse(expression), 0, STEPS * 10_000, 10_000)
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    async def counted(work: Callable[[Callable[[], None]], T], /) -> T:
        return work(count)

    def stop() -> None:
        raise TooSlowError

    async def stopped(work: Callable[[Callable[[], None]], T], /) -> T:
        return work(stop)

    asyncio.run(answer(READER, query, counted))
    assert calls >= least
    with pytest.raises(TooSlowError):
        asyncio.run(answer(READER, query, stopped))


def test_ranges_of_histograms_look_at_their_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histogram_windows, "PIECE", 1_000)
    samples = histogram_samples([labels_of({"__name__": "x"})], [[(at * 10_000, [1.0]) for at in range(STEPS)]])
    query = Query("x", parse("increase(x[1h])"), 0, STEPS * 10_000, 10_000)
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    async def counted(work: Callable[[Callable[[], None]], T], /) -> T:
        return work(count)

    found = asyncio.run(answer(MemoryReader(samples), query, counted)).value
    assert calls > STEPS
    assert isinstance(found, Vector)
    assert found.histograms is not None
    assert found.histograms.count[0].tolist() == [*range(1, 361), *[360] * (STEPS - 360), 359]


def test_a_parameter_that_counts_nothing_is_refused() -> None:
    for expression, told in (("topk(NaN, x)", "Parameter value is NaN"), ("limitk(1e19, x)", "overflows int64")):
        with pytest.raises(ExecutionError, match=told):
            ask(expression)


def test_a_label_without_a_name_is_refused() -> None:
    for expression in ("label_replace(x, '', '', '', '')", "label_join(x, 'a', '', '')", "count_values('', x)"):
        with pytest.raises(ExecutionError, match='invalid label name ""'):
            ask(expression)
