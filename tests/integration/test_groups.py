"""Partitions move between aggregators: joins, leaves, deaths, zombies and two owners at once."""

import asyncio

import pytest

from tests.chaos.kills import PAUSE_BEYOND_SESSION_S
from tests.integration.world import World, load, more
from tests.kit import unique

pytestmark = [pytest.mark.connected, pytest.mark.fault, pytest.mark.timeout(240)]


async def test_partitions_move_from_one_to_two_to_three_and_back(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=1)
    ledger = rough.ledger("moves")
    async with load(rough, ledger):
        await more(ledger, 500)
        second = await asyncio.to_thread(rough.services.aggregator)
        await more(ledger, 500)
        third = await asyncio.to_thread(rough.services.aggregator)
        await more(ledger, 500)
        await asyncio.to_thread(second.stop)
        assert second.returncode == 0
        await more(ledger, 500)
        await asyncio.to_thread(third.kill)
        await more(ledger, 500)
    await rough.exact(ledger)


async def test_zombie_that_wakes_after_its_session_changes_nothing(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=2)
    zombie, other = rough.services.aggregators
    ledger = rough.ledger("zombie")
    async with load(rough, ledger):
        await more(ledger, 800)
        zombie.pause()
        await asyncio.sleep(PAUSE_BEYOND_SESSION_S)  # longer than its session: the other one owns everything now
        zombie.resume()
        await more(ledger, 800)
    await rough.exact(ledger)
    assert zombie.alive
    assert other.alive


async def test_only_aggregator_stopped_longer_than_its_session_goes_on(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=1)
    ledger = rough.ledger("alone")
    async with load(rough, ledger):
        await more(ledger, 500)
        rough.services.aggregators[0].pause()
        await asyncio.sleep(PAUSE_BEYOND_SESSION_S)  # its group is empty now
        rough.services.aggregators[0].resume()
        await more(ledger, 500)
    await rough.exact(ledger)


async def test_two_owners_of_every_partition_count_once(rough: World) -> None:
    """Without a group nobody hands out partitions: only the compare-and-set keeps two owners apart."""
    rough.services.start(gateways=1)
    ledger = rough.ledger("owners")
    async with load(rough, ledger):
        for _ in range(2):
            await asyncio.to_thread(rough.services.aggregator, {"VIGIE_AGGREGATOR_GROUP": unique("group")})
        await more(ledger, 3000)
    await rough.exact(ledger)
    assert all(process.alive for process in rough.services.aggregators)
