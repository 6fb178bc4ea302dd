"""The ledger must be able to fail: with a dead aggregator, an empty store, a lost and a doubled record."""

import pytest
from vigie_contracts import samples as codec
from vigie_contracts.tiers import TIERS

from tests.chaos import answered, stored
from tests.chaos.ledger import Ledger, compare, listed
from tests.chaos.load import Plan, Series
from tests.integration import bus
from tests.integration.world import World
from tests.kit import unique

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]


async def send(world: World, ledger: Ledger, requests: int = 20) -> None:
    plan = Plan(Series(ledger, 30), 1)
    async with world.sender(ledger) as sender:
        for _ in range(requests):
            await sender.deliver(plan.request())
        assert sender.answers.wrong == []
        assert sender.answers.accepted == requests


async def test_everything_accepted_is_counted_in_every_tier_and_reader(calm: World) -> None:
    ledger = calm.ledger("exact")
    await send(calm, ledger, 50)
    await calm.exact(ledger)
    await calm.cached(ledger)
    api = calm.services.urls[calm.services.apis[0].name]
    differences = await answered.differences(api, ledger)
    assert not differences, listed(differences)


async def test_dead_aggregator_and_empty_store_fail_the_ledger(rough: World) -> None:
    rough.services.start(gateways=1)
    ledger = rough.ledger("dead")
    await send(rough, ledger)
    with pytest.raises(AssertionError, match="not within"):
        await rough.exact(ledger, timeout=3)
    differences = await rough.differences(ledger)
    expected = ledger.expected()
    assert len(differences) == sum(len(expected.windows[t.name]) for t in TIERS) + len(expected.running)

    rough.services.start(aggregators=1)
    await rough.exact(ledger)
    empty = rough.client[unique("empty")]
    assert len(compare(ledger, await stored.counts(empty, ledger), "MongoDB")) == len(differences)


async def test_record_counted_twice_is_detected(calm: World) -> None:
    ledger = calm.ledger("twice")
    before = await stored.ends(calm.addresses.kafka)
    await send(calm, ledger)
    await calm.exact(ledger)
    record = (await bus.records(calm.addresses.kafka, since=before))[0]
    batch = codec.decode(record.value or b"")

    # With its request keys the copy is recognised; without them it is what a lost fence would do.
    await bus.put(calm.addresses.kafka, record.partition, record.value)
    await calm.exact(ledger)
    bare = codec.SampleBatch(batch.fingerprints, batch.index, batch.timestamps, batch.values)
    await bus.put(calm.addresses.kafka, record.partition, codec.encode(bare))
    with pytest.raises(AssertionError, match="differences"):
        await calm.exact(ledger)
    wrong = await calm.differences(ledger)
    assert {difference.where for difference in wrong} >= {"MongoDB 10s", "MongoDB 1m", "MongoDB 1h", "MongoDB latest"}


async def test_record_that_was_skipped_is_detected(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=1)
    ledger = rough.ledger("skipped")
    await send(rough, ledger)
    await rough.exact(ledger)
    rough.services.aggregators[0].stop()

    before = await stored.ends(rough.addresses.kafka)
    await send(rough, ledger)
    after = await stored.ends(rough.addresses.kafka)
    partition = next(p for p in after if after[p] > before[p])
    document = await rough.database.partitions.find_one({"_id": f"vigie.samples.v1/{partition}"})
    assert document is not None
    ahead = {f"next.{tier.name}": document["next"][tier.name] + 1 for tier in TIERS}
    await rough.database.partitions.update_one({"_id": document["_id"]}, {"$set": ahead})

    rough.services.start(aggregators=1)
    with pytest.raises(AssertionError, match="differences"):
        await rough.exact(ledger)
