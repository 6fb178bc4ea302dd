"""What is counted of transitions: those that were stored, whoever made them, by their reason."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from prometheus_client import generate_latest
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.engine.metrics import ENGINE_METRICS, count_transitions
from vigie_contracts.alerts import Reason, Transition
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.metrics import MetricSet

from services.alerting.tests.samples import resolved, transition


class Ledger:
    def __init__(self, *, away: bool = False) -> None:
        self.away = away

    async def store(self, _transitions: Sequence[Transition], _made: object, _also: object) -> None:
        if self.away:
            raise StoreUnavailable


class Nobody:
    async def addresses(self, *_: object) -> list[Any]:
        return []


def dispatcher(ledger: Ledger, metrics: MetricSet) -> Dispatcher:
    stored = partial(count_transitions, metrics)
    return Dispatcher(ledger, Nobody(), lambda: None, ManualClock(), stored=stored)  # type: ignore[arg-type]


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
