"""Alerting is killed at every step of its pipeline, alone and as one of several: a ledger says what must be told."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest
from vigie_alerting.sender.failpoints import VARIABLE, Point
from vigie_standalone.embedded.process import Process

from tests.chaos.alerts import (
    AlertLedger,
    Crossings,
    differences,
    drained,
    left_believing,
    make_routes,
    make_rules,
    repeats,
    told,
    unexplained,
)
from tests.chaos.ledger import listed
from tests.integration.world import World
from tests.kit.wait import eventually, unique
from tests.kit.webhooks import receiver

pytestmark = [pytest.mark.connected, pytest.mark.fault, pytest.mark.timeout(420)]

DIES_S = 60.0
"""How long a process may live that dies at a step of its pipeline, with alerts all the time."""
REPLICAS = (1, 2, 3)
POINTS = tuple(point for point in Point if point is not Point.AFTER_POST)
"""Webhooks are not edited: nobody gets to that one here."""
CROSSINGS = 3
"""Hosts at a time, so that several replicas have something to do."""


class Deaths:
    """Replicas that die, each at a step of its own, and are replaced."""

    def __init__(self, world: World) -> None:
        self._services = world.services
        self.at: list[float] = []
        """Seconds of `time.monotonic`, at most one look late."""

    async def at_each_step(self, replicas: int) -> None:
        """So many replicas at a time; one of them dies at each step, at one of the first times that it gets there: one
        by itself at every step, several at every second one."""
        points = list(enumerate(POINTS, replicas))
        if replicas > 1:
            points = points[replicas % 2 :: 2]
        await asyncio.gather(*(self._one_after_the_other(points) for _ in range(replicas)))

    async def _one_after_the_other(self, points: list[tuple[int, Point]]) -> None:
        while points:
            number, point = points.pop(0)
            environment = {VARIABLE: f"{point}@{1 + number % 3}"}
            process = await asyncio.to_thread(self._services.alerting, environment, launch=False)
            process.launch()
            await eventually(partial(_dead, process), DIES_S)
            assert process.returncode == -9, process.log_tail()
            self.at.append(time.monotonic())


def _dead(process: Process) -> bool:
    return not process.alive


async def test_a_crash_at_any_step_loses_nothing_repeats_one_and_keeps_the_order(rough: World) -> None:
    """With one, two and three replicas in turn, on the same rules and alerts: most of what a test of its own for each
    would take is the start of everything else."""
    await asyncio.to_thread(rough.services.start, gateways=1, aggregators=1, alertings=1)
    ledger, alerts = rough.ledger("alerts"), AlertLedger(unique("alerts").replace("-", "_"))
    deaths, first = Deaths(rough), rough.services.alertings[0]
    with receiver() as webhook, receiver() as groups, receiver() as chain:
        await make_rules(rough.services.urls[first.name], alerts, webhook.url)
        await make_routes(rough.services.urls[first.name], groups.url, chain.url)
        first.kill()
        async with rough.sender(ledger) as sender:
            crossings = Crossings(sender, rough.database, rough.services.tenant, alerts)
            running = asyncio.create_task(crossings.run(at_once=CROSSINGS))
            for replicas in REPLICAS:
                await deaths.at_each_step(replicas)
            await asyncio.to_thread(rough.services.alerting)
            crossings.stop()
            await running
        await drained(rough.database, rough.services.tenant)
        found, deliveries = await told(rough.database, rough.services.tenant), webhook.deliveries
        by_group, by_chain = groups.deliveries, chain.deliveries
    assert len(deaths.at) == 2 * len(POINTS)
    wrong = differences(alerts, found, deliveries)
    assert not wrong, listed(wrong)
    assert by_group, "groups told nothing"
    assert by_chain, "the chain told nothing"
    assert not left_believing(by_group)
    assert not left_believing(by_chain)
    for heard in (deliveries, by_group, by_chain):
        assert not unexplained(heard, deaths.at)
        assert repeats(heard).total() <= len(deaths.at) * CROSSINGS, "each time what one process had on its way"
