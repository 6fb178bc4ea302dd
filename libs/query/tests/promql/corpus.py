"""Prometheus' own evaluations: datasets, expressions and what they give, as JSON (Apache-2.0, from `promqltest`)."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from vigie_contracts.series import Labels
from vigie_query.matchers import predicate
from vigie_query.promql.evaluation import Evaluation, reads
from vigie_query.promql.labels import labels_of
from vigie_query.promql.parsing import parse
from vigie_query.promql.plan import Node, Selector, ValueType
from vigie_query.promql.samples import STALE, Samples

HERE = Path(__file__).parent
NUMBERS = {"NaN": math.nan, "Inf": math.inf, "+Inf": math.inf, "-Inf": -math.inf, "stale": STALE}

Series = tuple[Labels, np.ndarray, np.ndarray]
Points = list[tuple[int, float]]
Answer = dict[Labels, Points]


def number(value: str | float) -> float:
    return NUMBERS[value] if isinstance(value, str) else float(value)


def name(case: dict[str, Any]) -> str:
    return f"{case['source']}[{case['variant']}] {case['expr']}"


@cache
def _corpus() -> dict[str, Any]:
    return json.loads((HERE / "corpus.json").read_text())


def cases() -> list[dict[str, Any]]:
    return _corpus()["cases"]


@cache
def dataset(number_: int) -> list[Series]:
    [found] = [one for one in _corpus()["datasets"] if one["id"] == number_]
    return [
        (
            labels_of(series["labels"]),
            np.array([at for at, _ in series["samples"]], np.int64),
            np.array([number(value) for _, value in series["samples"]], np.float64),
        )
        for series in found["series"]
    ]


def divergences(path: Path = HERE / "divergences.txt") -> dict[str, str]:
    """The cases that do not pass, each with the reason."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {case.strip(): reason.strip() for case, _, reason in (line.partition("  <- ") for line in lines)}


def select(series: list[Series], selector: Selector, first_ms: int, last_ms: int) -> Samples:
    """What a store gives for a selector."""
    test = predicate(selector.matchers)
    found = [(labels, times, values) for labels, times, values in series if test(dict(labels))]
    inside = [(times >= first_ms) & (times <= last_ms) for _, times, _ in found]
    counts = [int(mask.sum()) for mask in inside]
    return Samples(
        [labels for labels, _, _ in found],
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate(
            [times[mask] for (_, times, _), mask in zip(found, inside, strict=True)] or [np.zeros(0)]
        ).astype(np.int64),
        np.concatenate([values[mask] for (_, _, values), mask in zip(found, inside, strict=True)] or [np.zeros(0)]),
    )


def evaluate(series: list[Series], expression: str, start_ms: int, end_ms: int, step_ms: int) -> Answer:
    """The points of every series of the answer; a scalar is a series without labels."""
    node: Node = parse(expression)
    query = Evaluation({}, start_ms, end_ms)
    data = {
        selector: select(series, selector, first, last)
        for selector, (first, last) in reads(node, start_ms, end_ms, query).items()
    }
    query = Evaluation(data, start_ms, end_ms)
    times = np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)
    if node.type is ValueType.SCALAR:
        return {(): list(zip(times.tolist(), query.scalar(node, times).tolist(), strict=True))}
    vector = query.vector(node, times)
    return {
        labels: list(zip(times[present].tolist(), values[present].tolist(), strict=True))
        for labels, values, present in zip(vector.labels, vector.values, vector.present, strict=True)
    }


def run(case: dict[str, Any]) -> Answer:
    return evaluate(dataset(case["dataset"]), case["expr"], case["start_ms"], case["end_ms"], case["step_ms"])


def expected(case: dict[str, Any]) -> Answer:
    return {
        labels_of(series["labels"]): [(at, number(value)) for at, value in series["points"]]
        for series in case["expected"]
    }


def same(got: Answer, wanted: Answer) -> bool:
    """Equal, as far as the corpus says: it rounds to three decimals, or to four digits below one."""
    if set(got) != set(wanted):
        return False
    return all(
        [at for at, _ in got[labels]] == [at for at, _ in points]
        and all(_near(mine, theirs) for (_, mine), (_, theirs) in zip(got[labels], points, strict=True))
        for labels, points in wanted.items()
    )


def _near(mine: float, theirs: float) -> bool:
    if math.isnan(mine) or math.isnan(theirs):
        return math.isnan(mine) and math.isnan(theirs)
    return mine == theirs or math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=5.001e-4)
