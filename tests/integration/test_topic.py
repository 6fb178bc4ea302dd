"""Another log under the same name: counted from its start, and what the old one held stays."""

import asyncio

import pytest
from confluent_kafka.admin import AdminClient
from vigie_contracts.topics import SAMPLES

from tests.chaos import stored
from tests.chaos.ledger import Ledger
from tests.chaos.load import Plan, Series
from tests.integration.world import World
from tests.kit import eventually, librdkafka_login

pytestmark = [pytest.mark.connected, pytest.mark.fault, pytest.mark.timeout(240)]


async def send(world: World, ledger: Ledger, seed: int, requests: int) -> None:
    plan = Plan(Series(ledger, 30), seed)
    async with world.sender(ledger) as sender:
        for _ in range(requests):
            await sender.deliver(plan.request())
        assert sender.answers.wrong == []


async def test_recreated_topic_is_read_from_its_first_record_and_the_old_counts_stay(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=1)
    ledger = rough.ledger("recreated")
    await send(rough, ledger, 1, 60)
    await rough.exact(ledger)
    stored_before = {d["_id"]: d["next"]["10s"] async for d in rough.database.partitions.find({})}
    for process in rough.services.processes():
        await asyncio.to_thread(process.stop)

    admin = AdminClient({"bootstrap.servers": rough.addresses.kafka, **librdkafka_login()})
    for done in admin.delete_topics([SAMPLES.name]).values():
        await asyncio.to_thread(done.result, 30)

    async def gone() -> bool:
        return not await stored.ends(rough.addresses.kafka)

    await eventually(gone, 30)
    for process in (*rough.services.gateways, *rough.services.aggregators):
        await asyncio.to_thread(process.start)
    await send(rough, ledger, 2, 5)  # fewer records than the old log had: the stored offsets lie beyond its end
    ends = await stored.ends(rough.addresses.kafka)
    assert any(stored_before[f"{SAMPLES.name}/{partition}"] > end for partition, end in ends.items())

    async def restarted() -> bool:
        documents = {d["_id"]: d async for d in rough.database.partitions.find({})}
        assert {p: documents[f"{SAMPLES.name}/{p}"]["next"]["1h"] for p, end in ends.items() if end} == {
            p: end for p, end in ends.items() if end
        }
        return True

    await eventually(restarted, 60)
    await rough.exact(ledger)
    log = rough.services.aggregators[0].log_path.read_text()
    assert "topic" in log
