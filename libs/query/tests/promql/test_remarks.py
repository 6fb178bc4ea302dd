"""What an answer says beside its values, in Prometheus' words."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from vigie_contracts.series import Kind
from vigie_query.promql.annotations import Annotations
from vigie_query.promql.labels import labels_of
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.parsing import parse
from vigie_query.promql.queries import Answer, Query, answer
from vigie_query.promql.samples import Samples

TIMES = np.arange(0, 600_000, 30_000, dtype=np.int64)


def reader(*series: tuple[dict[str, str], float], kinds: list[Kind] | None = None) -> MemoryReader:
    """Series that grow by a number each time."""
    labels = [labels_of(found) for found, _ in series]
    bounds = np.arange(len(series) + 1, dtype=np.int64) * len(TIMES)
    values = np.concatenate([np.arange(len(TIMES)) * slope for _, slope in series])
    samples = Samples(labels, bounds, np.tile(TIMES, len(series)), values)
    return MemoryReader(samples if kinds is None else replace(samples, kinds=np.array(kinds, np.uint8)))


def ask(text: str, source: MemoryReader) -> Answer:
    return asyncio.run(answer(source, Query(text, parse(text), 600_000, 600_000)))


X = reader(({"__name__": "x"}, 1.0))


def buckets(**counts: float) -> MemoryReader:
    return reader(*(({"__name__": "x_bucket", "le": le.strip("_").replace("_", ".")}, n) for le, n in counts.items()))


@pytest.mark.parametrize(
    ("expression", "warning"),
    [
        ("quantile(1.5, x)", "PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"),
        ("1 +\n  quantile(NaN, x)", "PromQL warning: quantile value should be between 0 and 1, got NaN (2:12)"),
        ("quantile_over_time(-1, x[5m])", "PromQL warning: quantile value should be between 0 and 1, got -1 (1:20)"),
        (
            "histogram_quantile(2e9, x_bucket)",
            "PromQL warning: quantile value should be between 0 and 1, got 2e+09 (1:20)",
        ),
        (
            "histogram_quantile(0.5, x)",
            'PromQL warning: bucket label "le" is missing or has a malformed value of "" for metric name "x" (1:25)',
        ),
    ],
)  # fmt: skip
def test_a_warning_says_what_and_where(expression: str, warning: str) -> None:
    assert ask(expression, X).warnings == (warning,)


def test_falling_buckets_are_told_and_whole_ones_are_not() -> None:
    expression = "histogram_quantile(0.5, x_bucket)"
    assert ask(expression, buckets(_1_0=1.0, _2_0=2.0, _Inf=3.0)).infos == ()
    assert ask(expression, buckets(_1_0=2.0, _2_0=1.0, _Inf=3.0)).infos == (
        "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) "
        'for metric name "x_bucket" (1:25)',
    )


@pytest.mark.parametrize("function", ["rate", "increase", "irate"])
def test_only_the_rate_of_a_gauge_is_questioned(function: str) -> None:
    names = [({"__name__": name, "of": name}, 1.0) for name in ("temperature", "seats_total", "sales")]
    known = reader(*names, kinds=[Kind.GAUGE, Kind.GAUGE, Kind.COUNTER])
    found = ask(f'{function}({{__name__=~".+"}}[5m])', known)
    assert found.infos == (
        "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
        f'"temperature" (1:{len(function) + 2})',
    )
    assert ask(f"{function}(x[5m])", X).infos == ()
    assert ask("delta(temperature[5m])", known).infos == ()


def test_what_is_told_is_bounded() -> None:
    notes = Annotations()
    for number in range(5_000):
        notes.warn(f"number {number}")
        notes.warn("number 0")
    warnings, infos = notes.told()
    assert (len(warnings), warnings[-1], infos) == (11, "990 more warning annotations omitted", ())


@pytest.mark.parametrize(
    ("expression", "order"),
    [
        ("sort(x)", ["a2", "a1", "a10"]),
        ("sort_desc(x)", ["a10", "a1", "a2"]),
        ('sort_by_label(x, "a")', ["a1", "a2", "a10"]),
        ('(sort_by_label_desc(x, ("a")))', ["a10", "a2", "a1"]),
        ("topk(2, x)", ["a10", "a1"]),
        ("bottomk(2, x)", ["a2", "a1"]),
        ("topk by (b) (2, x)", ["a1", "a2", "a10"]),
        ("topk(0.9, x)", []),
    ],
)
def test_an_instant_answer_has_the_order_of_its_outermost_function(expression: str, order: list[str]) -> None:
    series: list[tuple[dict[str, str], float]] = [
        ({"__name__": "x", "a": "a1", "b": "1"}, 2.0),
        ({"__name__": "x", "a": "a10", "b": "2"}, 3.0),
        ({"__name__": "x", "a": "a2", "b": "1"}, 1.0),
    ]
    value: Any = ask(expression, reader(*series)).value
    assert [dict(labels)["a"] for labels in value.labels] == order
