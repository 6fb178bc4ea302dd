"""Limits over all gateways, as processes with a real Kafka, MongoDB and Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from vigie_contracts.tenants import TenantId
from vigie_identity.api_keys import ApiKeys
from vigie_identity.audit import SYSTEM, Audit
from vigie_identity.permissions import Scope
from vigie_identity.tenants import Plan, Tenants
from vigie_runtime import clients
from vigie_runtime.clock import SystemClock
from vigie_runtime.settings import Settings
from vigie_standalone.embedded.process import Process
from vigie_storage.usage import UsageStore

from tests.kit import Spawner, eventually, free_port, http_ready

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]
CUSTOM, BATCH = "/api/metrics/custom", "/api/metrics/batch"


@dataclass
class World:
    """A tenant with an API key, and what makes gateways for it."""

    tenants: Tenants
    usage: UsageStore
    tenant: TenantId
    key: str
    spawn: Spawner
    env: dict[str, str]

    @asynccontextmanager
    async def gateways(self, count: int, **env: str) -> AsyncIterator[list[httpx2.AsyncClient]]:
        """Clients of so many gateways, each with the tenant's key."""
        async with AsyncExitStack() as stack:
            made = [self.start(**env) for _ in range(count)]
            headers = {"authorization": f"Bearer {self.key}"}
            yield [
                await stack.enter_async_context(httpx2.AsyncClient(base_url=url, headers=headers, timeout=20))
                for url, _ in made
            ]

    def start(self, **env: str) -> tuple[str, Process]:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        own = {"VIGIE_INGEST_PORT": str(port), "VIGIE_INGEST_HOST": "127.0.0.1"}
        return url, self.spawn.module(
            "vigie_ingest", env={**self.env, **own, **env}, ready=http_ready(f"{url}/health/ready")
        )


@pytest_asyncio.fixture(loop_scope="session")
async def world(  # noqa: PLR0917
    spawn: Spawner, kafka: str, mongo_uri: str, redis_url: str, database: Any, unique: Callable[[str], str]
) -> AsyncIterator[World]:
    settings = Settings(kafka_bootstrap_servers=kafka, mongodb_uri=mongo_uri, redis_url=redis_url)
    async with clients.mongo(settings) as client:
        db, clock = client[database.name], SystemClock()
        audit = Audit(db, clock)
        tenants = Tenants(db, audit, clock)
        keys = ApiKeys(db, tenants, audit, clock)
        for part in (audit, tenants, keys):
            await part.ensure_indexes()
        tenant = TenantId(unique("t"))
        await tenants.create(tenant, tenant, SYSTEM)
        key = await keys.create(tenant, "gateway", [Scope.WRITE], SYSTEM)
        env = {
            "VIGIE_SAMPLES_TOPIC": unique("samples"),
            "VIGIE_MONGODB_DATABASE": database.name,
            "VIGIE_PARTITIONS": "2",
            "VIGIE_DEFAULT_TENANT": tenant,
        }
        yield World(tenants, UsageStore(db, clock), tenant, key.secret, spawn, env)


def metric(n: int = 0) -> dict[str, Any]:
    return {"name": "requests_total", "type": "counter", "value": 1, "labels": {"user_id": str(n)}}


async def test_two_gateways_share_the_limit_of_a_key(world: World) -> None:
    async with world.gateways(2, VIGIE_RATE_KEY_PER_MINUTE="300") as gateways:

        async def send(gateway: httpx2.AsyncClient) -> list[int]:
            return [(await gateway.post(CUSTOM, json=metric())).status_code for _ in range(250)]

        statuses = [
            status for sent in await asyncio.gather(*(send(gateway) for gateway in gateways)) for status in sent
        ]
        assert {status: statuses.count(status) for status in set(statuses)} == {201: 300, 429: 200}
        refused = await gateways[0].post(CUSTOM, json=metric())
        assert refused.json()["type"] == "/problems/too-many-requests"
        assert 0 < int(refused.headers["retry-after"]) <= 61
        assert refused.headers["ratelimit-policy"] == '"key";q=300;w=60'


async def test_a_batch_beyond_the_plan_is_refused_whole_and_usage_says_so(world: World) -> None:
    await world.tenants.change(world.tenant, SYSTEM, plan=asdict(Plan(samples_per_s=100)))
    async with world.gateways(1) as [gateway]:
        refused = await gateway.post(BATCH, json=[metric(n) for n in range(101)])
        taken = await gateway.post(BATCH, json=[metric(n) for n in range(100)])
        assert (refused.status_code, refused.headers["retry-after"], taken.status_code) == (429, "1", 201)

        async def counted() -> bool:
            today = await world.usage.today(world.tenant)
            return (today.samples, today.requests, today.throttled) == (100, 2, 1)

        await eventually(counted)
        assert await world.usage.series(world.tenant) == 100


async def test_the_refusal_for_the_series_quota_names_the_label(world: World) -> None:
    await world.tenants.change(world.tenant, SYSTEM, plan=asdict(Plan(series=50)))
    async with world.gateways(1) as [gateway]:
        answer = (await gateway.post(BATCH, json=[metric(n) for n in range(60)])).json()
        said = (
            "the tenant has all its 50 series, and this one is new; "
            "label user_id of requests_total has 50 different values"
        )
        assert (answer["accepted"], answer["rejected"]) == (50, 10)
        assert {error["reason"] for error in answer["errors"]} == {said}
        single = await gateway.post(CUSTOM, json=metric(1_000))
        assert (single.status_code, single.json()["detail"]) == (403, said)
        assert (await gateway.post(CUSTOM, json=metric(3))).status_code == 201, "what is known is taken"


async def test_a_stopped_gateway_writes_what_it_counted(world: World) -> None:
    url, process = world.start()
    async with httpx2.AsyncClient(base_url=url, headers={"x-api-key": world.key}, timeout=20) as gateway:
        assert (await gateway.post(BATCH, json=[metric()] * 7)).status_code == 201
    await asyncio.to_thread(process.stop)
    today = await world.usage.today(world.tenant)
    assert (today.samples, today.requests) == (7, 1)
