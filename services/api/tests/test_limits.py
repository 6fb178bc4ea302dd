"""How often a caller may ask, and what it is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from redis.exceptions import ConnectionError as RedisAwayError
from vigie_api.app import create_app
from vigie_api.settings import ApiSettings
from vigie_contracts.tenants import TenantId
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.errors import BadCredential, RefusalReason
from vigie_identity.permissions import Scope, of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_identity.tenants import Plan, Status, Tenant
from vigie_limits.limiter import Limiter
from vigie_limits.metrics import LIMITS_METRICS
from vigie_limits.quotas import RateLimits
from vigie_limits.store import RedisCounts
from vigie_runtime import clients
from vigie_runtime.clock import ManualClock
from vigie_runtime.metrics import MetricSet

READ = "/api/query_range?metric=m&from=later"
"""Refused for its parameter, before any store is asked, when the caller may ask at all."""
SETTINGS = ApiSettings(
    kafka_bootstrap_servers="nowhere:1", mongodb_uri="mongodb://127.0.0.1:1", redis_url="redis://127.0.0.1:1",
    rate_ip_per_minute=5, rate_key_per_minute=10, trusted_proxies="10.0.0.0/8",
)  # fmt: skip


class Away(RedisCounts):
    """Redis is not there: this process counts locally."""

    def __init__(self) -> None: ...

    async def take(self, *_: Any) -> bool:
        raise RedisAwayError("refused")

    counts = check = take


@dataclass
class Callers:
    """The authenticator and the tenants: everybody is `principal`, every tenant has `plan`; `fail` is raised."""

    principal: Principal = field(default_factory=lambda: AnonymousRule.parse("default:read").principal())
    plan: Plan = field(default_factory=Plan)
    fail: Exception | None = None

    async def authenticate(self, _headers: list[tuple[bytes, bytes]], _asker: object = None) -> Principal:
        if self.fail is not None:
            raise self.fail
        return self.principal

    def at_once(self, tenant: str) -> Tenant:
        now = datetime.now(UTC)
        return Tenant(TenantId(tenant), tenant, Status.ACTIVE, self.plan, now, now)

    def remembered(self, tenant: str) -> Tenant:
        return self.at_once(tenant)

    async def require(self, tenant: str) -> Tenant:
        return self.at_once(tenant)


def key() -> Principal:
    assignments = assigned(Assignment(TenantId("acme"), of_scopes(frozenset({Scope.READ}))))
    return Principal(PrincipalKind.KEY, "vk_1", "reader", assignments=assignments)


@pytest.fixture
def callers() -> Callers:
    return Callers()


@pytest_asyncio.fixture(loop_scope="session")
async def app(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setattr(clients, "SERVER_SELECTION_MS", 50)
    clock = ManualClock()
    app = create_app(SETTINGS, clock=clock)
    limiter = Limiter(Away(), clock, MetricSet(LIMITS_METRICS))
    async with app.router.lifespan_context(app):
        state = app.state.service
        rates = RateLimits(SETTINGS, limiter, callers, clock)
        access = replace(state.resources.access, authenticator=callers, rates=rates)
        state.resources = replace(state.resources, access=access)
        yield app
    await limiter.close()


def caller(app: Any, address: str = "203.0.113.7") -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app, client=(address, 1)), base_url="http://api")


async def statuses(
    app: Any, count: int, address: str = "203.0.113.7", headers: dict[str, str] | None = None
) -> list[int]:
    async with caller(app, address) as http:
        return [(await http.get(READ, headers=headers)).status_code for _ in range(count)]


async def test_strangers_are_limited_by_address(app: Any) -> None:
    assert await statuses(app, 6) == [422] * 5 + [429]
    assert await statuses(app, 1, "203.0.113.8") == [422]
    assert set(await statuses(app, 20, "127.0.0.1")) == {422}


async def test_a_refusal_is_a_problem_with_the_time_to_wait(app: Any) -> None:
    await statuses(app, 5)
    async with caller(app) as http:
        answer = await http.get(READ)
    assert answer.json()["type"] == "/problems/too-many-requests"
    assert answer.json()["retry_after"] == int(answer.headers["retry-after"]) > 0
    assert answer.headers["ratelimit-remaining"] == "0"


async def test_a_key_counts_for_itself(app: Any, callers: Callers) -> None:
    callers.principal = key()
    assert await statuses(app, 6) == [422] * 6
    assert await statuses(app, 5, "127.0.0.1") == [422] * 4 + [429]


async def test_refused_credentials_count_against_the_address(app: Any, callers: Callers) -> None:
    callers.fail = BadCredential(RefusalReason.EXPIRED)
    assert await statuses(app, 6) == [401] * 5 + [429]


async def test_reads_of_a_tenant_are_limited_by_its_plan(app: Any, callers: Callers) -> None:
    callers.principal, callers.plan = key(), Plan(requests_per_s=3)
    assert await statuses(app, 4) == [422] * 3 + [429]


async def test_behind_a_trusted_proxy_clients_are_told_apart(app: Any) -> None:
    assert await statuses(app, 6, "10.0.0.1", {"x-forwarded-for": "1.1.1.1, 198.51.100.1"}) == [422] * 5 + [429]
    assert await statuses(app, 1, "10.0.0.1", {"x-forwarded-for": "198.51.100.2"}) == [422]


async def test_every_answer_about_data_tells_of_the_limit(app: Any, callers: Callers) -> None:
    callers.principal, callers.plan = key(), Plan(requests_per_s=100)
    async with caller(app) as http:
        answer = await http.get(READ)
    assert answer.headers["ratelimit-policy"] == '"key";q=10;w=60, "tenant";q=100;w=1'
    assert (answer.headers["ratelimit-limit"], answer.headers["ratelimit-remaining"]) == ("10", "9")
    assert 0 < int(answer.headers["ratelimit-reset"]) <= 60


async def test_health_is_never_refused(app: Any) -> None:
    await statuses(app, 6)
    async with caller(app) as http:
        answers = [await http.get("/health/live") for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit-limit" not in answers[0].headers
