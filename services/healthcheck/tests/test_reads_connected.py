"""What is known of targets over HTTP, and what anybody may see, on real MongoDB and Redis."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import pytest_asyncio
from vigie_contracts.checks import Check, Verdict
from vigie_contracts.targets import Maintenance, Target
from vigie_contracts.tenants import TenantId
from vigie_healthcheck.status.pages import StatusPages
from vigie_identity.permissions import Role
from vigie_runtime.clients import Database
from vigie_storage.health.checks import Checks
from vigie_storage.health.incidents import Ended, Incident, Incidents
from vigie_storage.health.states import HealthStates
from vigie_storage.mongo import transaction

from services.healthcheck.tests.desk import ACME, Desk, opened, person
from tests.kit.wait import eventually

pytestmark = pytest.mark.connected

OTHER = TenantId("other")
NAMES = ["a/b", "a/checks", "é 漢字", "50%", "x?y#z", "incidents", "uptime"]


@pytest_asyncio.fixture(loop_scope="session")
async def desk(database: Database, mongo_uri: str, redis_url: str) -> AsyncIterator[Desk]:
    async with opened(database, mongo_uri, redis_url) as made:
        yield made


async def down(desk: Desk, target: Target, started_ms: int, ended_ms: int | None = None) -> None:
    incidents = Incidents(desk.database)
    one = Incident(
        target=target.id, tenant=TenantId(target.tenant), name=target.name, started_ms=started_ms,
        reason="the connection to 10.0.0.7:5432 was refused",
    )  # fmt: skip
    await transaction(desk.database, lambda session: incidents.write([one], session))
    if ended_ms is not None:
        end = Ended(TenantId(target.tenant), target.id, ended_ms)
        await transaction(desk.database, lambda session: incidents.write([end], session))


async def test_overall_state_counts_and_the_short_list(desk: Desk) -> None:
    assert (await desk.get("/api/health"))["status"] == "unknown"
    await desk.watch("web")
    await desk.watch("db", Verdict.DEGRADED)
    await desk.watch("new", None)
    await desk.watch("off", Verdict.DOWN, enabled=False)
    now = desk.now_ms
    planned = [Maintenance(starts_at=now - 1_000, ends_at=now + 60_000)]
    await desk.watch("moving", Verdict.DOWN, maintenance=planned)
    await desk.watch("of another tenant", Verdict.DOWN, OTHER)
    await asyncio.sleep(1)
    found = await desk.get("/api/health")
    assert found["status"] == "degraded"
    assert found["counts"] == {"total": 4, "up": 1, "degraded": 1, "down": 0, "unknown": 1, "maintenance": 1}
    assert [(one["name"], one["status"]) for one in found["services"]] == [
        ("db", "degraded"), ("moving", "unhealthy"), ("new", "unknown"), ("web", "healthy"),
    ]  # fmt: skip
    assert set(found["services"][0]) == {"name", "status", "lastCheck", "responseTime"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["timestamp"])


async def test_a_list_by_pages_and_filters(desk: Desk) -> None:
    for number in range(7):
        await desk.watch(f"web-{number}", Verdict.DOWN if number == 5 else Verdict.UP, group="web")
    await desk.watch("DB", None, kind="tcp")
    names: list[str] = []
    cursor = None
    while True:
        page = await desk.get("/api/health/services", params={"limit": 3, **({"cursor": cursor} if cursor else {})})
        names += [one["name"] for one in page["services"]]
        if (cursor := page["nextCursor"]) is None:
            break
    assert names == ["DB", *(f"web-{number}" for number in range(7))]
    for params, wanted in (
        ({"state": "down"}, ["web-5"]),
        ({"state": ["down", "unknown"]}, ["DB", "web-5"]),
        ({"kind": "tcp"}, ["DB"]),
        ({"group": "web", "q": "B-3"}, ["web-3"]),
        ({"q": ".*"}, []),
    ):
        page = await desk.get("/api/health/services", params=params)
        assert [one["name"] for one in page["services"]] == wanted
        assert page["nextCursor"] is None
    page = await desk.get("/api/health/services?uptime=true&limit=1")
    assert page["services"][0]["uptime"] is None
    for params in ({"state": "sideways"}, {"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"q": "a\0"}):
        await desk.get("/api/health/services", 422, params=params)


async def test_one_service_with_its_definition_and_without_its_secrets(desk: Desk) -> None:
    now = desk.now_ms
    soon = Maintenance(starts_at=now + 60_000, ends_at=now + 120_000, reason="disks")
    sealed = '{"headers":{"x-key":"hunter2"},"password":"hunter3"}'
    await desk.watch("shop", Verdict.DOWN, sealed=sealed, maintenance=[soon], known={"incident_ms": now - 5_000})
    found = await desk.get("/api/health/services/shop")
    assert (found["status"], found["state"], found["url"]) == ("unhealthy", "down", "https://acme.internal/x")
    assert found["reason"] == "the connection to 10.0.0.7:5432 was refused"
    assert (found["interval"], found["timeout"], found["retries"]) == (30_000, 5_000, 0)
    assert found["responseTime"] == 12.5
    assert found["incidentSince"]
    assert [(one["reason"], one["current"]) for one in found["maintenance"]] == [("disks", False)]
    assert found["definition"]["name"] == "shop"
    assert "hunter" not in str(found)
    problem = await desk.get("/api/health/services/nothing", 404)
    assert problem["detail"] == "there is no service 'nothing'"
    await desk.watch("theirs", tenant=OTHER)
    await desk.get("/api/health/services/theirs", 404)


async def test_any_name_is_found_by_its_path(desk: Desk) -> None:
    await desk.watch("a")
    for name in NAMES:
        await desk.watch(name)
        written = quote(name, safe="")
        for rest in ("", "/checks", "/uptime", "/incidents"):
            found = await desk.get(f"/api/health/services/{written}{rest}")
            assert found.get("name", name) == name
        assert f"<title>{name}: up</title>" in await desk.get(f"/api/health/services/{written}/badge.svg")


async def test_a_service_that_nobody_checks_any_more_is_unknown(desk: Desk) -> None:
    now = desk.now_ms
    await desk.watch("old", known={"checked_ms": now - 200_000, "due_ms": now - 170_000})
    found = await desk.get("/api/health/services/old")
    assert (found["status"], found["state"]) == ("unknown", "unknown")
    assert found["reason"] == "it is not checked any more: no prober answers for it"
    assert (await desk.get("/api/health"))["status"] == "unknown"


async def test_people_of_a_site_see_its_services_only(desk: Desk) -> None:
    await desk.watch("paris", labels={"site": "paris"})
    await desk.watch("rome", Verdict.DOWN, labels={"site": "rome"})
    reader = person(Role.READONLY, sites=frozenset({"paris"}))
    assert (await desk.get("/api/health", by=reader))["counts"]["total"] == 1
    page = await desk.get("/api/health/services", by=reader)
    assert [one["name"] for one in page["services"]] == ["paris"]
    for rest in ("", "/checks", "/uptime", "/incidents", "/badge.svg"):
        await desk.get(f"/api/health/services/rome{rest}", 404, by=reader)
    await desk.get("/api/health/services/rome", by=person(Role.READONLY, sites=frozenset({"rome"})))


async def test_history_of_checks(desk: Desk) -> None:
    target = await desk.watch("shop")
    now = desk.now_ms
    all_ = [
        Check(
            id=f"{target.id}-{number}", tenant=ACME, target=target.id, probe="http", timestamp=now - number * 30_000,
            verdict=Verdict.DOWN if number == 2 else Verdict.UP, duration_ms=10.0, reason="x" if number == 2 else "",
            phases={"connect": 1.5}, attempts=2, name="shop", state="up",
        )
        for number in range(5)
    ]  # fmt: skip
    await Checks(desk.database).write(all_)
    first = await desk.get("/api/health/services/shop/checks?limit=3")
    assert [one["verdict"] for one in first["checks"]] == ["up", "up", "down"]
    assert first["checks"][2]["status"] == "unhealthy"
    assert (first["checks"][0]["phases"], first["checks"][0]["attempts"]) == ({"connect": 1.5}, 2)
    rest = await desk.get("/api/health/services/shop/checks", params={"cursor": first["nextCursor"]})
    assert len(rest["checks"]) == 2
    assert rest["nextCursor"] is None
    only = await desk.get("/api/health/services/shop/checks?verdict=down")
    assert [one["id"] for one in only["checks"]] == [f"{target.id}-2"]
    some = await desk.get(f"/api/health/services/shop/checks?from={now - 65_000}&to={now - 10_000}")
    assert [one["verdict"] for one in some["checks"]] == ["up", "down"]
    await desk.get("/api/health/services/shop/checks?from=yesterday", 422)


async def test_incidents_of_all_and_of_one(desk: Desk) -> None:
    shop, other = await desk.watch("shop"), await desk.watch("other")
    now = desk.now_ms
    await down(desk, shop, now - 7_200_000, now - 3_600_000)
    await down(desk, other, now - 60_000)
    await down(desk, await desk.watch("theirs", tenant=OTHER), now - 60_000)
    found = await desk.get("/api/health/incidents")
    assert [(one["service"], one["ended"] is None) for one in found["incidents"]] == [("other", True), ("shop", False)]
    assert found["incidents"][1]["durationSeconds"] == 3_600
    page = await desk.get("/api/health/incidents?limit=1")
    rest = await desk.get("/api/health/incidents", params={"cursor": page["nextCursor"]})
    assert [one["service"] for one in rest["incidents"]] == ["shop"]
    assert len((await desk.get("/api/health/incidents?open=true"))["incidents"]) == 1
    assert len((await desk.get("/api/health/services/shop/incidents"))["incidents"]) == 1


async def test_uptime_without_history_is_null(desk: Desk) -> None:
    await desk.watch("shop")
    found = await desk.get("/api/health/services/shop/uptime?window=30d")
    assert (found["uptime"], found["upSeconds"], found["window"]) == (None, 0, "30d")
    assert found["latency"] == dict.fromkeys(("p50", "p95", "p99", "avg", "max"))
    assert found["from"] < found["to"]
    await desk.get("/api/health/services/shop/uptime?window=1y", 422)


async def test_a_forced_check_is_answered_when_it_is_made(desk: Desk) -> None:
    shop = await desk.watch("shop", Verdict.DOWN)
    asked = asyncio.create_task(desk.call("POST", "/api/health/check", json={"service": "shop"}))
    states = HealthStates(desk.database)
    await eventually(states.asked, 5)
    waiting = await states.asked()
    await desk.found(shop, Verdict.UP, checked_ms=waiting[shop.id])
    answer = await asked
    assert answer.status_code == 200
    assert desk.looked
    assert [(one["name"], one["status"]) for one in answer.json()["services"]] == [("shop", "healthy")]
    assert answer.json()["pending"] == []


async def test_a_check_that_is_not_made_in_time_is_said_to_be_pending(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vigie_healthcheck.forced.MARGIN_S", 0.1)
    await desk.watch("shop", timeout_ms=100)
    await desk.watch("off", enabled=False)
    answer = await desk.call("POST", "/api/health/check")
    assert answer.status_code == 202
    assert (answer.json()["pending"], len(answer.json()["services"])) == (["shop"], 1)
    assert (await desk.call("POST", "/api/health/check?service=nothing")).status_code == 404
    assert (await desk.call("POST", "/api/health/check", json={"name": "shop"})).status_code == 422
    nobody = person(tenant=OTHER)
    assert (await desk.call("POST", "/api/health/check", by=nobody, headers={"x-scope-orgid": ACME})).status_code == 404


async def test_the_status_page_shows_what_is_public_and_nothing_else(desk: Desk) -> None:
    hostile = "<script>alert(1)</script>"
    target = await desk.watch(hostile, Verdict.DOWN, public=True, group="Booking")
    hidden = await desk.watch("backstage", Verdict.DOWN)
    now = desk.now_ms
    await down(desk, target, now - 60_000)
    await down(desk, hidden, now - 60_000)
    answer = await desk.call("GET", "/status/acme")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=10"
    assert any("style-src 'sha256-" in one for one in answer.headers.get_list("content-security-policy"))
    assert "Some services are down" in answer.text
    assert "The connection to … was refused." in answer.text
    shown = await desk.get("/status/acme.json")
    assert [(one["name"], one["state"], one["group"]) for one in shown["services"]] == [(hostile, "down", "Booking")]
    assert (shown["state"], len(shown["incidents"]), len(shown["services"][0]["days"])) == ("down", 1, 90)
    feed = await desk.call("GET", "/status/acme.rss")
    assert feed.headers["content-type"] == "application/rss+xml"
    assert ElementTree.fromstring(feed.text).findtext("channel/link") == "https://vigie.example/status/acme"
    feed = await desk.call("GET", "/status/acme.rss", headers={"host": "10.0.0.7:8080"})
    assert "10.0.0.7" not in feed.text, "a proxy may call it by another name"
    for text in (answer.text, str(shown), feed.text):
        assert not {part for part in ("backstage", "10.0.0.7", "internal") if part in text}
    assert "<script" not in answer.text + feed.text


async def test_a_tenant_that_shows_nothing_is_answered_like_one_that_is_not_there(desk: Desk) -> None:
    await desk.watch("hidden")
    await desk.watch("off", public=True, enabled=False)
    answers = set[str]()
    for tenant in ("acme", "nobody", "_platform", "a" * 100, "%00", "x y"):
        for form in ("", ".json", ".rss"):
            found = await desk.get(f"/status/{tenant}{form}", 404)
            answers.add(found["detail"])
    assert answers == {"there is no such status page"}


async def test_the_page_is_made_once_in_ten_seconds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make: Any = StatusPages._make  # pyright: ignore[reportPrivateUsage]

    async def counted(self: StatusPages, tenant: str) -> Any:
        made.append(tenant)
        return await make(self, tenant)

    monkeypatch.setattr(StatusPages, "_make", counted)
    await desk.watch("web", public=True)
    await asyncio.gather(*(desk.get(f"/status/acme{form}") for form in ("", ".json", ".rss", "")))
    assert made == ["acme"]


async def test_badges_are_public_of_what_is_public(desk: Desk) -> None:
    await desk.watch("a/b", Verdict.DEGRADED, public=True)
    await desk.watch("hidden")
    answer = await desk.call("GET", "/status/acme/services/a%2Fb/badge.svg")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/svg+xml", "public, max-age=30")
    assert "<title>a/b: degraded</title>" in answer.text
    for type_ in ("uptime", "latency"):
        assert "unknown" in await desk.get(f"/status/acme/services/a%2Fb/badge.svg?type={type_}&window=7d")
    details = {
        (await desk.get(f"/status/{where}/badge.svg", 404))["detail"]
        for where in ("acme/services/hidden", "acme/services/nothing", "nobody/services/hidden")
    }
    assert details == {"there is no such public service"}
    own = await desk.call("GET", "/api/health/services/hidden/badge.svg")
    assert (own.status_code, own.headers["cache-control"]) == (200, "private, max-age=30")
    await desk.get("/status/acme/services/a%2Fb/badge.svg?type=colour", 422)
