"""What rules missed is made of them in its order, and of those only that are rules of this process still."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from vigie_alerting.engine.active_rule import ActiveRule
from vigie_alerting.engine.catching_up import CatchUp
from vigie_alerting.engine.engine import Evaluated
from vigie_contracts.alerts import AlertState
from vigie_runtime.clock import ManualClock

from services.alerting.tests.test_engine import NOW, Lab, expression, simple


class Missing:
    """A rule that fires, of which the last 40 s are missing; in them the value fell."""

    def __init__(self) -> None:
        self.lab, self.lock = Lab(simple(interval_ms=1_000)), asyncio.Lock()
        self.lab.send("cpu", 95, NOW)
        self.lab.run(NOW)
        self.lab.send("cpu", 5, NOW + 20_000)
        self.rule = self.lab.engine.rules["r1"]
        self.rule.waiting = True
        self.settled: list[AlertState] = []
        nobody: Any = None
        self.catch_up = CatchUp(
            self.lab.engine, self.lock, self._settle, self._stored, reader=nobody, clock=ManualClock(NOW + 40_000)
        )

    async def _settle(self, done: Sequence[Evaluated]) -> None:
        assert all(one.rule.waiting for one in done), "evaluated before it has the alerts of then"
        for one in done:
            self.settled += [made.to_state for change in one.changes for made in change.transitions]
            self.lab.engine.accept(one.rule, one.changes)

    async def _stored(self) -> bool:
        return False

    async def run(self, rule: ActiveRule | None = None) -> list[AlertState]:
        await self.catch_up.run([rule or self.rule])
        return self.settled


async def test_a_rule_is_evaluated_when_it_has_the_alerts_of_what_it_missed() -> None:
    missing = Missing()
    assert await missing.run() == [AlertState.RESOLVED]
    assert not missing.rule.waiting


async def test_what_an_alert_has_seen_is_not_told_again() -> None:
    """What is kept of a rule may be of before its last alerts were stored."""
    missing = Missing()
    lab, missing.rule.waiting = missing.lab, False
    lab.engine.opened([watch for _, watch in missing.rule.inputs], NOW + 20_000)
    for at_ms, value in ((20_000, 5), (30_000, 95), (38_000, 5)):
        lab.send("cpu", value, NOW + at_ms)
        assert lab.run(NOW + at_ms)
    missing.rule.evaluated_ms = NOW  # as it was kept
    missing.rule.waiting = True
    assert await missing.run() == []


@pytest.mark.parametrize("why", ["removed", "closed"])
async def test_nothing_is_made_of_a_rule_that_is_gone_or_not_open(why: str) -> None:
    missing = Missing()
    if why == "removed":
        missing.lab.engine.remove("r1")
    else:
        missing.lab.engine.memory.close()
    assert await missing.run() == []
    assert missing.rule.waiting


@pytest.mark.parametrize("missed_s", [12, 40])
async def test_rules_of_one_form_catch_up_together_each_with_what_it_missed(missed_s: int) -> None:
    lab = Lab(*(expression(f"max_over_time({name}[1s]) > 80", id=name, interval_ms=5_000) for name in "abcd"))
    for name in "abcd":
        lab.send(name, 5, NOW)
    lab.run(NOW)
    for name, at_ms, value in (("b", 4_500, 95), ("c", 4_900, 82), ("d", 2_000, 99)):
        lab.send(name, value, NOW + at_ms)
        lab.send(name, 5, NOW + 11_900)
    nobody: Any = None
    told: list[tuple[str, AlertState, float | None]] = []

    async def settle(done: Sequence[Evaluated]) -> None:
        told.extend(
            (one.rule.id, made.to_state, made.value) for one in done for c in one.changes for made in c.transitions
        )

    async def stored() -> bool:
        return False

    clock = ManualClock(NOW + missed_s * 1_000)
    catch_up = CatchUp(lab.engine, asyncio.Lock(), settle, stored, reader=nobody, clock=clock)
    for rule in lab.engine.rules.values():
        rule.waiting = True
    await catch_up.run(list(lab.engine.rules.values()))
    fired = [one for one in told if one[1] is AlertState.FIRING]
    assert fired == [("b", AlertState.FIRING, 95), ("c", AlertState.FIRING, 82)], "the windows of two of them end then"
    assert not any(rule.waiting for rule in lab.engine.rules.values())
