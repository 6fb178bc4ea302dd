"""The query API of Prometheus over real MongoDB and Redis."""

from __future__ import annotations

from typing import Any

import pytest
from vigie_contracts.series import Kind

from .conftest import NOW

pytestmark = pytest.mark.connected

SECOND = 1_000


async def test_what_was_sent_is_found_and_computed(client: Any, world: Any) -> None:
    async def data(path: str, **parameters: Any) -> Any:
        answer = await client.http.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    ago = range(290, 0, -10)
    await world.send(
        [
            *((world.key("bookings", region=region), NOW - at * SECOND, 2.0) for at in ago for region in ("eu", "us")),
            *((world.key("stay_seconds", Kind.HISTOGRAM), NOW - at * SECOND, 0.75) for at in ago),
            (world.key("rooms", Kind.GAUGE, **{"hotel.name": "a=b"}), NOW - 10 * SECOND, 7.5),
        ]
    )
    at = NOW / SECOND
    assert (await data("query", query="sum(increase(bookings[5m]))", time=at))["result"] == [
        {"metric": {}, "value": [NOW // SECOND, str(2 * 2 * len(ago))]}
    ]
    found = await data("query_range", query="rooms", start=at - 60, end=at, step=30)
    assert [value for _, value in found["result"][0]["values"]] == ["7.5"]
    [stay] = (await data("query", query="stay_seconds[20s]", time=at - 10))["result"]
    seconds, histogram = stay["histograms"][-1]
    assert (seconds, histogram["count"], histogram["sum"]) == (NOW // SECOND - 10, "1", "0.75")
    assert [(rule, count) for rule, _, _, count in histogram["buckets"]] == [(0, "1")]
    [grown] = (await data("query", query="increase(stay_seconds[5m])", time=at))["result"]
    assert grown["histogram"][1]["count"] == str(len(ago))
    over = await data("query_range", query="increase(stay_seconds[1m])", start=at - 120, end=at, step=60)
    assert [one["count"] for _, one in over["result"][0]["histograms"]] == ["6", "6", "5"]
    assert await data("labels") == ["__name__", "hotel.name", "le", "region"]
    assert await data("label/region/values") == ["eu", "us"]
    assert await data("label/hotel.name/values") == ["a=b"]
    assert await data("label/region/values", **{"match[]": 'bookings_total{region!="us"}'}) == ["eu"]
    names = await data("label/__name__/values")
    assert names == [
        "bookings", "bookings_total", "rooms", "stay_seconds", "stay_seconds_bucket", "stay_seconds_count",
        "stay_seconds_sum",
    ]  # fmt: skip
    assert await data("series", **{"match[]": ["rooms", "stay_seconds_count"]}) == [
        {"__name__": "rooms", "hotel.name": "a=b"},
        {"__name__": "stay_seconds_count"},
    ]
    assert (await data("status/tsdb"))["headStats"]["numSeries"] == 4
