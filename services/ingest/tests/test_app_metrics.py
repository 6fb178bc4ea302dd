"""POST /api/apps/{appId}/metrics: who may send them, what is taken, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from vigie_contracts import names
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Role, Scope
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_runtime.errors import BusUnavailable

from services.ingest.tests.doubles import NOW_MS
from services.ingest.tests.test_access import key

PATH = "/api/apps/shop/metrics"
SAID = {"userId": "u", "metrics": {"cpu": {"usage": 42.5}, "net": {"up": 3}}, "timestamp": "2026-09-21T14:13:20.000Z"}
ONE_MORE = {**SAID, "metrics": {"cpu": {"usage": 43}}}


@pytest.mark.parametrize("payload", payloads("api.apps.metrics"), ids=lambda p: p.name)
async def test_payload_is_taken_whole_or_refused_by_its_field(gateway: Any, payload: Payload) -> None:
    reply = await gateway.post(PATH, payload.data)
    if payload.good:
        assert reply.status == 201, reply.body
        assert len(gateway.records.sent) == 1
        assert len(gateway.publisher.sent) == reply.json["samples"]
        return
    assert reply.status == 400, reply.body
    assert reply.json["message"] == reply.json["detail"] != ""
    assert gateway.records.sent == gateway.publisher.sent == []


def user(role: Role, *apps: str, tenant: str = "default") -> Principal:
    held = Assignment.of(TenantId(tenant), role, frozenset(apps))
    return Principal(PrincipalKind.USER, "u-1", "alice", assignments=assigned(held))


async def test_metrics_of_an_app_are_a_report_and_samples(gateway: Any) -> None:
    reply = await gateway.post(PATH, SAID)
    assert reply.status == 201, reply.body
    assert reply.json == {
        "success": True, "message": "metrics recorded", "appId": "shop", "timestamp": "2026-09-21T14:13:20.000Z",
        "samples": 2,
    }  # fmt: skip
    [(record_key, report, _)] = gateway.records.sent
    assert record_key == b"default/shop"
    assert report["kind"], report["subject"] == ("app", "shop")
    assert (report["timestamp"], report["body"]) == (NOW_MS, {**SAID, "appId": "shop"})
    series = [gateway.catalogue.series[fingerprint] for fingerprint, _, _, _ in gateway.publisher.sent]
    assert {(one.name, one.labels) for one in series} == {
        (names.APP_CPU_USAGE, (("app", "shop"),)), (names.APP_METRIC, (("app", "shop"), ("key", "net.up"))),
    }  # fmt: skip


async def test_an_app_whose_id_has_slashes_is_named_by_its_path(gateway: Any) -> None:
    assert (await gateway.post("/api/apps/shop/eu/metrics", SAID)).json["appId"] == "shop/eu"
    assert (await gateway.post("/api/apps/my shop/metrics", SAID)).json["errors"][0]["field"] == "appId"
    assert (await gateway.post("/api/apps//metrics", SAID)).status == 400
    assert (await gateway.post("/api/apps/shop/other", SAID)).status == 404


@pytest.mark.parametrize(
    ("principal", "status"),
    [
        (key("default"), 201),
        (key("default", scope=Scope.READ), 403),
        (user(Role.ADMIN), 201),
        (user(Role.USER, "shop", "desk"), 201),
        (user(Role.USER, "desk"), 404),
        (user(Role.USER), 404),
        (user(Role.READONLY, "shop"), 403),
    ],
)
async def test_whoever_writes_the_tenant_or_is_assigned_to_the_app_may_send(
    gateway: Any, principal: Principal, status: int
) -> None:
    gateway.authenticator.principal = principal
    reply = await gateway.post(PATH, SAID)
    assert reply.status == status, reply.body
    assert len(gateway.records.sent) == (status == 201)


async def test_an_app_of_the_same_name_in_another_tenant_is_not_written(gateway: Any) -> None:
    gateway.authenticator.principal = user(Role.USER, "shop", tenant="acme")
    assert (await gateway.post(PATH, SAID, {"x-scope-orgid": "beta"})).status == 404
    assert (await gateway.post(PATH, SAID)).status == 201
    assert gateway.records.reports[0]["tenant"] == "acme"


async def test_nobody_without_a_credential_sends_unless_the_deployment_lets_them(gateway: Any) -> None:
    gateway.authenticator.principal = replace(gateway.authenticator.principal, assignments={})
    assert (await gateway.post(PATH, SAID)).status == 401


async def test_the_same_body_again_has_the_same_id_and_key_and_another_has_not(gateway: Any) -> None:
    for body in (SAID, SAID, ONE_MORE):
        assert (await gateway.post(PATH, body)).status == 201
    ids = [report["id"] for report in gateway.records.reports]
    assert ids[0] == ids[1] != ids[2]
    assert len({sample[3] for sample in gateway.publisher.sent}) == 2


async def test_without_a_time_only_a_key_makes_a_repeat(gateway: Any) -> None:
    body = {"metrics": {"cpu": {"usage": 1}}}
    first, second = [await gateway.post(PATH, body) for _ in range(2)]
    assert first.json["timestamp"] == second.json["timestamp"] == "2026-09-21T14:13:20.000Z"
    assert len({report["id"] for report in gateway.records.reports}) == 2
    again = [await gateway.post(PATH, body, {"idempotency-key": "a"}) for _ in range(2)]
    assert again[0].body == again[1].body
    assert len(gateway.records.sent) == 3


async def test_when_the_bus_is_away_the_sender_learns_whether_a_repeat_is_safe(gateway: Any) -> None:
    gateway.publisher.fail = BusUnavailable("away")
    reply = await gateway.post(PATH, SAID)
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert "cannot be counted twice" in reply.json["detail"]
    assert "may count twice" in (await gateway.post(PATH, {"metrics": {"n": 1}})).json["detail"]
    assert gateway.records.sent == []


async def test_series_beyond_the_tenants_limit_are_named_and_the_report_is_taken(gateway: Any) -> None:
    gateway.catalogue.limit = 1
    reply = await gateway.post(PATH, SAID)
    assert reply.status == 201
    assert reply.json["samples"] == 1
    assert "all its 1 series" in reply.json["warnings"][0]["reason"]
    assert len(gateway.records.sent) == 1
