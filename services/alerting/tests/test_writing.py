"""A rule that would look at too many series is refused when it is written, whatever its selector looks like."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from vigie_alerting.api.rules.writing import MAX_COUNTED, evaluable
from vigie_alerting.engine.start import MAX_SERIES
from vigie_alerting.rulebook.errors import InvalidRule
from vigie_alerting.rules.compiling import compiled
from vigie_contracts.alerts import Rule, RuleKind
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryLimitExceeded
from vigie_runtime.clock import ManualClock
from vigie_runtime.expressions import Expressions
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.series.filter import Filter

SERIES = {"requests": 250_000, "errors": 40_000, "seconds": 90_000, "up": 12}


@dataclass
class Catalogue:
    """So many series of each name; one in ten has any one label."""

    many_names: bool = False
    asked: list[Filter] = field(default_factory=list[Filter])

    async def families(self, _tenant: TenantId) -> list[tuple[str, Kind]]:
        if self.many_names:
            raise QueryLimitExceeded("query: a pattern is tried on at most 20000 names", "query")
        return [(name, Kind.HISTOGRAM if name == "seconds" else Kind.GAUGE) for name in SERIES]

    async def count(self, _tenant: TenantId, wanted: Filter, limit: int) -> int | None:
        self.asked.append(wanted)
        assert all(one.in_store for one in wanted.matchers), "the store counts by itself"
        there = sum(SERIES.get(name, 0) for name in (SERIES if wanted.names is None else wanted.names))
        return min(there // 10 ** len(wanted.matchers), limit + 1)


async def refusal(expression: str, catalogue: Catalogue | None = None) -> str:
    """The sentence of it; empty: none."""
    reader = SelectorReader(catalogue or Catalogue(), Expressions(), ManualClock(), MAX_SERIES)  # type: ignore[arg-type]
    context: Any = SimpleNamespace(tenant=TenantId("acme"), resources=SimpleNamespace(selectors=reader))
    rule = Rule(id="r", tenant="acme", name="r", kind=RuleKind.EXPRESSION, expression=expression)
    try:
        await evaluable(context, compiled(rule))
    except InvalidRule as e:
        return str(e.problems[0])
    return ""


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("requests > 1", "selects 250,000 series"),
        ('{__name__=~"req.*"} > 1', "selects 250,000 series"),
        ('{__name__=~"req.*|err.*"} > 1', "selects 290,000 series"),
        ('{__name__!="up", __name__=~".+"} > 1', "selects 380,000 series"),
        ('up * on () group_right () sum({__name__=~"requests|up"})', "selects 250,012 series"),
        ('requests{path=~"/a.*"} > 1', "tries patterns of labels on 250,000 series"),
        ('{path=~"/a.*"} > 1', "tries patterns of labels on 380,012 series"),
    ],
)
async def test_too_many_series_are_refused_with_their_number(expression: str, count: str) -> None:
    assert f"expression: {count}, at most 100,000" in await refusal(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "errors > 1",
        'requests{path="/a"} > 1',
        '{__name__=~"err.*|up"} > 1',
        '{path="/a"} > 1',
        'requests{path=~"/a.*", zone="b"} > 1',
        'rate(seconds_bucket{le="0.5"}[5m]) > 1',
        '{__name__=~"nothing.*"} > 1',
        "vector(1) > 2",
    ],
)
async def test_what_is_bounded_is_taken(expression: str) -> None:
    assert await refusal(expression) == ""


async def test_a_pattern_of_names_finds_what_is_derived_from_them_too() -> None:
    catalogue = Catalogue()
    await refusal('rate({__name__=~"seconds_b.*"}[5m]) > 1', catalogue)
    assert [one.names for one in catalogue.asked] == [("seconds",)]


async def test_a_pattern_that_cannot_be_tried_on_the_names_is_refused() -> None:
    assert "tried on at most 20000 names" in await refusal('{__name__=~"a.*"} > 1', Catalogue(many_names=True))


async def test_counting_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SERIES, "requests", 50_000_000)
    assert f"selects more than {MAX_COUNTED:,} series" in await refusal("requests > 1")
