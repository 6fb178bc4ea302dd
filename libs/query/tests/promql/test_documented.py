"""The examples of `docs/promql.md`, and of the page beside this, come out as printed."""

import asyncio
import math
import re
from collections.abc import Iterator

import numpy as np
import pytest
from vigie_contracts.latest import BUCKET_BOUNDS
from vigie_contracts.series import Kind, Labels
from vigie_contracts.tiers import FINE
from vigie_query.errors import QueryError
from vigie_query.promql.cells import BUCKET, COUNT, SUM, VALUE, Shown, samples_of
from vigie_query.promql.labels import NAME, labels_of
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.parsing import parse
from vigie_query.promql.queries import Answer, Query, answer
from vigie_query.promql.samples import Vector
from vigie_windows import fold

from .documented import MORE, PAGE, Evaluated, Example, examples

CASES = [
    pytest.param(one, asked, id=f"{page.stem} line {asked.line}")
    for page in (PAGE, MORE)
    for one in examples(page)
    for asked in one.evaluated
]


def stored(example: Example) -> MemoryReader:
    """What was sent, as windows of 10 s, also under its derived names."""
    rows = [row for row, one in enumerate(example.loaded) for _ in one.points]
    times, points = zip(*(point for one in example.loaded for point in one.points), strict=True)
    kinds = np.array([one.kind for one in example.loaded], np.uint8)
    cells = fold(np.array(rows), np.array(times, np.int64), np.array(points, np.float64), kinds, FINE.width_ms)
    shown = [(one.labels, row, VALUE) for row, one in enumerate(example.loaded)]
    for row, one in enumerate(example.loaded):
        own = dict(one.labels)
        if one.kind is Kind.HISTOGRAM:
            shown += [(labels, row, part) for labels, part in classic(own)]
        if one.kind is Kind.COUNTER and not own[NAME].endswith("_total"):
            shown.append((labels_of({**own, NAME: f"{own[NAME]}_total"}), row, VALUE))
    labels, places, parts = zip(*shown, strict=True)
    at = np.array(places, np.int64)
    return MemoryReader(samples_of([cells], Shown(labels, at, kinds[at], np.array(parts, np.int64))))


def classic(labels: dict[str, str]) -> Iterator[tuple[Labels, int]]:
    """Labels and parts of `x_sum`, `x_count` and `x_bucket`."""
    name = labels[NAME]
    yield labels_of({**labels, NAME: f"{name}_sum"}), SUM
    yield labels_of({**labels, NAME: f"{name}_count"}), COUNT
    for place, bound in enumerate((*map(str, BUCKET_BOUNDS), "+Inf")):
        yield labels_of({**labels, NAME: f"{name}_bucket", "le": bound}), BUCKET + place


def ask(example: Example, asked: Evaluated) -> Answer:
    reader = stored(example) if example.loaded else MemoryReader.of({})
    query = Query(asked.text, parse(asked.text), asked.start_ms, asked.end_ms, asked.step_ms)
    return asyncio.run(answer(reader, query))


def values(found: Answer) -> dict[Labels, list[float | None]]:
    assert isinstance(found.value, Vector)
    return {
        labels: [value if there else None for value, there in zip(row.tolist(), present.tolist(), strict=True)]
        for labels, row, present in zip(found.value.labels, found.value.values, found.value.present, strict=True)
    }


def equal(got: float | None, wanted: float | None) -> bool:
    if got is None or wanted is None:
        return got is wanted
    return math.isclose(got, wanted, rel_tol=1e-12) or (math.isnan(got) and math.isnan(wanted))


@pytest.mark.parametrize(("example", "asked"), [case for case in CASES if "fail" not in case.values[1].expected])
def test_the_example_is_answered_as_printed(example: Example, asked: Evaluated) -> None:
    found = ask(example, asked)
    for expected, said in (("info", found.infos), ("warn", found.warnings)):
        texts = asked.expected.get(expected, [])
        assert len(said) == len(texts), said
        assert all(any(text in one for one in said) for text in texts), said
    got = values(found)
    assert got.keys() == asked.series.keys()
    for labels, wanted in asked.series.items():
        assert len(got[labels]) == len(wanted), got
        assert all(map(equal, got[labels], wanted)), f"{labels}: {got[labels]} instead of {wanted}"


@pytest.mark.parametrize(("example", "asked"), [case for case in CASES if "fail" in case.values[1].expected])
def test_the_example_is_refused_as_printed(example: Example, asked: Evaluated) -> None:
    [text] = asked.expected["fail"]
    with pytest.raises(QueryError, match=re.escape(text)):
        ask(example, asked)


def test_the_page_has_examples() -> None:
    assert len(CASES) >= 20
