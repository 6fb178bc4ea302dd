"""Questions that are hard to answer right, over real MongoDB and Redis."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest
from vigie_contracts.series import Kind
from vigie_runtime.expressions import Expressions
from vigie_storage.series.catalogue import SeriesCatalogue

from .conftest import HOUR, NOW

pytestmark = pytest.mark.connected

MINUTE = 60_000


def values(answer: dict[str, Any]) -> list[float]:
    """The numbers of the only line that are not null."""
    [line] = answer["series"]
    return [value for _, value in line["points"] if value is not None]


async def test_an_increase_does_not_depend_on_where_the_question_starts(client: Any, world: Any) -> None:
    begin = NOW // HOUR * HOUR - 3 * HOUR
    key, other = world.key("grown", Kind.CUMULATIVE, pod="a"), world.key("grown", Kind.CUMULATIVE, pod="b")
    samples = [(key, begin + i * 10 * MINUTE, 100.0 + 60 * i) for i in range(3)]
    await world.send([*samples, (other, begin - 20 * HOUR, 5.0), (other, begin + 20 * MINUTE + 1, 6.0)])

    async def grown(start: int, end: int) -> list[float]:
        asked = {"metric": "grown", "function": "increase", "step": "10m", "from_": start, "to": end}
        return values(await client.get("/api/query_range", **asked))

    assert await grown(begin, begin + 30 * MINUTE) == [0, 60, 61]
    pieces = [await grown(begin + i * 10 * MINUTE, begin + (i + 1) * 10 * MINUTE) for i in range(3)]
    assert pieces == [[0], [60], [61]]


async def test_series_of_several_kinds_are_not_mixed(client: Any, world: Any) -> None:
    at = NOW - MINUTE
    kinds = {Kind.GAUGE: 4.0, Kind.COUNTER: 100.0, Kind.CUMULATIVE: 7_000.0, Kind.HISTOGRAM: 2.0}
    await world.send([(world.key("mixed", kind, service="a"), at, value) for kind, value in kinds.items()])
    for function in ("sum", "p50", "avg", "count"):
        body = await client.get("/api/query_range", 422, metric="mixed", function=function, by="*")
        assert body["errors"][0]["field"] == "type"
        [*_, choice] = re.findall(r"type=(\w+)", body["detail"])
        assert values(await client.get("/api/query_range", metric="mixed", function=function, type=choice)) == [
            {"count": 1}.get(function, 2)
        ]
    body = await client.get("/api/query_range", 422, metric="mixed", function="avg", type="counter")
    assert body["errors"][0]["field"] == "temporality"
    only = await client.get("/api/query_range", metric="mixed", function="avg", temporality="delta")
    assert values(only) == [100]
    both = await client.get("/api/query_range", metric="mixed", function="increase", type="counter")
    assert values(both) == [100]
    found = (await client.get("/api/series", name="mixed", temporality="cumulative"))["series"]
    assert [(one["type"], one["latest"]["sum"]) for one in found] == [("counter", 7_000)]


async def test_the_total_of_a_cumulative_counter_is_its_value(client: Any, world: Any) -> None:
    key = world.key("requests", Kind.CUMULATIVE)
    await world.send([(key, NOW - ago, 100.0 - ago / 1_000) for ago in (3_000, 2_000, 1_000)])
    [found] = (await client.get("/api/series", name="requests"))["series"]
    assert (found["latest"]["value"], found["latest"]["sum"], found["latest"]["count"]) == (99, 99, 3)


async def test_matchers_are_read_as_in_promql(client: Any, world: Any) -> None:
    await world.send([(world.key("m", Kind.GAUGE, service=service), NOW - MINUTE, 1.0) for service in ("a", "b")])
    for match in ("service=a", 'service="a"', "service='a'", 'service = "a"', 'service=~"a|x"', 'service!="b"'):
        assert [one["labels"] for one in (await client.get("/api/series", match=match))["series"]] == [{"service": "a"}]
    body = await client.get("/api/series", 422, match='{service="a"}')
    assert "without braces" in body["detail"]


async def test_expressions_that_take_long_are_refused_while_others_are_served(client: Any, world: Any) -> None:
    keys = [world.key("many", Kind.GAUGE, path=f"{i:04}" + "ab" * 500) for i in range(1_500)]
    await world.send([(key, NOW - MINUTE, 1.0) for key in keys])
    resources = client.app.state.service.resources
    for catalogue in (resources.series, resources.reader.catalogue):
        assert isinstance(catalogue, SeriesCatalogue)
        catalogue._expressions = Expressions(0.2)
    nasty = ["path=~.*(a.{0,200}y).*(b.{0,100}z)", "path!~(?:.*b){60}c"]
    asked = [
        asyncio.create_task(client.http.get(path, params={"metric": "many", "match": nasty}))
        for path in ("/api/query_range", "/api/series")
    ]
    slowest = 0.0
    while not all(task.done() for task in asked):
        began = time.perf_counter()
        assert (await client.http.get("/health/live")).status_code == 200
        slowest = max(slowest, time.perf_counter() - began)
        await asyncio.wait(asked, timeout=0.005)
    for task in asked:
        answer = task.result()
        assert answer.status_code == 422
        assert "simpler expressions" in answer.json()["detail"]
    assert slowest < 1
    assert len((await client.get("/api/series", match="path=~0.*", limit=1_000))["series"]) == 1_000


@pytest.mark.parametrize("step", ["0", "-1", "x", "15", "1s", "10s"])
async def test_impossible_steps_are_refused_before_the_catalogue_is_read(
    client: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def find(*_: Any) -> Any:
        raise AssertionError("the catalogue was read")

    monkeypatch.setattr(SeriesCatalogue, "find", find)
    for path in ("/api/query_range", "/api/dashboard/charts/cpu"):
        body = await client.get(path, 422, metric="m", step=step, from_="now-40d")
        assert body["errors"][0]["field"] == "step"


async def test_one_refusal_says_what_is_accepted(client: Any, world: Any) -> None:
    keys = [world.key("m", Kind.GAUGE, i=str(i)) for i in range(20)]
    await world.send([(key, NOW - MINUTE, 1.0) for key in keys])
    body = await client.get("/api/query_range", 422, metric="m", from_="now-400d", step="1h")
    step = re.search(r"step=(\w+)", body["detail"])
    assert step is not None
    answer = await client.get("/api/query_range", metric="m", from_="now-400d", step=step[1], function="count")
    assert sum(values(answer)) == 20


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e18, 1e300])
async def test_the_error_bound_holds(client: Any, world: Any, scale: float) -> None:
    key = world.key("g", Kind.GAUGE)
    await world.send([(key, NOW - MINUTE + i, i * scale) for i in range(1, 6)])
    answer = await client.get("/api/query_range", metric="g", function="p50", step="1h")
    assert values(answer)[-1] == pytest.approx(3 * scale, rel=answer["errorBound"])


async def test_percentiles_and_means_of_extreme_values(client: Any, world: Any) -> None:
    few, great = world.key("few", Kind.HISTOGRAM), world.key("great", Kind.GAUGE)
    await world.send([(few, NOW - 9_000, 0.01), (few, NOW - 8_000, 9.0)])
    await world.send([(great, NOW - 9_000, 1e308), (great, NOW - 8_000, 1.5e308)])
    assert values(await client.get("/api/query_range", metric="few", function="p99", step="1h")) == [9]
    assert values(await client.get("/api/query_range", metric="great", function="avg", step="1h")) == [1.25e308]
