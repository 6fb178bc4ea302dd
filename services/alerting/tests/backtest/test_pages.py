"""How often somebody would have been told: by routes, groups and mutes, at the times of that past."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from vigie_alerting.api.preview.schemas import Preview
from vigie_alerting.backtest.backtester import Backtest
from vigie_alerting.backtest.episodes import episodes, fired
from vigie_alerting.backtest.pages import Pages, Told
from vigie_alerting.notifying.item import Item
from vigie_alerting.notifying.muting import Judge, Mute
from vigie_alerting.routing.model import Receiver, Route, RoutingTree
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rules.compiling import compiled
from vigie_contracts.alerts import AlertState, Channel, Rule, RuleKind, Severity, Transition, transition_id
from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId
from vigie_runtime.expressions import Check, ExpressionTooSlow

from services.alerting.tests.samples import START_MS, transition

MINUTE = 60_000
HOUR = 60 * MINUTE
HOOK = Channel("webhook", "https://example.com/hook")


def life(number: int, begin_ms: int, end_ms: int | None, **more: Any) -> list[Transition]:
    """An alert that fires then, and is resolved; `host` tells it from others."""
    fingerprint = f"{number:016x}"
    labels = {"host": f"h{number}", **more.pop("labels", {})}
    fields = {"fingerprint": fingerprint, "labels": labels, "starts_at": begin_ms, "runbook": "", **more}
    made = [
        transition(
            id=transition_id(fingerprint, begin_ms, 1), episode=f"{fingerprint}-{begin_ms}", sequence=1,
            from_state=None, timestamp=begin_ms, **fields,
        )
    ]  # fmt: skip
    if end_ms is not None:
        made.append(
            transition(
                id=transition_id(fingerprint, begin_ms, 2), episode=f"{fingerprint}-{begin_ms}", sequence=2,
                from_state=AlertState.FIRING, to_state=AlertState.RESOLVED, timestamp=end_ms, ends_at=end_ms, **fields,
            )
        )  # fmt: skip
    return made


def tree(**more: Any) -> Routes:
    route = Route(receiver="team", group_by=["service"], group_interval="5m", repeat_interval="4h", **more)
    return Routes(RoutingTree(route=route, receivers={"team": Receiver(channels=[HOOK])}))


def told(
    steps: Sequence[Transition], routes: Routes | None = None, judges: Sequence[Judge] = (), until_ms: int = 0,
    check: Check = lambda: None,
) -> Pages:  # fmt: skip
    steps = sorted(steps, key=lambda one: (one.timestamp, one.sequence))
    run = Told(TenantId("acme"), Routes() if routes is None else routes, judges, check)
    return run.run(steps, until_ms or steps[-1].timestamp + MINUTE)


def test_channels_of_a_rule_are_told_of_each_step() -> None:
    steps = [step for n in range(3) for step in life(n, START_MS + n, START_MS + HOUR, channels=[HOOK, HOOK])]
    pages = told(steps)
    assert (pages.total, dict(pages.by_receiver), pages.unrouted) == (6, {"webhook": 6}, 0)
    assert pages.by_rule == {"r1": 6}


def test_what_nobody_is_told_of_is_counted() -> None:
    pages = told([step for n in range(3) for step in life(n, START_MS, START_MS + HOUR)])
    assert (pages.total, pages.unrouted) == (0, 3)


def test_a_group_tells_the_first_at_once_and_what_joins_together() -> None:
    begins = [START_MS, START_MS + MINUTE, START_MS + 2 * MINUTE]
    steps = [
        step for n, at in enumerate(begins) for step in life(n, at, START_MS + 20 * MINUTE, severity=Severity.WARNING)
    ]
    pages = told(steps, tree(), until_ms=START_MS + HOUR)
    # At once, five minutes later, and the end of all of them.
    assert (pages.total, dict(pages.by_receiver)) == (3, {"team": 3})


def test_what_still_fires_is_told_again() -> None:
    pages = told(life(1, START_MS, None), tree(), until_ms=START_MS + 9 * HOUR)
    assert pages.total == 3


def test_a_mute_holds_what_fires_and_at_its_end_it_is_told() -> None:
    until_ms = START_MS + HOUR

    def silence(_: Item, at_ms: int) -> Mute | None:
        return Mute(Why.SILENCED, "s1", "quiet", until_ms) if at_ms < until_ms else None

    short, long = life(1, START_MS, START_MS + 30 * MINUTE), life(2, START_MS + MINUTE, START_MS + 2 * HOUR)
    pages = told([*short, *long], tree(), [silence], until_ms + 3 * HOUR)
    assert pages.muted == {"silenced": 2}
    assert pages.total == 2
    direct = [replace(step, channels=[HOOK]) for step in (*short, *long)]
    pages = told(direct, None, [silence], until_ms + 3 * HOUR)
    assert (pages.total, pages.muted) == (2, {"silenced": 2})


def test_when_the_time_is_over_what_is_known_by_then_is_told() -> None:
    calls = itertools.count()

    def check() -> None:
        if next(calls) > 20:
            raise ExpressionTooSlow("preview", 30.0)

    pages = told(life(1, START_MS, None), tree(), until_ms=START_MS + 400 * HOUR, check=check)
    assert 2 < pages.total < 20
    assert not pages.complete


def test_episodes_are_told_with_their_times() -> None:
    steps = [*life(1, START_MS, START_MS + HOUR), *life(1, START_MS + 2 * HOUR, None), *life(2, START_MS, None)]
    found = episodes(steps)
    assert len(found) == len(fired(found)) == 3
    first, second, _ = found
    assert (first.began_ms, first.fired_ms, first.ended_ms) == (START_MS, START_MS, START_MS + HOUR)
    assert first.firing_ms(START_MS + 9 * HOUR) == HOUR
    assert (second.ended_ms, second.firing_ms(START_MS + 3 * HOUR)) == (None, HOUR)
    assert first.value == 0.075


def test_what_is_no_finite_number_is_told_as_none() -> None:
    rule = compiled(Rule(id="r1", tenant="acme", name="endless", kind=RuleKind.EXPRESSION, expression="1 / zero > 5"))
    steps = life(1, START_MS, None, value=math.inf)
    done = Backtest(rule, START_MS, START_MS + HOUR, whole=True, transitions=steps, series=1)
    shown = Preview.of([done], Pages(), (START_MS, START_MS + HOUR), [], 10).model_dump(mode="json", by_alias=True)
    [episode] = shown["rules"][0]["episodes"]
    assert (episode["value"], episode["steps"][0]["value"], episode["endedAt"]) == (None, None, None)
    assert shown["rules"][0]["from"] == shown["from"]
    assert shown["complete"]
