"""Hosts, sites and /stats: what is shown of reports, to whom, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from vigie_contracts import names
from vigie_contracts.hosts import IMPORTED
from vigie_contracts.payloads import payloads
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action
from vigie_identity.pages import PageRequest
from vigie_identity.permissions import Role, Scope

from .conftest import PASSWORD, Headers, Office, World

pytestmark = pytest.mark.connected

ACME = TenantId("acme")
BODY: dict[str, Any] = msgspec.json.decode(
    next(one.data for one in payloads("api.hosts.reports") if one.name == "v1-report.json")
)
SHOP = {"id": "shop", "host": "web-1", "account": "shop", "directory": "/var/www/sites/shop"}


def now(office: Office) -> datetime:
    return datetime.fromtimestamp(office.clock.now_ms() / 1000, UTC)


async def reported(office: Office, host: str = "web-1", ago_s: float = 0, *, newest: bool = True, **parts: Any) -> None:
    """What the aggregator stores of a report."""
    db = office.app.state.service.resources.database
    at = now(office) - timedelta(seconds=ago_s)
    ms = int(at.timestamp() * 1000)
    body = BODY | {"host": host, "timestamp": ms, "receivedAt": ms} | parts
    fields = {"tenant": "acme", "host": host, "at": at, "received": at, "body": body}
    await db["host_reports"].insert_one({**fields, "_id": f"{host}-{ms}", "expires": at + timedelta(days=1)})
    if newest:
        await db["host_latest"].replace_one({"_id": f"acme/{host}"}, {**fields, "report": "r"}, upsert=True)
    office.clock.advance(6)  # past what is at hand


@pytest_asyncio.fixture(loop_scope="session")
async def acme(office: Office) -> Office:
    await office.tenant("acme")
    office.root = {**office.root, "x-scope-orgid": "acme"}
    return office


async def person(office: Office, role: Role, *sites: str) -> Headers:
    path, name = "/admin/tenants/acme/users", role.lower()
    await office.call("POST", path, office.root, 201, name=name, password=PASSWORD, role=role, sites=list(sites))
    return await office.log_in(name, tenant="acme")


async def test_the_permission_table_of_the_replaced_system_holds_in_every_cell(acme: Office) -> None:
    await acme.call("POST", "/api/sites", acme.root, 201, **SHOP)
    await acme.call("POST", "/api/sites", acme.root, 201, **{**SHOP, "id": "blog", "account": "blog"})
    await reported(acme)
    who = {role: await person(acme, role, "shop") for role in (Role.ADMIN, Role.USER, Role.READONLY)}
    table: dict[tuple[str, str], tuple[int, int, int]] = {
        ("GET", "/stats/server"): (200, 403, 403),
        ("GET", "/stats/server/history"): (200, 403, 403),
        ("GET", "/stats/system"): (200, 200, 200),
        ("GET", "/stats/sites"): (200, 403, 403),
        ("GET", "/stats/site/shop"): (200, 200, 200),
        ("GET", "/stats/site/shop/history"): (200, 200, 200),
        ("GET", "/stats/site/blog"): (200, 404, 404),
        ("GET", "/stats/site/blog/history"): (200, 404, 404),
        ("GET", "/stats/site/nowhere"): (404, 404, 404),
        ("GET", "/stats/services/shop"): (200, 200, 200),
        ("GET", "/stats/services/blog"): (200, 404, 404),
        ("GET", "/stats/services"): (200, 403, 403),
        ("GET", "/stats/config"): (200, 403, 403),
        ("PUT", "/stats/config"): (200, 403, 403),
        ("GET", "/api/hosts"): (200, 403, 403),
        ("GET", "/api/hosts/web-1"): (200, 403, 403),
    }
    found = {
        (method, path): tuple(
            [(await acme.http.request(method, path, headers=headers, **sent)).status_code for headers in who.values()]
        )
        for method, path in table
        for sent in [{"json": {"alertsEnabled": True}} if method == "PUT" else {}]
    }
    assert found == table
    assert {path: (await acme.http.get(path)).status_code for _, path in table} == {path: 401 for _, path in table}

    system = await acme.call("GET", "/stats/system", who[Role.USER])
    assert system == {
        "host": "web-1", "timestamp": system["timestamp"],
        "cpu": {"percent": 42.5}, "memory": {"percent": 52.6}, "disk": {"percent": 60.0},
    }  # fmt: skip
    assert "totals" in await acme.call("GET", "/stats/system", who[Role.ADMIN])
    listed = await acme.call("GET", "/api/sites", who[Role.READONLY])
    assert [site["id"] for site in listed["sites"]] == ["shop"]
    await acme.call("GET", "/api/sites/blog", who[Role.USER], 404)
    for method, path in (("POST", "/api/sites"), ("PUT", "/api/sites/shop"), ("DELETE", "/api/sites/shop")):
        await acme.call(method, path, who[Role.USER], 403)


async def test_the_server_is_shown_in_the_words_of_the_replaced_system(acme: Office) -> None:
    await acme.call("GET", "/stats/server", acme.root, 404)
    await acme.call("POST", "/api/sites", acme.root, 201, **SHOP, domains=["Shop.example.com"])
    await reported(acme)
    stats = await acme.call("GET", "/stats/server", acme.root)
    for part in ("cpu", "memory", "disk", "network"):
        assert BODY[part].items() <= stats[part].items()
    assert stats["totals"] == {"sites": 1, "services": 3, "users": 0, "servicesRunning": 2}
    assert (stats["uptime"], stats["processes"]["total"], stats["stale"]) == (1209600.25, 187, False)
    site = await acme.call("GET", "/stats/site/shop", acme.root)
    assert site["memory"] == {"usedBytes": 268435456, "percent": 25.0, "limit": 1073741824}
    assert site["disk"] == {
        "usedBytes": 5368709120, "percent": 50.0, "limit": 10737418240, "fileCount": 48211, "complete": True
    }  # fmt: skip
    assert (site["cpu"], site["domains"]) == ({"percent": 12.5, "timeMs": 734000}, ["shop.example.com"])
    assert site["services"] == {"total": 2, "running": 1, "stopped": 0, "failed": 1}
    services = await acme.call("GET", "/stats/services/shop", acme.root)
    assert [(one["name"], one["state"], one["restarts"]) for one in services["services"]] == [
        ("twoine-shop-api", "active", 1), ("twoine-shop-worker", "failed", 5),
    ]  # fmt: skip
    assert (await acme.call("GET", "/stats/services", acme.root))["total"] == 3
    acme.clock.advance(100)
    assert (await acme.call("GET", "/stats/server", acme.root))["stale"] is True


async def test_with_several_hosts_one_must_be_named(acme: Office) -> None:
    await reported(acme, "web-1")
    await reported(acme, "web-2", cpu=None)
    refused = await acme.call("GET", "/stats/server", acme.root, 422)
    assert refused["errors"][0]["field"] == "host"
    assert "web-1, web-2" in refused["detail"]
    two = await acme.call("GET", "/stats/server?host=web-2", acme.root)
    assert (two["host"], two["cpu"]["percent"]) == ("web-2", None)
    await acme.call("GET", "/stats/server?host=web-3", acme.root, 404)
    await acme.call("GET", "/stats/server?host=a/b", acme.root, 422)
    hosts = (await acme.call("GET", "/api/hosts", acme.root))["hosts"]
    assert [(one["host"], one["totals"]["servicesRunning"]) for one in hosts] == [("web-1", 2), ("web-2", 2)]


async def test_two_agents_of_one_name_and_a_wrong_clock_are_shown_on_the_host(acme: Office) -> None:
    await reported(acme, ago_s=30, agent=BODY["agent"] | {"instance": "another-agent"})
    late = int(now(acme).timestamp() * 1000) + 3_600_000
    await reported(acme, receivedAt=late)
    host = await acme.call("GET", "/api/hosts/web-1", acme.root)
    assert {one["instance"]: one["reports"] for one in host["agents"]} == {
        BODY["agent"]["instance"]: 1, "another-agent": 1,
    }  # fmt: skip
    assert host["clock"]["skewSeconds"] == -3600
    assert [word in " ".join(host["warnings"]) for word in ("3600 s behind", "several agents")] == [True, True]


async def test_what_was_imported_of_a_replaced_system_is_no_second_agent(acme: Office) -> None:
    await reported(acme, ago_s=30, agent=BODY["agent"] | {"instance": IMPORTED})
    await reported(acme)
    host = await acme.call("GET", "/api/hosts/web-1", acme.root)
    assert (len(host["agents"]), host["warnings"]) == (2, [])


async def test_history_has_the_last_report_of_each_step_and_at_most_200_points(acme: Office) -> None:
    await acme.call("POST", "/api/sites", acme.root, 201, **SHOP)
    for minutes in range(40, 0, -1):
        usage = {**BODY["cpu"], "percent": float(minutes)}
        await reported(acme, ago_s=minutes * 60, newest=minutes == 1, cpu=usage)
        acme.clock.advance(-6)
    made = await acme.call("GET", "/stats/server/history?hours=0.5&points=10", acme.root)
    assert (made["source"], made["step"], len(made["history"])) == ("reports", 180, 10)
    assert [one["cpu"]["percent"] for one in made["history"]][-1] == 1.0
    assert made["history"][0].keys() == {"timestamp", "cpu", "memory", "disk", "network"}
    site = await acme.call("GET", "/stats/site/shop/history?hours=1&points=200", acme.root)
    assert (len(site["history"]), site["history"][0]["services"]["failed"]) == (40, 1)
    assert site["history"][0]["disk"]["fileCount"] == 48211
    beyond = await acme.call("GET", "/stats/server/history?hours=48", acme.root)
    assert (beyond["source"], beyond["history"]) == ("windows", [])
    for wrong in ("points=201", "points=0", "hours=0", "hours=9601", "hours=x"):
        field = wrong.partition("=")[0]
        refused = await acme.call("GET", f"/stats/server/history?{wrong}", acme.root, 422)
        assert refused["errors"][0]["field"] == field


async def test_history_reaches_as_far_back_as_windows_after_retention_was_raised(acme: Office, world: World) -> None:
    """Whole reports of before are gone, and nothing says that there were none."""
    world.tenant, at_ms = "acme", acme.clock.now_ms()
    await acme.call("POST", "/api/sites", acme.root, 201, **SHOP)
    cpu = world.key(names.CPU_USAGE, Kind.GAUGE, host="web-1")
    files = world.key(names.SITE_FILES, Kind.GAUGE, host="web-1", site="shop")
    times = [at_ms - minutes * 60_000 for minutes in range(20, 40 * 60, 20)]
    await world.send([(key, time, 7.0) for key in (cpu, files) for time in times], coarse_until=at_ms)
    for host in ("web-1", "web-2"):
        for hours in range(24, 0, -4):
            await reported(acme, host, ago_s=hours * 3600, newest=hours == 4)
            acme.clock.advance(-6)
    await acme.call("PUT", "/stats/config", acme.root, retention_hours=72)
    asked = "/stats/{}/history?hours={}&points=200"
    for what, part, name in (("server", "cpu", "percent"), ("site/shop", "disk", "fileCount")):
        host = "&host=web-1" if what == "server" else ""
        long = await acme.call("GET", asked.format(what, 38) + host, acme.root)
        assert long["source"] == "windows"
        first = datetime.fromisoformat(long["history"][0]["timestamp"])
        assert now(acme) - first > timedelta(hours=37)
        assert {point[part][name] for point in long["history"]} == {7.0}
        assert (await acme.call("GET", asked.format(what, 20) + host, acme.root))["source"] == "reports"
    young = await acme.call("GET", asked.format("server", 38) + "&host=web-2", acme.root)
    assert (young["source"], len(young["history"])) == ("reports", 6), "there is no more of it"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../etc"), ("id", ""), ("id", "a b"), ("host", "web/1"), ("account", "Root User"), ("account", "a;rm"),
        ("directory", "/var/www/../etc"), ("directory", "var/www"), ("directory", "/"), ("directory", "/var//www"),
        ("directory", "/var/\n"), ("ports", [{"from": 0, "to": 1}]), ("ports", [{"from": 9, "to": 8}]),
        ("ports", [{"from": 1, "to": 5}, {"from": 5, "to": 6}]), ("domains", ["-x.example"]), ("domains", ["a b"]),
        ("limits", {"memoryBytes": 0}), ("shell", "/bin/sh"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_site_is_named(acme: Office, field: str, value: Any) -> None:
    answer = await acme.http.post("/api/sites", json={**SHOP, field: value}, headers=acme.root)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"].partition(".")[0] == field


async def test_sites_are_made_changed_and_removed_once_and_audited(acme: Office) -> None:
    made = await acme.call("POST", "/api/sites", acme.root, 201, **SHOP, ports=[{"from": 3000, "to": 3009}])
    assert (made["name"], made["ports"], made["version"]) == ("shop", [{"from": 3000, "to": 3009}], 1)
    assert (await acme.http.post("/api/sites", json=SHOP, headers=acme.root)).status_code == 409
    same_account = await acme.call("POST", "/api/sites", acme.root, 409, **{**SHOP, "id": "other"})
    assert "is that of the site shop" in same_account["detail"]
    moved = {name: value for name, value in SHOP.items() if name != "id"} | {"host": "web-2"}
    changed = await acme.call("PUT", "/api/sites/shop", acme.root, **moved)
    assert (changed["host"], changed["ports"], changed["version"]) == ("web-2", [], 2)
    assert (await acme.call("GET", "/api/sites?host=web-1", acme.root))["sites"] == []
    await acme.call("DELETE", "/api/sites/shop", acme.root, 204)
    await acme.call("DELETE", "/api/sites/shop", acme.root, 404)
    entries = (await acme.identity.audit.page(ACME, PageRequest())).items
    assert [one.action for one in entries][:3] == [Action.SITE_DELETED, Action.SITE_CHANGED, Action.SITE_CREATED]


async def agent_key(office: Office, host: str | None) -> Headers:
    path = "/admin/tenants/acme/keys"
    more = {} if host is None else {"host": host}
    made = await office.call("POST", path, office.root, 201, name="agent", scopes=[Scope.AGENT], **more)
    return {"x-api-key": made["secret"]}


async def test_an_agent_is_told_of_its_own_sites_and_only_when_something_changed(acme: Office) -> None:
    await acme.call("POST", "/api/sites", acme.root, 201, **SHOP, limits={"memoryBytes": 1 << 30})
    await acme.call("POST", "/api/sites", acme.root, 201, **{**SHOP, "id": "far", "host": "web-2"})
    key = await agent_key(acme, "web-1")
    answer = await acme.http.get("/api/agents/config?host=web-1", headers=key)
    config = answer.json()
    assert [one["id"] for one in config["sites"]] == ["shop"]
    assert config["sites"][0]["limits"] == {"memoryBytes": 1 << 30, "diskBytes": None}
    assert (config["collectionInterval"], config["siteStatsEnabled"], config["servicePattern"]) == (
        30,
        True,
        "twoine-*",
    )
    known = {**key, "if-none-match": answer.headers["etag"]}
    again = await acme.http.get("/api/agents/config?host=web-1", headers=known)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    await acme.call("PUT", "/stats/config?host=web-1", acme.root, collection_interval=60)
    assert (await acme.http.get("/api/agents/config?host=web-1", headers=known)).json()["collectionInterval"] == 60

    refused = await acme.http.get("/api/agents/config?host=web-2", headers=key)
    assert (refused.status_code, "web-1 only" in refused.json()["detail"]) == (403, True)
    free = await agent_key(acme, None)
    assert (await acme.http.get("/api/agents/config?host=web-2", headers=free)).json()["collectionInterval"] == 30
    assert (await acme.http.get("/stats/server", headers=free)).status_code == 403


async def test_a_key_that_is_used_by_another_agent_or_from_elsewhere_is_audited_and_its_clock_is_shown(
    acme: Office,
) -> None:
    key = await agent_key(acme, "web-1")
    ahead = acme.clock.now_ms() + 3_600_000
    asked = f"/api/agents/config?host=web-1&instance=agent-one-1&clock={ahead}"
    assert (await acme.http.get(asked, headers=key)).status_code == 200
    await reported(acme)
    host = await acme.call("GET", "/api/hosts/web-1", acme.root)
    assert any("agent-one-1 is 3600 s ahead" in one for one in host["warnings"])
    actions = [one.action for one in (await acme.identity.audit.page(ACME, PageRequest())).items]
    assert Action.AGENT_MOVED not in actions
    assert (await acme.http.get("/api/agents/config?host=web-1&instance=agent-two-2", headers=key)).status_code == 200
    newest = (await acme.identity.audit.page(ACME, PageRequest())).items[0]
    assert (newest.action, newest.target, newest.changes["before_instance"]) == (
        Action.AGENT_MOVED, "web-1", "agent-one-1",
    )  # fmt: skip


async def test_configuration_begins_with_the_documented_values_and_is_changed_in_part(acme: Office) -> None:
    config = await acme.call("GET", "/stats/config", acme.root)
    documented = {
        "collectionInterval": 30,
        "alertThresholds": {
            "cpu": {"warning": 70, "critical": 90},
            "memory": {"warning": 75, "critical": 90},
            "disk": {"warning": 80, "critical": 95},
        },
        "alertsEnabled": True,
        "siteStatsEnabled": True,
        "retentionHours": 24,
    }
    assert documented.items() <= config.items()
    assert (config["own"], config["version"], config["updatedAt"]) == (False, 0, None)
    whole = await acme.http.put("/stats/config", json=documented | {"collectionInterval": 45}, headers=acme.root)
    assert (whole.status_code, whole.json()["collectionInterval"], whole.json()["version"]) == (200, 45, 1)
    part = await acme.http.put(
        "/stats/config?host=web-1", json={"alertThresholds": {"cpu": {"warning": 50}}}, headers=acme.root
    )
    assert part.json()["alertThresholds"]["cpu"] == {"warning": 50, "critical": 90}
    assert (part.json()["collectionInterval"], part.json()["own"], part.json()["host"]) == (45, True, "web-1")
    assert (await acme.call("GET", "/stats/config?host=web-2", acme.root))["own"] is False
    await acme.call("DELETE", "/stats/config?host=web-1", acme.root, 204)
    back = await acme.call("GET", "/stats/config?host=web-1", acme.root)
    assert (back["own"], back["alertThresholds"]["cpu"]["warning"]) == (False, 70)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"collectionInterval": 5}, "collectionInterval"),
        ({"collectionInterval": 301}, "collectionInterval"),
        ({"collectionInterval": 30.5}, "collectionInterval"),
        ({"alertThresholds": {"cpu": {"warning": 95}}}, "alertThresholds.cpu"),
        ({"alertThresholds": {"disk": {"warning": 50, "critical": 50}}}, "alertThresholds.disk"),
        ({"alertThresholds": {"cpu": {"critical": 101}}}, "alertThresholds.cpu.critical"),
        ({"alertThresholds": {"swap": {"critical": 10}}}, "alertThresholds.swap"),
        ({"retentionHours": 0}, "retentionHours"),
        ({"alertsEnabled": "yes"}, "alertsEnabled"),
    ],
)
async def test_a_configuration_out_of_bounds_is_refused_by_its_field(
    acme: Office, sent: dict[str, Any], field: str
) -> None:
    answer = await acme.http.put("/stats/config", json=sent, headers=acme.root)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.text
    assert (await acme.call("GET", "/stats/config", acme.root))["version"] == 0


async def test_another_tenant_sees_nothing_of_it(acme: Office) -> None:
    await acme.call("POST", "/api/sites", acme.root, 201, **SHOP)
    await reported(acme)
    await acme.tenant("rival")
    rival = {**acme.root, "x-scope-orgid": "rival"}
    assert (await acme.call("GET", "/api/hosts", rival))["hosts"] == []
    assert (await acme.call("GET", "/api/sites", rival))["sites"] == []
    for path in (
        "/stats/server",
        "/stats/server?host=web-1",
        "/stats/site/shop",
        "/api/hosts/web-1",
        "/api/sites/shop",
    ):
        await acme.call("GET", path, rival, 404)
