"""The life of tenants and licences through HTTP, over real MongoDB and Redis."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from vigie_api.settings import ApiSettings
from vigie_contracts.series import Kind, series_key
from vigie_identity.bootstrap import NAME
from vigie_identity.permissions import Role, Scope
from vigie_limits.metrics import LIMITS_METRICS
from vigie_limits.usage import UsageMeter
from vigie_runtime.metrics import MetricSet
from vigie_storage.series.writer import SeriesWriter

from .conftest import PASSWORD, Office, opened

pytestmark = pytest.mark.connected

READ = "/api/series"


async def pages(office: Office, path: str, name: str, limit: int) -> list[dict[str, Any]]:
    """All items of a listing, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await office.call("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}", office.root)
        assert len(page[name]) <= limit
        found += page[name]
        if page["nextCursor"] is None:
            return found
        assert len(page[name]) == limit
        cursor = f"&cursor={page['nextCursor']}"


async def test_a_tenant_is_made_changed_switched_off_and_deleted(office: Office) -> None:
    body = {"id": "acme", "name": "Acme Hotels", "plan": {"series": 500, "samplesPerS": 100}}
    answer = await office.http.post("/admin/tenants", json=body, headers=office.root)
    assert (answer.status_code, answer.headers["location"]) == (201, "/admin/tenants/acme")
    made = answer.json()
    assert made["plan"] == {
        "samplesPerS": 100, "requestsPerS": None, "series": 500, "rules": 1_000, "targets": 1_000,
        "notificationsPerDay": None,
    }  # fmt: skip
    assert (made["status"], made["created"]) == ("active", "2100-01-01T00:00:00.000Z")
    path = answer.headers["location"]
    assert await office.call("GET", path, office.root) == made
    await office.call("POST", "/admin/tenants", office.root, 409, id="acme", name="Other")
    await office.call("POST", "/admin/tenants", office.root, 409, id="other", name="ACME hotels")

    office.clock.advance(1)
    changed = await office.call("PATCH", path, office.root, name="Acme", plan={"samplesPerS": None, "rules": 7})
    assert changed["name"] == "Acme"
    assert changed["plan"] == {
        "samplesPerS": None, "requestsPerS": None, "series": 500, "rules": 7, "targets": 1_000,
        "notificationsPerDay": None,
    }  # fmt: skip
    assert changed["updated"] == "2100-01-01T00:00:01.000Z"

    admin = await office.user("acme", Role.ADMIN)
    key = await office.key("acme", Scope.READ)
    await office.call("GET", READ, admin)
    await office.call("GET", READ, key)
    await office.call("DELETE", path, office.root, 409)
    await office.call("PATCH", path, office.root, status="inactive")
    office.clock.advance(5)
    for who in (admin, key):
        answer = await office.http.get(READ, headers=who)
        assert answer.status_code in (401, 403), answer.text
    await office.call("POST", "/auth/login", None, 401, tenant="acme", username="admin", password=PASSWORD)
    await office.call("GET", path, office.root)
    await office.call("PATCH", path, office.root, status="active")
    office.clock.advance(5)
    await office.call("GET", READ, key)

    await office.call("PATCH", path, office.root, status="inactive")
    await office.call("DELETE", path, office.root, 204)
    office.clock.advance(5)
    await office.call("GET", path, office.root, 404)
    await office.call("GET", f"{path}/users", office.root, 404)
    await office.call("PATCH", path, office.root, 404, status="active")
    listed = await pages(office, "/admin/tenants", "tenants", 1_000)
    assert "acme" not in [one["id"] for one in listed]
    await office.call("POST", "/admin/tenants", office.root, 409, id="acme", name="Somebody else")


async def test_the_log_of_a_deleted_tenant_is_read_by_those_who_see_every_tenant(office: Office) -> None:
    await office.tenant("acme")
    log, admin = "/admin/tenants/acme/audit", await office.user("acme", Role.ADMIN)
    await office.call("POST", "/admin/users", office.root, 201, name="sue", password=PASSWORD, role="SUPPORT")
    support = await office.log_in("sue")
    await office.call("PATCH", "/admin/tenants/acme", office.root, status="inactive")
    before = (await office.call("GET", log, office.root))["entries"]
    await office.call("DELETE", "/admin/tenants/acme", office.root, 204)
    for _ in range(2):
        entries = (await office.call("GET", log, office.root))["entries"]
        assert (entries[0]["action"], entries[1:]) == ("tenant.deleted", before)
        assert (await office.call("GET", log, support))["entries"] == entries
        office.clock.advance(6)  # past what is remembered of the tenant
    await office.call("GET", log, admin, 401)
    await office.call("GET", log, None, 401)
    await office.call("GET", log.replace("acme", "nobody"), office.root, 404)
    await office.call("GET", log.replace("audit", "usage"), office.root, 404)
    await office.tenant("globex")
    await office.call("GET", log, await office.user("globex", Role.ADMIN), 404)


async def test_a_change_is_made_as_a_whole_or_not_at_all(office: Office) -> None:
    for tenant in ("acme", "globex"):
        await office.tenant(tenant)
    before = await office.call("GET", "/admin/tenants/acme", office.root)
    refused = {"status": "inactive", "plan": {"series": 1}, "name": "globex inc"}
    await office.call("PATCH", "/admin/tenants/acme", office.root, 409, **refused)
    assert await office.call("GET", "/admin/tenants/acme", office.root) == before

    made = await office.call(
        "POST", "/admin/tenants/acme/users", office.root, 201, name="a", password=PASSWORD, role="USER"
    )
    path = f"/admin/tenants/acme/users/{made['id']}"
    refused = {"active": False, "sites": ["s"], "role": "SUPPORT"}
    found = await office.call("PATCH", path, office.root, 422, **refused)
    assert found["errors"][0]["field"] == "role"
    assert await office.call("GET", path, office.root) == made
    changed = await office.call("PATCH", path, office.root, active=False, sites=["s"], role="ADMIN")
    assert changed == {**made, "active": False, "sites": ["s"], "role": "ADMIN"}
    entries = (await office.call("GET", "/admin/tenants/acme/audit", office.root))["entries"]
    assert entries[0]["action"] == "user.changed"
    assert entries[0]["changes"] == {"active": False, "sites": ["s"], "role": "ADMIN"}
    assert [entry["action"] for entry in entries].count("user.changed") == 1


async def test_licences_are_given_and_ended(office: Office) -> None:
    await office.tenant("acme")
    path = "/admin/tenants/acme/licences"
    body = {"product": "Standard", "expires": "2100-06-01T02:00:00+02:00"}
    answer = await office.http.post(path, json=body, headers=office.root)
    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"{path}/{made['id']}")
    assert made["expires"] == "2100-06-01T00:00:00.000Z"
    await office.call("POST", path, office.root, 422, product="Standard", expires="2099-12-31T00:00:00Z")
    office.clock.advance(60)
    await office.call("DELETE", f"{path}/{made['id']}", office.root, 204)
    await office.call("DELETE", f"{path}/nothing", office.root, 404)
    (licence,) = (await office.call("GET", path, office.root))["licences"]
    assert licence["expires"] == "2100-01-01T00:01:00.000Z"
    admin = await office.user("acme", Role.ADMIN)
    assert (await office.call("GET", path, admin))["licences"] == [licence]
    await office.call("POST", path, admin, 403, product="Standard", expires="2101-01-01T00:00:00Z")


async def test_lists_are_paged_to_the_end(office: Office) -> None:
    for i in range(5):
        await office.tenant(f"t{i}")
    await office.call("PATCH", "/admin/tenants/t3", office.root, status="inactive")
    there = sorted(["default", "t0", "t1", "t2", "t3", "t4"])
    for limit in (1, 2, 6, 7):
        listed = await pages(office, "/admin/tenants", "tenants", limit)
        assert [one["id"] for one in listed] == there
    off = await pages(office, "/admin/tenants?status=inactive", "tenants", 1)
    assert [one["id"] for one in off] == ["t3"]
    on = await pages(office, "/admin/tenants?status=active", "tenants", 2)
    assert [one["id"] for one in on] == ["default", "t0", "t1", "t2", "t4"]
    for i in range(5):
        path = "/admin/tenants/t0"
        await office.key("t0", Scope.WRITE)
        await office.call("POST", f"{path}/licences", office.root, 201, product="p", expires="2101-01-01T00:00:00Z")
        user = {"name": f"u{i}", "password": PASSWORD, "role": "USER"}
        await office.call("POST", f"{path}/users", office.root, 201, **user)
    for name in ("keys", "licences", "users"):
        whole = (await office.call("GET", f"/admin/tenants/t0/{name}", office.root))[name]
        assert len(whole) == 5
        assert await pages(office, f"/admin/tenants/t0/{name}", name, 2) == whole
        assert (await office.call("GET", f"/admin/tenants/t1/{name}", office.root))[name] == []
    entries = await pages(office, "/admin/tenants/t0/audit", "entries", 3)
    assert len(entries) == 16
    assert [entry["at"] for entry in entries] == sorted((entry["at"] for entry in entries), reverse=True)
    for parameters in ("limit=0", "limit=1001", "limit=100000", "limit=-1", "limit=x", "cursor=%2B", "status=gone"):
        found = await office.call("GET", f"/admin/tenants?{parameters}", office.root, 422)
        assert found["errors"][0]["field"] == parameters.partition("=")[0]


async def test_usage_counts_what_there_is(office: Office) -> None:
    await office.tenant("acme")
    await office.call("PATCH", "/admin/tenants/acme", office.root, plan={"series": 50})
    admin = await office.user("acme", Role.ADMIN)
    key = (await office.call("POST", "/admin/tenants/acme/keys", admin, 201, name="k", scopes=["write"]))["key"]
    await office.key("acme", Scope.READ)
    await office.call("DELETE", f"/admin/tenants/acme/keys/{key['id']}", admin, 204)
    catalogue = SeriesWriter(office.identity.tenants._db, 3)
    await catalogue.ensure_indexes()
    await catalogue.register([series_key("acme", "m", Kind.GAUGE, {"i": str(i)}) for i in range(7)])
    office.clock.advance(1)
    usage = await office.call("GET", "/admin/tenants/acme/usage", admin)
    assert (usage["tenant"], usage["series"]) == ("acme", {"used": 7, "limit": 50})
    assert {name: usage[name]["used"] for name in ("users", "keys", "licences")} == {
        "users": 1, "keys": 1, "licences": 0,
    }  # fmt: skip

    meter = UsageMeter(office.identity.tenants._db, office.clock, MetricSet(LIMITS_METRICS))
    meter.of("acme").samples += 5
    await meter.write()
    office.clock.advance(2 * 86_400)
    await meter.write()  # as it does at midnight
    meter.of("acme").requests += 1
    meter.of("globex").samples += 99
    await meter.write()
    root = await office.log_in("admin")
    usage = await office.call("GET", "/admin/tenants/acme/usage", root)
    old = {"day": "2100-01-01", "samples": 5, "requests": 0, "rejected": 0, "throttled": 0}
    new = {"day": "2100-01-03", "samples": 0, "requests": 1, "rejected": 0, "throttled": 0}
    assert (usage["today"], usage["days"]) == (new, [old])
    for days, found in ((0, []), (1, []), (2, [old]), (400, [old])):
        assert (await office.call("GET", f"/admin/tenants/acme/usage?days={days}", root))["days"] == found
    await office.call("GET", "/admin/tenants/acme/usage?days=401", root, 422)


async def test_who_sees_every_tenant_reads_of_none_that_is_not_there(office: Office) -> None:
    def of(tenant: str) -> dict[str, str]:
        return {**office.root, "x-scope-orgid": tenant}

    refused = await office.call("GET", READ, of("acme"), 404)
    assert refused["detail"] == (await office.call("GET", "/admin/tenants/acme", office.root, 404))["detail"]
    await office.tenant("acme")
    await office.call("GET", READ, of("acme"))  # at once, also when it was asked for before
    await office.call("PATCH", "/admin/tenants/acme", office.root, status="inactive")
    office.clock.advance(6)
    await office.call("GET", READ, of("acme"))
    await office.call("DELETE", "/admin/tenants/acme", office.root, 204)
    office.clock.advance(6)
    for path in (READ, "/metrics", "/api/dashboard/realtime"):
        await office.call("GET", path, of("acme"), 404)


async def test_a_known_tenant_is_read_while_its_store_is_silent(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = {**office.root, "x-scope-orgid": await office.tenant("acme")}
    await office.call("GET", READ, who)
    asked: list[str] = []

    async def silent(_tenants: Any, tenant: str) -> None:
        asked.append(tenant)
        await asyncio.Event().wait()

    monkeypatch.setattr(type(office.identity.tenants), "get", silent)
    await office.call("GET", READ, who)
    assert asked == [], "nor is a known one asked for each time"
    office.clock.advance(6)
    await office.call("GET", READ, who)
    assert asked == ["acme"]


async def test_a_stranger_logs_in_only_so_often(office_settings: ApiSettings) -> None:
    async with opened(office_settings.model_copy(update={"rate_ip_per_minute": 20})) as office:
        await office.call("GET", "/auth/me", office.root)
        unseen = await office.log_in(NAME)
        for _ in range(30):
            answer = await office.http.post("/auth/refresh", json={"refreshToken": "x"})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert "RateLimit-Policy" in answer.headers
        await office.call("GET", "/auth/me", office.root)
        await office.call("GET", "/auth/me", unseen, 429)  # to tell it from a guess it would have to be looked up
