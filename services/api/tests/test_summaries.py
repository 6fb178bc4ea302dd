"""The summaries of the areas: what was sent is shown, and the numbers of a block have one meaning."""

from typing import Any

import pytest
from vigie_contracts import names
from vigie_contracts.series import Kind

from .conftest import NOW

pytestmark = pytest.mark.connected


async def test_every_business_metric_is_shown_and_by_service(client: Any, world: Any) -> None:
    upgrades, other = world.key("seat_upgrades", service="rome"), world.key("seat_changes", service="rome")
    revenue = [world.key("revenue", service=service) for service in ("paris", "rome")]
    odd = world.key(names.ACTIVE_USERS, Kind.COUNTER, service="web")  # the name is known, but not as a counter
    await world.send([
        (upgrades, NOW - 9_000, 2.0), (other, NOW - 9_000, 9.0), (revenue[0], NOW - 9_000, 100.0),
        (revenue[0], NOW - 8_000, 20.5), (revenue[1], NOW - 9_000, 40.0), (odd, NOW - 9_000, 3.0),
    ])  # fmt: skip
    for key in (upgrades, odd):
        await world.catalogue.mark_business([key.fingerprint])
    body = await client.get("/api/metrics/business")
    shown = {one["name"]: one for one in body["other"]}
    assert list(shown) == ["active_users", "revenue", "seat_upgrades"]
    assert (shown["seat_upgrades"]["value"], shown["active_users"]["value"]) == (2, 3)
    assert shown["revenue"]["value"] == 160.5
    assert [(one["service"], one["value"]) for one in shown["revenue"]["byService"]] == [("paris", 120.5), ("rome", 40)]
    assert body["otherTruncated"] is False
    assert (await client.get("/api/metrics/system"))["other"] == []


async def test_users_and_connections_of_services_are_added(client: Any, world: Any) -> None:
    await world.send([
        (world.key(name, Kind.GAUGE, service=service), NOW - before, value)
        for name in (names.ACTIVE_USERS, names.ACTIVE_CONNECTIONS)
        for service, before, value in (("a", 60_000, 900.0), ("b", 60_000, 50.0), ("a", 30_000, 700.0))
    ])  # fmt: skip
    users = (await client.get("/api/metrics/business", period="1h"))["activeUsers"]
    assert (users["current"], users["peak"]) == (750, 950)
    assert 750 < users["avg"] < 950
    body = await client.get("/api/metrics/application")
    connections = body["overall"]["activeConnections"]
    assert (connections["current"], connections["max"]) == (750, 950)
    assert 750 < connections["avg"] < 950
    assert [one["activeConnections"]["max"] for one in body["services"]] == [900, 50]
    assert (await client.get("/api/dashboard/summary"))["application"]["activeConnections"] == 750
