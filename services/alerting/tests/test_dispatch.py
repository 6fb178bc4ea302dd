"""What is counted of transitions: those that were stored, whoever made them, by their reason."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from prometheus_client import generate_latest
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.engine.metrics import ENGINE_METRICS, count_transitions
from vigie_alerting.notifying.pipeline import Done, Plan
from vigie_alerting.outbox import address
from vigie_contracts.alerts import Channel, Reason, Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.metrics import MetricSet
from vigie_storage.alerts.document import Address, Notification

from services.alerting.tests.pipelines import pipeline
from services.alerting.tests.samples import resolved, transition

CHANNELS = [Channel("webhook", "https://ops.example.com")]


class Ledger:
    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.stored: list[tuple[Sequence[Transition], Sequence[Notification], object]] = []

    async def store(self, transitions: Sequence[Transition], made: Sequence[Notification], also: object) -> None:
        if self.away:
            raise StoreUnavailable
        self.stored.append((transitions, made, also))


class Rules:
    async def addresses(self, tenant: TenantId, channels: Sequence[Channel]) -> list[Address]:
        return [address(tenant, channel) for channel in channels]


def dispatcher(ledger: Ledger, metrics: MetricSet) -> Dispatcher:
    stored = partial(count_transitions, metrics)
    return Dispatcher(ledger, pipeline(channels=Rules()), lambda: None, ManualClock(), stored=stored)  # type: ignore[arg-type]


async def test_the_channels_of_a_rule_are_told_with_one_write_and_nothing_else_where_a_tenant_configured_nothing() -> (
    None
):
    ledger = Ledger()
    some = [transition(channels=CHANNELS), resolved(channels=CHANNELS)]
    made = await dispatcher(ledger, MetricSet(ENGINE_METRICS)).dispatch(some)
    assert ledger.stored == [(some, made, None)]
    assert [one.transitions for one in made] == [(some[0],), (some[1],)]
    assert len({one.queue for one in made}) == 1


async def test_stored_transitions_are_counted_by_their_reason() -> None:
    metrics = MetricSet(ENGINE_METRICS)
    some = [transition(), transition(id="e2-2"), resolved(), transition(reason="of another version")]
    await dispatcher(Ledger(), metrics).dispatch(some)
    lines = generate_latest(metrics.registry).decode().splitlines()
    name = "vigie_alerting_transitions_total"
    assert f'{name}{{reason="held"}} 2.0' in lines
    assert f'{name}{{reason="recovered"}} 1.0' in lines
    assert f'{name}{{reason="unknown"}} 1.0' in lines
    assert sum(line.startswith(name) for line in lines) == len(Reason), "every reason is there from the start"


async def test_what_was_not_stored_is_not_counted() -> None:
    metrics = MetricSet(ENGINE_METRICS)
    with pytest.raises(StoreUnavailable):
        await dispatcher(Ledger(away=True), metrics).dispatch([transition()])
    assert 'vigie_alerting_transitions_total{reason="held"} 0.0' in generate_latest(metrics.registry).decode()


class Deciding:
    """A pipeline that says when it writes."""

    def __init__(self, order: list[str]) -> None:
        self._real, self._order = pipeline(channels=Rules()), order

    async def plan(self, tenant: TenantId, some: Sequence[Transition], now_ms: int) -> Plan:
        return replace(await self._real.plan(tenant, some, now_ms), grouped=True)

    async def write(self, _plan: Plan, _session: object) -> Done:
        self._order.append("groups")
        return Done()

    def written(self, plan: Plan) -> None:
        """Nothing is known."""


async def test_what_a_step_ends_is_ended_before_a_later_step_of_the_same_transaction_begins_it_anew() -> None:
    order: list[str] = []

    class Working(Ledger):
        async def store(self, transitions: object, made: object, also: Any) -> None:
            await also(None)

    async def chains(_transitions: Sequence[Transition], _session: object) -> Sequence[Notification]:
        order.append("chains")
        return ()

    asked = Dispatcher(Working(), Deciding(order), lambda: None, ManualClock(), inside=[chains])  # type: ignore[arg-type]
    await asked.dispatch([resolved(), transition()])
    assert order == ["chains", "groups"]
