"""POST /telemetry: who may send it, what is taken, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from vigie_contracts import names
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.reports import record_key
from vigie_contracts.tenants import TenantId
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.audit import SYSTEM, Audit
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.tenants import Status, Tenant, Tenants
from vigie_runtime import clients
from vigie_runtime.errors import BufferFull, BusUnavailable, StoreUnavailable

from services.ingest.tests.conftest import settings
from services.ingest.tests.doubles import NODE_TENANT, NOW_MS
from services.ingest.tests.test_access import key

PATH = "/telemetry"
GUIDE = {
    "tenantId": NODE_TENANT, "uptime": 86400, "activeUsers": 42, "exercisesCompletedToday": 156, "aiLatency": 247.5,
    "version": "1.2.0",
}  # fmt: skip
ONLY_TELEMETRY = AnonymousRule.parse("telemetry").principal()


def sample_values(gateway: Any) -> dict[tuple[str, str], float]:
    """(metric, key label) -> value of what was published."""
    found = {}
    for fingerprint, _, value, _ in gateway.publisher.sent:
        series = gateway.catalogue.series[fingerprint]
        found[series.name, dict(series.labels).get("key", "")] = value
    return found


@pytest.mark.parametrize("payload", payloads("api.telemetry"), ids=lambda p: p.name)
async def test_payload_is_taken_whole_or_refused_by_its_field(gateway: Any, payload: Payload) -> None:
    gateway.authenticator.principal = ONLY_TELEMETRY
    reply = await gateway.post(PATH, payload.data)
    if payload.good:
        assert reply.status == 201, reply.body
        assert len(gateway.records.sent) == 1
        assert len(gateway.publisher.sent) >= 3
        return
    assert reply.status == 400, reply.body
    assert reply.json["message"] == reply.json["detail"] != ""
    assert gateway.records.sent == gateway.publisher.sent == []


async def test_answer_is_the_documented_one(gateway: Any) -> None:
    gateway.authenticator.principal = ONLY_TELEMETRY
    reply = await gateway.post(PATH, GUIDE)
    assert reply.status == 201
    assert reply.json == {
        "success": True,
        "message": "Télémétrie enregistrée avec succès",
        "timestamp": "2026-09-21T14:13:20.000Z",
        "tenantId": NODE_TENANT,
    }
    assert list(reply.json) == ["success", "message", "timestamp", "tenantId"]


async def test_the_report_is_kept_whole_and_its_numbers_become_samples(gateway: Any) -> None:
    gateway.authenticator.principal = key(NODE_TENANT)
    more = {"cpuUsage": 45.2, "memoryUsage": 62.8, "diskUsage": 38.1, "errorCount": 3, "queue": 7, "ok": True,
            "platform": "linux", "deep": {"n": 1}}  # fmt: skip
    assert (await gateway.post(PATH, {**GUIDE, "additionalData": more, "hostname": "ignored"})).status == 201
    ((record, report, id_),) = gateway.records.sent
    assert record == record_key(NODE_TENANT, "node")
    assert str(UUID(report["id"])) == report["id"] == id_
    body = {name: value for name, value in GUIDE.items() if name != "tenantId"}
    assert report == {
        "id": id_, "tenant": NODE_TENANT, "kind": "node", "subject": "node", "timestamp": NOW_MS,
        "body": {**body, "additionalData": more},
    }  # fmt: skip
    assert sample_values(gateway) == {
        (names.NODE_UPTIME, ""): 86400.0,
        (names.NODE_ACTIVE_USERS, ""): 42.0,
        (names.NODE_EXERCISES, ""): 156.0,
        (names.NODE_AI_LATENCY, ""): 247.5,
        (names.NODE_CPU_USAGE, ""): 45.2,
        (names.NODE_MEMORY_USAGE, ""): 62.8,
        (names.NODE_DISK_USAGE, ""): 38.1,
        (names.NODE_ERRORS, ""): 3.0,
        (names.NODE_ADDITIONAL, "queue"): 7.0,
    }
    assert {ts for _, ts, _, _ in gateway.publisher.sent} == {NOW_MS}
    assert {series.tenant for series in gateway.catalogue.asked} == {NODE_TENANT}


async def test_no_more_than_32_other_numbers_become_samples(gateway: Any) -> None:
    gateway.authenticator.principal = key(NODE_TENANT)
    more: dict[str, Any] = {"x" * 129: 1, "": 2, **{f"n{n}": n for n in range(40)}}
    assert (await gateway.post(PATH, {**GUIDE, "additionalData": more})).status == 201
    others = [key_ for name, key_ in sample_values(gateway) if name == names.NODE_ADDITIONAL]
    assert others == [f"n{n}" for n in range(32)]
    assert gateway.records.reports[0]["body"]["additionalData"] == more


@pytest.mark.parametrize("rule", ["telemetry", "default:read,write,telemetry"])
async def test_who_may_not_write_for_the_tenant_makes_no_series_of_its_own_keys(gateway: Any, rule: str) -> None:
    gateway.authenticator.principal = AnonymousRule.parse(rule).principal()
    gateway.catalogue.limit = 20
    for n in range(10):
        more = {"cpuUsage": 45.2, "memoryUsage": 62.8, "diskUsage": 38.1, "errorCount": 3}
        more |= {f"k{n}_{m}": m for m in range(32)}
        assert (await gateway.post(PATH, {**GUIDE, "additionalData": more})).status == 201
        assert gateway.records.reports[-1]["body"]["additionalData"] == more
    assert len(gateway.catalogue.series) == 8
    assert len(gateway.publisher.sent) == 80
    gateway.authenticator.principal = key(NODE_TENANT)
    assert (await gateway.custom(name="own", type="gauge", value=1)).status == 201
    assert (await gateway.post(PATH, {**GUIDE, "additionalData": {"queue": 7}})).status == 201
    assert sample_values(gateway)[names.NODE_ADDITIONAL, "queue"] == 7.0


async def test_who_writes_for_the_tenant_without_a_credential_makes_series_there(gateway: Any) -> None:
    gateway.authenticator.principal = AnonymousRule.parse("acme:write,telemetry").principal()
    for tenant in ("acme", NODE_TENANT):
        assert (await gateway.post(PATH, {**GUIDE, "tenantId": tenant, "additionalData": {"queue": 7}})).status == 201
    others = {series.tenant for series in gateway.catalogue.series.values() if series.name == names.NODE_ADDITIONAL}
    assert others == {"acme"}


@pytest.mark.parametrize(
    ("tenant", "status", "words"),
    [
        ("asleep", 403, "not active"),
        ("nobody", 404, "there is no such tenant"),
        ("", 404, "there is no such tenant"),
        ("a/b", 404, "there is no such tenant"),
        ("x" * 65, 404, "there is no such tenant"),
    ],
)
async def test_a_tenant_must_exist_and_be_active(gateway: Any, tenant: str, status: int, words: str) -> None:
    reply = await gateway.post(PATH, {**GUIDE, "tenantId": tenant})
    assert (reply.status, gateway.records.sent, gateway.publisher.sent) == (status, [], [])
    assert words in reply.json["message"]


async def test_a_key_sends_for_its_own_tenant_and_knows_no_other(gateway: Any) -> None:
    gateway.authenticator.principal = key("acme")
    foreign = await gateway.post(PATH, GUIDE)
    own = await gateway.post(PATH, {**GUIDE, "tenantId": "acme"})
    assert (foreign.status, foreign.json["detail"]) == (404, "there is no such tenant")
    assert own.status == 201
    assert [report["tenant"] for report in gateway.records.reports] == ["acme"]


async def test_who_may_send_no_telemetry_at_all_is_refused_before_the_body_is_read(gateway: Any) -> None:
    gateway.authenticator.principal = AnonymousRule.parse("nothing").principal()

    async def never() -> dict[str, Any]:
        raise AssertionError("the body was asked for")

    reply = await gateway.request("POST", PATH, receive=never)
    assert reply.status == 401


async def test_tenants_that_cannot_be_looked_up_are_a_503(gateway: Any) -> None:
    gateway.tenants.fail = StoreUnavailable()
    reply = await gateway.post(PATH, GUIDE)
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    assert gateway.records.sent == []


async def test_a_body_that_is_too_large_is_refused(gateway: Any) -> None:
    reply = await gateway.post(PATH, {**GUIDE, "hostname": "x" * 70_000})
    assert (reply.status, reply.json["type"]) == (413, "/problems/too-large")


async def test_repeat_with_the_same_key_has_the_same_id_and_request_key(gateway: Any) -> None:
    gateway.redis.away = True  # so that no stored answer is replayed
    for _ in range(2):
        assert (await gateway.post(PATH, GUIDE, {"Idempotency-Key": "abc"})).status == 201
    assert (await gateway.post(PATH, GUIDE, {"Idempotency-Key": "abd"})).status == 201
    assert (await gateway.post(PATH, GUIDE)).status == 201
    ids = [report["id"] for report in gateway.records.reports]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    keys = [request_key for _, _, _, request_key in gateway.publisher.sent]
    assert len(set(keys)) == 3


async def test_stored_answer_is_replayed(gateway: Any) -> None:
    first = await gateway.post(PATH, GUIDE, {"Idempotency-Key": "abc"})
    gateway.clock.advance(60)
    again = await gateway.post(PATH, GUIDE, {"Idempotency-Key": "abc"})
    assert again.json == first.json
    assert again.headers["idempotency-replayed"] == "true"
    assert len(gateway.records.sent) == 1


@pytest.mark.parametrize(("where", "error"), [
    ("publisher", BufferFull(1, 1)), ("publisher", BusUnavailable("away")),
    ("records", BufferFull(1, 1, "bytes")), ("records", BusUnavailable("away")),
])  # fmt: skip
async def test_bus_that_does_not_acknowledge_is_a_503(gateway: Any, where: str, error: Exception) -> None:
    getattr(gateway, where).fail = error
    reply = await gateway.post(PATH, GUIDE)
    assert (reply.status, reply.json["type"]) == (503, "/problems/bus-unavailable")
    assert int(reply.headers["retry-after"]) > 0
    assert "carries a key" not in reply.json["detail"]
    getattr(gateway, where).fail = None
    assert (await gateway.post(PATH, GUIDE)).status == 201


async def test_catalogue_that_is_away_is_a_503_while_series_are_new(gateway: Any) -> None:
    gateway.catalogue.away = True
    assert (await gateway.post(PATH, GUIDE)).status == 503
    gateway.catalogue.away = False
    assert (await gateway.post(PATH, GUIDE)).status == 201
    gateway.catalogue.away = True
    assert (await gateway.post(PATH, GUIDE)).status == 201


async def test_a_tenant_with_all_its_series_loses_samples_but_no_report(gateway: Any) -> None:
    gateway.authenticator.principal = key(NODE_TENANT)
    gateway.catalogue.limit = 4
    assert (await gateway.post(PATH, {**GUIDE, "additionalData": {"queue": 1, "jobs": 2}})).status == 201
    assert len(gateway.publisher.sent) == 4
    assert gateway.records.reports[0]["body"]["additionalData"] == {"queue": 1, "jobs": 2}
    assert gateway.metric("vigie_ingest_items_rejected_total", route=PATH, reason="limit") == 2
    assert gateway.metric("vigie_ingest_items_accepted_total", route=PATH) == 1


@pytest.mark.parametrize(("field", "value", "says"), [
    ("uptime", -1, "uptime: must be a number between 0 and 1000000000000"),
    ("activeUsers", "42", "activeUsers: must be a number, but is a string"),
    ("exercisesCompletedToday", None, "exercisesCompletedToday: must be a number, but is null"),
    ("aiLatency", [], "aiLatency: must be a number, but is a list"),
    ("version", 2, "version: must be a string, but is an integer"),
    ("version", 1.2, "version: must be a string, but is a number"),
    ("version", "x" * 129, "version: must have at most 128 characters"),
    ("tenantId", 5, "tenantId: must be a string, but is an integer"),
    ("additionalData", "x", "additionalData: must be an object, but is a string"),
])  # fmt: skip
async def test_the_refusal_names_the_field(gateway: Any, field: str, value: object, says: str) -> None:
    reply = await gateway.post(PATH, {**GUIDE, field: value})
    assert (reply.status, reply.json["detail"]) == (400, says)
    assert reply.json["errors"][0]["field"] == field


async def test_tenants_that_are_not_there_cannot_be_told_apart(
    gateway: Any, mongo_uri: str, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with clients.mongo(settings().model_copy(update={"mongodb_uri": mongo_uri})) as client:
        audit = Audit(client[database.name], gateway.clock)
        tenants = Tenants(client[database.name], audit, gateway.clock)
        await audit.ensure_indexes()
        await tenants.ensure_indexes()
        for tenant in ("gone", "there"):
            await tenants.create(TenantId(tenant), f"{tenant} inc", SYSTEM)
        await tenants.change(TenantId("gone"), SYSTEM, status=Status.INACTIVE)
        await tenants.delete(TenantId("gone"), SYSTEM)
        looked_up = []
        get = tenants.get

        async def counted(tenant: TenantId) -> Tenant:
            looked_up.append(tenant)
            return await get(tenant)

        monkeypatch.setattr(tenants, "get", counted)
        access = replace(gateway.resources.access, known_tenants=KnownTenants(tenants, gateway.clock, int))
        gateway.change(access=access)
        gateway.authenticator.principal = ONLY_TELEMETRY
        assert (await gateway.post(PATH, {**GUIDE, "tenantId": "there"}, client=("203.0.113.1", 1))).status == 201
        answers, looked_up[:] = [], []
        names = ("gone", "unknown", "UNKNOWN", "", "_", "a/b", "x" * 65, "../there", "gone\0")
        for n, name in enumerate([*names, *names]):
            told = {"Idempotency-Key": f"k{n}"}
            reply = await gateway.post(PATH, {**GUIDE, "tenantId": name}, told, client=(f"198.51.100.{n}", 1))
            answers.append((reply.status, reply.body, reply.headers))
        assert [answer for answer in answers if answer != answers[0]] == []
        assert answers[0][0] == 404
        assert looked_up == ["gone", "unknown", "UNKNOWN"], "as much work for each that could be one, once"
        await access.known_tenants.close()
