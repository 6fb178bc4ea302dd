"""A backtest over what was stored does what the live engine did while it came: transition by transition."""

from __future__ import annotations

import time
from typing import Any

import httpx2 as httpx
import pytest
from vigie_alerting.backtest.backtester import Backtester
from vigie_alerting.engine.start import RunningEngine
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rules.compiling import compiled
from vigie_contracts.alerts import AlertState, Rule, Transition
from vigie_contracts.tenants import TenantId
from vigie_query.promql.parsing import parse
from vigie_query.promql.queries import Query, answer
from vigie_query.promql.samples import Vector
from vigie_runtime.clock import SystemClock

from tests.integration import test_alerting_engine
from tests.integration.test_alerting_engine import Engines
from tests.integration.world import DEADLINE_S
from tests.kit import eventually, unique

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]
engines = test_alerting_engine.engines

STEP_MS = 10_000
VALUES = {
    "a": [20.0] * 4 + [95.0] * 8 + [30.0] * 4 + [85.0] * 3 + [20.0] * 11,
    "b": [20.0] * 10 + [95.0] * 3 + [20.0] * 6 + [99.0] * 8 + [10.0] * 3,
}


class Behind(SystemClock):
    """The system's clock some time ago, which is told when to go on."""

    behind_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() - self.behind_ms

    def become(self, now_ms: int) -> None:
        self.behind_ms = super().now_ms() - now_ms


async def no_routes(_tenant: TenantId) -> Routes:
    return Routes()


async def sent(engines: Engines, running: RunningEngine, probe: Rule, name: str, *, step: int, at_ms: int) -> None:
    """A sample of each series of that time, which the engine has looked at."""
    url = engines.world.services.gateway_urls[0]
    metrics = [
        {"name": name, "type": "gauge", "value": values[step], "labels": {"host": host}, "timestamp": at_ms}
        for host, values in VALUES.items()
    ]
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{url}/api/metrics/batch", json={"metrics": metrics})
    assert answer.status_code < 300, answer.text
    engine = running.engine

    def looked_at() -> bool:
        rule = engine.rules[probe.id]
        [(horizon, watch)] = rule.inputs
        newest = engine.memory.read(watch, horizon, at_ms + 1_000)
        assert newest.times.tolist() == [at_ms] * len(VALUES)
        assert rule.evaluated_ms >= at_ms
        assert all(one.newest_ms < at_ms or one.evaluated_ms >= at_ms for one in engine.rules.values())
        return True

    await eventually(looked_at, DEADLINE_S, retry_on=(AssertionError,))


def told(transitions: list[Transition]) -> list[tuple[Any, ...]]:
    return [
        (one.labels, one.from_state, one.to_state, one.reason, one.severity, one.value, one.sequence, one.annotations)
        for one in ordered(transitions)
    ]


def ordered(transitions: list[Transition]) -> list[Transition]:
    return sorted(transitions, key=lambda one: (one.fingerprint, one.starts_at or 0, one.sequence))


async def test_a_backtest_does_what_the_live_engine_did(engines: Engines) -> None:
    name = unique("load").replace("-", "_")
    clock = engines.clock = Behind()
    begin_ms = (int(time.time() * 1000) - 900_000) // STEP_MS * STEP_MS + 3_000
    clock.become(begin_ms)
    rules = [
        engines.rule(f"max by (host) ({name}) > 80", annotations={"summary": "{{ labels.host }} at {{ value }}"}),
        engines.rule(f"{name} > 80", for_ms=40_000),
        engines.rule(f"{name} > 80", keep_firing_for_ms=30_000),
        engines.rule(f"max_over_time({name}[1m]) > 90"),
        engines.rule(f"avg({name}) > 50", for_ms=20_000),
    ]
    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        for rule in rules:
            await engines.put(rule)
        await eventually(lambda: len(running.engine.rules) == len(rules), DEADLINE_S)
        await eventually(lambda: not running.engine.closed(), DEADLINE_S)
        steps = len(VALUES["a"])
        at_ms = begin_ms
        for step in range(steps):
            # On a slow machine a step may take longer than the time that it stands for.
            at_ms = max(at_ms, clock.now_ms() // STEP_MS * STEP_MS + 3_000) + STEP_MS
            clock.become(at_ms)
            await sent(engines, running, rules[0], name, step=step, at_ms=at_ms)

        end_ms = at_ms + STEP_MS

        async def counted() -> bool:
            text = f"sum(count_over_time({name}[1h]))"
            found = await answer(engines.reader.of(engines.tenant), Query(text, parse(text), end_ms, end_ms))
            assert isinstance(found.value, Vector)
            assert found.value.values.tolist() == [[steps * len(VALUES)]]
            return True

        await eventually(counted, DEADLINE_S, retry_on=(AssertionError,))
        did = {rule.id: await engines.transitions(rule) for rule in rules}
        tester = Backtester(engines.reader, no_routes, (), clock)
        done, _ = await tester.run(engines.tenant, [compiled(rule) for rule in rules], begin_ms, end_ms)
        for one in done:
            live = did[one.rule.rule.id]
            assert not one.error
            assert AlertState.RESOLVED in {step.to_state for step in live}
            assert told(one.transitions) == told(live), one.rule.text
            for mine, theirs in zip(ordered(one.transitions), ordered(live), strict=True):
                # The engine's clock goes in steps: what comes late, or lasts, is found a step later.
                assert abs(mine.timestamp - theirs.timestamp) < 2 * STEP_MS
