"""The examples of `docs/promql.md` come out as printed."""

import asyncio
import math
import re

import pytest
from vigie_contracts.series import Labels
from vigie_query.errors import QueryError
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.parsing import parse
from vigie_query.promql.queries import Answer, Query, answer
from vigie_query.promql.samples import Vector

from .documented import Evaluated, Example, examples

CASES = [pytest.param(one, asked, id=f"line {asked.line}") for one in examples() for asked in one.evaluated]


def ask(example: Example, asked: Evaluated) -> Answer:
    reader = MemoryReader.of({one.labels: one.points for one in example.loaded})
    return asyncio.run(
        answer(reader, Query(asked.text, parse(asked.text), asked.start_ms, asked.end_ms, asked.step_ms))
    )


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
