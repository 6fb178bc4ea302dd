"""Prometheus' own evaluations: datasets, expressions and what they give, as JSON (Apache-2.0, from `promqltest`)."""

from __future__ import annotations

import asyncio
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from vigie_contracts.series import Labels
from vigie_query.promql.labels import labels_of
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.parsing import parse
from vigie_query.promql.queries import Query, answer
from vigie_query.promql.samples import STALE, Samples, Vector

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


def samples_of(series: list[Series]) -> Samples:
    """As a reader gives them."""
    bounds = np.cumsum([0, *(len(times) for _, times, _ in series)]).astype(np.int64)
    times = np.concatenate([np.zeros(0, np.int64), *(times for _, times, _ in series)])
    return Samples([labels for labels, _, _ in series], bounds, times, np.concatenate([[], *(v for _, _, v in series)]))


def evaluate(series: list[Series], expression: str, start_ms: int, end_ms: int, step_ms: int) -> Answer:
    """The points of every series of the answer; a scalar is a series without labels."""
    query = Query(expression, parse(expression), start_ms, end_ms, step_ms)
    found = asyncio.run(answer(MemoryReader(samples_of(series)), query))
    assert isinstance(found.value, Vector)
    return {
        labels: list(zip(found.times[present].tolist(), values[present].tolist(), strict=True))
        for labels, values, present in zip(found.value.labels, found.value.values, found.value.present, strict=True)
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
