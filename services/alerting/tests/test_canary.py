"""The canary: what it is, when it is due, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from vigie_alerting.canary import (
    CANARY,
    CANARY_LAST,
    CANARY_METRICS,
    CANARY_SECONDS,
    Canary,
    canary,
    looked_up,
    of_tenants,
    routed,
)
from vigie_alerting.notifiers.message import message
from vigie_alerting.routing.timings import Timings
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rules.shipped import CANARY_TOOK
from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.tenants import PLATFORM, TenantId, is_tenant
from vigie_publishing.publishers import NamedSamples
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.metrics import MetricSet

from services.alerting.tests.notifying.office import START, M, Office, S
from services.alerting.tests.samples import transition
from tests.kit import eventually

NOW = 1_790_000_000_000
ACME = TenantId("acme")


class At(SystemClock):
    def __init__(self, now_ms: int) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now


def test_every_replica_makes_the_same_canary_of_a_minute_and_no_tenant_has_it() -> None:
    one = canary(NOW)
    assert one == canary(NOW)
    assert one.id != canary(NOW + 60_000).id
    assert one.fingerprint != canary(NOW + 60_000).fingerprint, "the end of one is nothing to the next"
    assert one.tenant == PLATFORM
    assert not is_tenant(one.tenant)
    over = canary(NOW, NOW + 60_000)
    assert (over.to_state, over.episode, over.sequence) == (AlertState.RESOLVED, one.episode, 2)
    assert over.fingerprint == one.fingerprint


def test_groups_of_canaries_go_when_these_are_over() -> None:
    office = Office(timings=Timings(1 * S, 1 * S, 0))
    for minute in range(15):
        due = START + minute * M
        office.until(due)
        office.dispatch(canary(due - M, due), canary(due), routes=[str(minute)])
        assert len(office.groups) <= 12
    office.until(START + 15 * M)
    told = [step.to_state for message in office.messages if message.group for step in message.steps]
    assert (told.count(AlertState.FIRING), told.count(AlertState.RESOLVED)) == (15, 14)


async def test_it_waits_in_a_group_of_its_own_and_nobody_else_hears_of_it() -> None:
    async def others(_tenant: TenantId) -> Routes:
        return Routes()

    routes = await routed(others)(PLATFORM)
    [leg], [later] = routes.of(canary(NOW).labels), routes.of(canary(NOW + 60_000).labels)
    assert leg.group_labels != later.group_labels
    assert (leg.timings.group_wait_ms, leg.timings.repeat_interval_ms) == (1_000, 0)
    assert [one.type for one in routes.receiver(leg.receiver).channels] == [CANARY]
    assert not await routed(others)(ACME)
    heard: list[Transition] = []
    own = transition()
    of_tenants(heard.extend)([canary(NOW), own])
    assert heard == [own]


async def test_how_long_it_took_is_measured_and_what_is_over_is_not() -> None:
    metrics = MetricSet(CANARY_METRICS)
    sink = Canary(At(NOW + 1_250), metrics)
    channel: Any = None
    await sink.send(channel, message("n1", CANARY, [canary(NOW)], ""))
    await sink.send(channel, message("n2", CANARY, [canary(NOW - 60_000, NOW)], ""))
    measured = metrics.registry.get_sample_value
    assert measured(CANARY_LAST.name) == NOW / 1000
    assert (measured(f"{CANARY_SECONDS.name}_count"), measured(f"{CANARY_SECONDS.name}_sum")) == (1, 1.25)


async def test_one_is_sent_when_it_is_due_and_the_one_before_is_over() -> None:
    sent: list[Sequence[Transition]] = []
    samples: list[NamedSamples] = []
    forgotten: list[int] = []
    clock = SystemClock()
    flying = Canary(clock, MetricSet(CANARY_METRICS), every_ms=50)
    away = iter([True, False])

    async def dispatch(some: Sequence[Transition]) -> None:
        if next(away, False):
            raise StoreUnavailable
        sent.append(some)
        await flying.send(None, message("n", CANARY, [some[-1]], ""))  # pyright: ignore[reportArgumentType]

    async def publish(some: Sequence[NamedSamples]) -> None:
        samples.extend(some)

    async def forget(tenant: TenantId) -> None:
        assert tenant == PLATFORM
        forgotten.append(len(sent))

    task = asyncio.create_task(flying.run(dispatch, publish, forget, ACME))
    await eventually(lambda: len(samples) > 1, 5)
    flying.stop()
    await asyncio.wait_for(task, 5)
    over, fires = sent[0]
    assert (over.to_state, fires.to_state) == (AlertState.RESOLVED, AlertState.FIRING)
    assert fires.timestamp % 50 == 0
    assert over.starts_at == fires.timestamp - 50
    assert (samples[0].tenant, samples[0].samples[0].name) == ("acme", CANARY_TOOK)
    assert samples[0].key != samples[1].key
    assert forgotten == [1], "what is left of before, after the first that was stored, and no more"


async def test_its_channel_is_of_no_store() -> None:
    async def others(_notification: Any) -> Any:
        raise AssertionError("asked the store")

    class Told:
        tenant = PLATFORM
        address = type("To", (), {"key": "k"})

    told: Any = Told()
    assert (await looked_up(others)(told)).type == CANARY
