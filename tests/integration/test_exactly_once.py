"""Sums stay exact when an aggregator dies: at any moment, and in the middle of its commit."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.chaos.kills import all_ready
from tests.integration.world import World, load, more

pytestmark = [pytest.mark.connected, pytest.mark.fault, pytest.mark.timeout(240)]


@asynccontextmanager
async def failing(world: World, mode: dict[str, Any], **data: Any) -> AsyncIterator[int]:
    """The failpoint of MongoDB that makes commands of services fail while the block runs."""
    admin = world.client.admin
    # The name limits it to Vigie's own clients: the verifier's is another.
    point = {"configureFailPoint": "failCommand", "mode": mode, "data": {"appName": "vigie", **data}}
    entered = (await admin.command(point))["count"]
    try:
        yield entered
    finally:
        await admin.command({"configureFailPoint": "failCommand", "mode": "off"})


async def entered(world: World, times: int) -> None:
    """Wait until the failpoint was met so many times."""
    wait = {"waitForFailPoint": "failCommand", "timesEntered": times, "maxTimeMS": 30_000}
    await world.client.admin.command(wait)


async def test_kill_9_at_random_moments(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=2)
    ledger, moments = rough.ledger("kills"), random.Random(11)
    async with load(rough, ledger):
        for round_ in range(8):
            victim = rough.services.aggregators[round_ % 2]
            await asyncio.sleep(moments.uniform(0.2, 3.0))  # the random moment itself
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.launch)
        await all_ready(rough.services.aggregators)
    await rough.exact(ledger)
    await rough.cached(ledger)


COMMIT = {"failCommands": ["commitTransaction"]}
BROKEN_COMMITS = {
    "connection closed before the commit": {**COMMIT, "closeConnection": True},
    "committed, but the answer says unknown": {
        **COMMIT,
        "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"},
    },
    "transaction aborted": {**COMMIT, "errorCode": 251, "errorLabels": ["TransientTransactionError"]},
    "primary steps down": {**COMMIT, "errorCode": 10107, "closeConnection": False},
    "write conflict": {
        "failCommands": ["update", "bulkWrite"],
        "errorCode": 112,
        "errorLabels": ["TransientTransactionError"],
    },
}


@pytest.mark.parametrize("broken", BROKEN_COMMITS)
async def test_commit_that_fails_or_whose_fate_is_unknown(rough: World, broken: str) -> None:
    rough.services.start(gateways=1, aggregators=1)
    ledger = rough.ledger("commit")
    async with load(rough, ledger):
        await more(ledger, 300)
        async with failing(rough, {"times": 6}, **BROKEN_COMMITS[broken]) as before:
            await entered(rough, before + 6)
        await more(ledger, 300)
    await rough.exact(ledger)
    assert rough.services.aggregators[0].alive


@pytest.mark.parametrize("killed", ["before the commit is carried out", "after the commit was carried out"])
async def test_kill_9_in_the_middle_of_a_commit(rough: World, killed: str) -> None:
    rough.services.start(gateways=1, aggregators=1)
    ledger = rough.ledger("middle")
    first = rough.services.aggregators[0]
    async with load(rough, ledger):
        await more(ledger, 300)
        # MongoDB blocks before it runs the command: killed at once the commit still happens after the wait,
        # with its connection closed it does not.
        blocked = {**COMMIT, "blockConnection": True, "blockTimeMS": 1500}
        if killed.startswith("before"):
            blocked["closeConnection"] = True
        async with failing(rough, {"times": 1}, **blocked) as before:
            await entered(rough, before + 1)
            await asyncio.to_thread(first.kill)
        await asyncio.to_thread(first.start)
        await more(ledger, 300)
    await rough.exact(ledger)
