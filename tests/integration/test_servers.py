"""The servers go away and come back: nothing that was accepted is lost, nothing is counted twice."""

import asyncio
from typing import Any

import pytest
from pymongo.errors import PyMongoError
from vigie_contracts.limits import MAX_BATCH_ITEMS

from tests.integration.world import World, load, more

pytestmark = [pytest.mark.connected, pytest.mark.fault, pytest.mark.timeout(300)]


async def test_only_broker_killed_and_restarted(rough: World) -> None:
    rough.services.start(gateways=2, aggregators=2)
    broker = rough.servers.kafka.brokers[0]
    ledger = rough.ledger("broker")
    async with load(rough, ledger) as sender:
        for _ in range(2):
            await more(ledger, 500)
            await asyncio.to_thread(broker.kill)
            await asyncio.sleep(2)  # long enough that every request meets the hole
            await asyncio.to_thread(broker.start, 90)
        await more(ledger, 500, 90)
    assert sender.answers.retried > 0
    await rough.exact(ledger)


async def test_only_mongod_killed_and_restarted(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=2)
    member = rough.servers.mongo.members[0]
    ledger = rough.ledger("mongod")
    async with load(rough, ledger):
        for _ in range(2):
            await more(ledger, 500)
            await asyncio.to_thread(member.kill)
            await asyncio.sleep(2)  # long enough that commits fail
            await asyncio.to_thread(member.start, 90)
        await more(ledger, 500)
    await rough.exact(ledger)


async def test_known_series_are_taken_while_mongodb_is_away(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=1)
    ledger = rough.ledger("known")
    async with load(rough, ledger, series=20):
        await more(ledger, 800)
    member = rough.servers.mongo.members[0]
    await asyncio.to_thread(member.kill)
    async with load(rough, ledger, series=20, seed=2) as sender:
        await more(ledger, 500)
    assert sender.answers.attempts.keys() == {"201"}
    await asyncio.to_thread(member.start, 90)
    await rough.exact(ledger)


async def test_redis_away_costs_nothing_but_the_cache(rough: World) -> None:
    rough.services.start(gateways=2, aggregators=1)
    cache = rough.servers.redis.process
    assert cache is not None
    ledger = rough.ledger("redis")
    async with load(rough, ledger):
        await more(ledger, 500)
        await asyncio.to_thread(cache.kill)
        await more(ledger, 1000)  # repeated requests are part of the load: nothing remembers their answers now
        await asyncio.to_thread(cache.start)
        await more(ledger, 500)
    await rough.exact(ledger)
    await rough.cached(ledger)


async def test_redis_that_hangs_delays_nobody_for_long(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=1)
    cache = rough.servers.redis.process
    assert cache is not None
    ledger = rough.ledger("hangs")
    async with load(rough, ledger) as sender:
        await more(ledger, 500)
        cache.pause()
        await more(ledger, 500, 60)
        cache.resume()
    assert not [kind for kind in sender.answers.attempts if kind.startswith("5") and kind != "503"]
    await rough.exact(ledger)
    await rough.cached(ledger)


async def test_primary_killed_in_a_set_of_three(clusters: World) -> None:
    clusters.services.start(gateways=1, aggregators=2)
    ledger = clusters.ledger("primary")
    async with load(clusters, ledger):
        await more(ledger, 500)
        first = await asyncio.to_thread(clusters.servers.mongo.wait_primary)
        await asyncio.to_thread(clusters.servers.mongo.members[first].kill)
        await more(ledger, 500)
        second = await asyncio.to_thread(clusters.servers.mongo.wait_primary)
        assert second != first
        await asyncio.to_thread(clusters.servers.mongo.members[first].start, 90)
        await more(ledger, 500)
    await clusters.exact(ledger)


async def test_primary_steps_down_again_and_again(clusters: World) -> None:
    clusters.services.start(gateways=1, aggregators=2)
    ledger = clusters.ledger("stepdown")
    async with load(clusters, ledger):
        for _ in range(3):
            await more(ledger, 400)
            await _step_down(clusters)
        await more(ledger, 400)
    await clusters.exact(ledger)


async def _step_down(world: World) -> None:
    await asyncio.to_thread(world.servers.mongo.wait_primary)
    command: dict[str, Any] = {"replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5}
    try:
        await world.client.admin.command(command)
    except PyMongoError as error:  # the connection may be closed by the step-down itself
        if "NotWritablePrimary" in str(error):
            raise


async def test_one_broker_of_three_killed(clusters: World) -> None:
    clusters.services.start(gateways=2, aggregators=2)
    ledger = clusters.ledger("brokers")
    async with load(clusters, ledger):
        await more(ledger, 400, 90)
        broker = clusters.servers.kafka.brokers[int(ledger.prefix[-1], 16) % 3]  # any of them
        await asyncio.to_thread(broker.kill)
        await more(ledger, 600, 90)
        await asyncio.to_thread(broker.start, 90)
        await more(ledger, 400, 90)
    await clusters.exact(ledger, 90)


async def test_full_buffer_refuses_with_retry_after_and_loses_nothing(rough: World) -> None:
    """A broker that hangs: requests pile up to the bound, the rest is told to come back, memory stays bounded."""
    import httpx2 as httpx
    import psutil

    from tests.chaos.load import Plan, Series, batch

    gateway = rough.services.gateway({"VIGIE_INGEST_MAX_BUFFERED_SAMPLES": "50000"})
    rough.services.start(aggregators=1)
    ledger = rough.ledger("full")
    async with load(rough, ledger, series=30):
        await more(ledger, 300)
    memory = psutil.Process(gateway.pid).memory_info
    before = memory().rss
    broker = rough.servers.kafka.brokers[0]
    broker.pause()
    plan = Plan(Series(ledger, 30), 5, batch_size=MAX_BATCH_ITEMS // 20)
    requests = [batch(plan.request().samples * 8) for _ in range(120)]
    url = rough.services.gateway_urls[0]
    headers = {"content-type": "application/json"}
    async with rough.sender(ledger) as sender:
        deliveries = asyncio.gather(*(sender.deliver(request) for request in requests))
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            refused = await _refusal(client, url, headers)
        assert int(refused.headers["retry-after"]) >= 1
        problem = refused.json()
        assert refused.headers["content-type"] == "application/problem+json"
        assert problem["status"] == 503
        assert problem["message"] == problem["detail"]
        await asyncio.sleep(5)  # pressure for a while
        grown = memory().rss - before
        broker.resume()
        await deliveries
        assert sender.answers.wrong == []
    assert grown < 300 * 1024 * 1024, f"memory grew by {grown / 1e6:.0f} MB"
    await rough.exact(ledger, 90)


async def _refusal(client: Any, url: str, headers: dict[str, str]) -> Any:
    from tests.kit import eventually

    async def refused() -> Any:
        answer = await client.post(
            f"{url}/api/metrics/custom", content=b'{"name":"x","type":"gauge","value":1}', headers=headers
        )
        return answer if answer.status_code == 503 else None

    return await eventually(refused, 60)
