"""Who may read, and of which tenant: decided by the access table, before anything is looked up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import pytest
import pytest_asyncio
from vigie_api.app import create_app
from vigie_api.settings import ApiSettings
from vigie_contracts.tenants import TenantId
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.errors import BadCredential, RefusalReason
from vigie_identity.permissions import Role, Scope, of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_runtime import clients
from vigie_runtime.clock import ManualClock
from vigie_storage import mongo as store
from vigie_storage.reports import reader as telemetry

from .free import as_caller

READ = "/api/query_range?metric=m&from=later"
"""Refused for its parameter, before any store is asked, when the caller may ask at all."""


@dataclass
class Callers:
    """The authenticator: everybody is `principal`; `fail` is raised instead."""

    principal: Principal = field(default_factory=lambda: AnonymousRule.parse("nothing").principal())
    fail: Exception | None = None

    async def authenticate(self, headers: list[tuple[bytes, bytes]], asker: object = None) -> Principal:
        if self.fail is not None:
            raise self.fail
        return self.principal


def key(*tenants: str, scope: Scope = Scope.READ) -> Principal:
    may = of_scopes(frozenset({scope}))
    assignments = assigned(*(Assignment(TenantId(tenant), may) for tenant in tenants))
    return Principal(PrincipalKind.KEY, "vk_1", "reader", assignments=assignments)


@pytest.fixture
def callers() -> Callers:
    return Callers()


@pytest_asyncio.fixture(loop_scope="session")
async def http(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx2.AsyncClient]:
    monkeypatch.setattr(clients, "SERVER_SELECTION_MS", 50)
    settings = ApiSettings(
        kafka_bootstrap_servers="nowhere:1", mongodb_uri="mongodb://127.0.0.1:1", redis_url="redis://127.0.0.1:1"
    )
    app = create_app(settings, clock=ManualClock())
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client,
    ):
        as_caller(app, callers)
        yield client


async def test_nobody_reads_without_a_credential(http: httpx2.AsyncClient) -> None:
    answer = await http.get(READ)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="vigie"'
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_bad_credential_is_refused(http: httpx2.AsyncClient, callers: Callers) -> None:
    callers.fail = BadCredential(RefusalReason.EXPIRED)
    answer = await http.get(READ)
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="vigie", error="invalid_token"'
    assert 'vigie_api_refused_credentials_total{reason="expired"} 1.0' in (await http.get("/internal/metrics")).text


async def test_health_needs_no_credential(http: httpx2.AsyncClient, callers: Callers) -> None:
    callers.fail = BadCredential(RefusalReason.EXPIRED)
    assert (await http.get("/health/live")).status_code == 200


@pytest.mark.parametrize(
    ("holds", "asked", "status"),
    [
        (key("acme"), None, 422),
        (key("acme"), "acme", 422),
        (key("acme"), "globex", 404),
        (key("acme"), "not a tenant", 404),
        (key("acme", scope=Scope.WRITE), None, 403),
        (key("acme", "globex"), "globex", 422),
    ],
)
async def test_a_key_reads_its_tenant_only(
    http: httpx2.AsyncClient, callers: Callers, holds: Principal, asked: str | None, status: int
) -> None:
    callers.principal = holds
    answer = await http.get(READ, headers={} if asked is None else {"x-scope-orgid": asked})
    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["errors"][0]["field"] == "from"


@pytest.mark.parametrize("path", [READ, "/auth/me", "/admin/tenants/acme", "/admin/global/summary"])
async def test_a_tenant_that_is_named_twice_is_refused(http: httpx2.AsyncClient, callers: Callers, path: str) -> None:
    callers.principal = key("acme", "globex")
    for named in (["acme", "globex"], ["acme", "acme"], ["acme,globex"]):
        answer = await http.get(path, headers=[("x-scope-orgid", tenant) for tenant in named])
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-request")
        assert "X-Scope-OrgID" in answer.json()["detail"]


async def test_who_reads_several_tenants_says_which(http: httpx2.AsyncClient, callers: Callers) -> None:
    callers.principal = key("acme", "globex")
    answer = await http.get(READ)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "tenant")


@pytest.mark.parametrize(
    "path",
    [
        "/admin/tenant/acme/metrics", "/admin/tenant/acme/metrics/latest", "/admin/tenant/acme/metrics/aggregated",
        "/admin/global/summary", "/admin/global/usage-trends",
    ],
)  # fmt: skip
async def test_telemetry_is_for_those_who_look_after_the_platform(
    http: httpx2.AsyncClient, callers: Callers, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(telemetry, "TIMEOUT_S", 0.1)
    assert (await http.get(path)).status_code == 401
    callers.principal = key("acme")
    assert (await http.get(path)).status_code == 403
    callers.principal = key("globex")
    assert (await http.get(path)).status_code == (403 if "global" in path else 404)
    callers.principal = Principal(PrincipalKind.USER, "u-1", "sue", Role.SUPPORT)
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable"), "nobody is refused"
    assert answer.headers["retry-after"] == "2"
