"""Who may send, and for which tenant."""

from __future__ import annotations

from typing import Any

import pytest
from vigie_contracts.tenants import TenantId
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.errors import BadCredential, RefusalReason, TenantInactive
from vigie_identity.permissions import Scope, of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_runtime.errors import StoreUnavailable

from services.ingest.tests.doubles import NODE_TENANT

METRIC = {"name": "queue_length", "type": "gauge", "value": 7}


def key(*tenants: str, scope: Scope = Scope.WRITE) -> Principal:
    may = of_scopes(frozenset({scope}))
    assignments = assigned(*(Assignment(TenantId(tenant), may) for tenant in tenants))
    return Principal(PrincipalKind.KEY, "vk_1", "sender", assignments=assignments)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (BadCredential(RefusalReason.SIGNATURE), 401, "unauthenticated"),
        (TenantInactive(), 403, "forbidden"),
        (StoreUnavailable(), 503, "store-unavailable"),
    ],
)
async def test_a_credential_that_is_sent_must_be_good(gateway: Any, error: Exception, status: int, kind: str) -> None:
    gateway.authenticator.fail = error
    reply = await gateway.custom(**METRIC)
    assert (reply.status, reply.json["type"]) == (status, f"/problems/{kind}")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["message"] == reply.json["detail"]
    assert gateway.publisher.sent == []
    refused = await gateway.request("GET", "/metrics")
    counted = f'vigie_ingest_refused_credentials_total{{reason="signature"}} {1.0 if status == 401 else 0.0}'
    assert counted in refused.body.decode()
    if status == 401:
        assert reply.headers["www-authenticate"] == 'Bearer realm="vigie", error="invalid_token"'
    if status == 503:
        assert reply.headers["retry-after"] == "2"


async def test_without_a_credential_nothing_may_be_written_unless_the_setting_says_so(gateway: Any) -> None:
    gateway.authenticator.principal = AnonymousRule.parse("telemetry").principal()
    reply = await gateway.custom(**METRIC)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Bearer realm="vigie"'


async def test_samples_go_to_the_tenant_of_the_key(gateway: Any) -> None:
    gateway.authenticator.principal = key("acme")
    assert (await gateway.custom(**METRIC)).status == 201
    assert [series.tenant for series in gateway.catalogue.asked] == ["acme"]


async def test_who_may_write_for_several_tenants_says_for_which(gateway: Any) -> None:
    gateway.authenticator.principal = key("acme", "globex")
    unsaid = await gateway.custom(**METRIC)
    said = await gateway.post("/api/metrics/custom", METRIC, {"X-Scope-OrgID": "globex"})
    assert (unsaid.status, unsaid.json["errors"][0]["field"]) == (422, "tenant")
    assert said.status == 201
    assert [series.tenant for series in gateway.catalogue.asked] == ["globex"]


async def test_a_uuid_names_its_tenant_in_either_case(gateway: Any) -> None:
    gateway.authenticator.principal = key(NODE_TENANT)
    said = await gateway.post("/api/metrics/custom", METRIC, {"X-Scope-OrgID": NODE_TENANT.upper()})
    report = {"tenantId": NODE_TENANT.upper(), "uptime": 1, "activeUsers": 2, "exercisesCompletedToday": 3}
    reported = await gateway.post("/telemetry", report)
    assert (said.status, reported.status, reported.json["tenantId"]) == (201, 201, NODE_TENANT)
    assert {series.tenant for series in gateway.catalogue.asked} == {NODE_TENANT}
    assert [one["tenant"] for one in gateway.records.reports] == [NODE_TENANT]


@pytest.mark.parametrize("foreign", ["globex", "nowhere", "not a tenant", ""])
async def test_a_foreign_tenant_is_one_that_does_not_exist(gateway: Any, foreign: str) -> None:
    gateway.authenticator.principal = key("acme")
    reply = await gateway.post("/api/metrics/custom", METRIC, {"X-Scope-OrgID": foreign})
    assert (reply.status, reply.json["detail"]) == (404, "there is no such tenant")


@pytest.mark.parametrize("path", ["/api/metrics/custom", "/api/events", "/telemetry", "/api/import/telemetry"])
@pytest.mark.parametrize("others", [["globex"], ["acme"], [""], ["acme, globex"]])
async def test_a_tenant_that_is_named_twice_is_refused(gateway: Any, path: str, others: list[str]) -> None:
    gateway.authenticator.principal = key("acme", "globex")
    named = [("X-Scope-OrgID", tenant) for tenant in ("acme", *others)]
    reply = await gateway.request("POST", path, b"{}", [("content-type", "application/json"), *named])
    assert (reply.status, reply.json["type"]) == (400, "/problems/invalid-request")
    assert "X-Scope-OrgID" in reply.json["detail"]
    assert gateway.catalogue.asked == []


async def test_a_key_that_only_reads_does_not_write(gateway: Any) -> None:
    gateway.authenticator.principal = key("acme", scope=Scope.READ)
    reply = await gateway.custom(**METRIC)
    assert (reply.status, reply.json["detail"]) == (403, "this needs the permission data.write")
