"""Routes, mutes and groups on a real MongoDB: what is told, once, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.notifying.flusher import Flusher
from vigie_alerting.notifying.item import Item
from vigie_alerting.notifying.metrics import NotifyingMetrics
from vigie_alerting.notifying.muting import Mute
from vigie_alerting.notifying.pipeline import Done
from vigie_alerting.routing.model import Receiver, Route, RoutingTree
from vigie_alerting.routing.tree import Routes
from vigie_alerting.sender.failpoints import Point
from vigie_contracts.alerts import AlertState, Channel, Severity, Transition
from vigie_contracts.decisions import Why
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.alerts import groups as storing
from vigie_storage.alerts.document import Notification, notification

from services.alerting.tests.notifying.office import step
from services.alerting.tests.pipelines import pipeline
from services.alerting.tests.stage import ACME, RIVAL, Crash, Stage, crash_at

FIRING, RESOLVED, ACKNOWLEDGED = AlertState.FIRING, AlertState.RESOLVED, AlertState.ACKNOWLEDGED
OPS = Channel("webhook", "https://ops.example.com/hook")
OWN = Channel("webhook", "https://own.example.com/hook")
TREE = RoutingTree(
    route=Route(receiver="ops", group_by=["team"], group_interval="5m"),
    receivers={"ops": Receiver(channels=[OPS]), "chain": Receiver(escalation="night")},
)


class Desk:
    """A dispatcher and a flusher, on the stores of a stage; `muted` names alerts."""

    def __init__(self, stage: Stage, tree: RoutingTree | None = TREE, **more: Any) -> None:
        self.stage, self.muted = stage, set[str]()
        self.pipeline = pipeline(stage.kept, stage.channels, routes=Routes(tree), muters=[self._mutes], **more)
        self.dispatcher = Dispatcher(stage.ledger, self.pipeline, lambda: None, stage.clock)

    async def dispatch(self, *steps: Transition) -> list[Notification]:
        return await self.dispatcher.dispatch(steps)

    def flusher(self, **more: Any) -> Flusher:
        return Flusher(
            self.stage.database, self.pipeline, lambda: None,
            clock=self.stage.clock, metrics=NotifyingMetrics(), **more,
        )  # fmt: skip

    async def later(self, seconds: float, flushers: int = 1) -> list[Notification]:
        """What is told meanwhile."""
        before = {one.id for one in await self.outbox()}
        self.stage.clock.ahead_s += seconds
        await asyncio.gather(*(self._look() for _ in range(flushers)))
        return [one for one in await self.outbox() if one.id not in before]

    async def outbox(self) -> list[Notification]:
        return [notification(row) async for row in self.stage.rows.find().sort("created", 1)]

    async def whys(self, fingerprint: str) -> list[Why]:
        return [one.why for one in reversed(await self.stage.kept.decisions.of_alert(ACME, fingerprint))]

    async def _look(self) -> None:
        flusher = self.flusher()
        while await flusher.once():
            pass

    async def _mutes(self, _tenant: TenantId, items: Sequence[Item], _now_ms: int) -> list[Mute | None]:
        mute = Mute(Why.SILENCED, "s1", "silenced by anna: deploy")
        return [mute if one.transition.fingerprint in self.muted else None for one in items]


def db(fingerprint: str, sequence: int, to: AlertState, **more: Any) -> Transition:
    return step(fingerprint, sequence, to, **{"labels": {"team": "db", "host": fingerprint}, **more})


def told(notifications: Sequence[Notification]) -> list[list[str]]:
    return [[f"{one.fingerprint} {one.to_state}" for one in message.transitions] for message in notifications]


async def test_the_first_is_stored_with_its_message_and_followers_are_told_together(stage: Stage) -> None:
    desk = Desk(stage)
    [first] = await desk.dispatch(db("a", 1, FIRING))
    assert first.group is not None
    assert (first.group.key, first.group.labels, first.group.receiver) == ('{}:{team="db"}', {"team": "db"}, "ops")
    assert await desk.dispatch(db("b", 1, FIRING)) == []
    assert await desk.dispatch(db("c", 1, FIRING), db("a", 2, RESOLVED)) == []
    assert await desk.later(200) == []
    assert told(await desk.later(101)) == [["b firing", "c firing", "a resolved"]]
    assert await desk.whys("b") == [Why.GROUPED, Why.SENT]
    assert len({one.queue for one in await desk.outbox()}) == 1
    orders = [one.order for one in await desk.outbox()]
    assert orders == sorted(orders)


async def test_two_replicas_tell_what_is_due_once(stage: Stage) -> None:
    desk = Desk(stage)
    await desk.dispatch(*(db(f"a{n}", 1, FIRING, labels={"team": str(n)}) for n in range(20)))
    await desk.dispatch(*(db(f"b{n}", 1, FIRING, labels={"team": str(n)}) for n in range(20)))
    found = await desk.later(301, flushers=3)
    assert sorted(told(found)) == sorted([f"b{n} firing"] for n in range(20))


async def test_doing_it_again_tells_nothing_again(stage: Stage) -> None:
    desk = Desk(stage)
    steps = db("a", 1, FIRING, channels=[OWN]), db("b", 1, FIRING), db("a", 2, RESOLVED, channels=[OWN])
    for _ in range(2):
        await desk.dispatch(*steps)
        await desk.dispatch(*steps[2:])
    before = told(await desk.outbox())
    assert sorted(before) == [["a firing"], ["a resolved"], ["b firing"]]
    await desk.later(301)
    assert told(await desk.outbox()) == before, "the group never heard that a fires, and is not told of its end"


async def test_a_muted_firing_is_held_and_told_when_that_ends(stage: Stage) -> None:
    desk = Desk(stage, None)
    desk.muted = {"a", "b"}
    assert await desk.dispatch(db("a", 1, FIRING, channels=[OWN]), db("b", 1, FIRING, channels=[OWN])) == []
    assert await desk.later(100) == []
    assert await desk.dispatch(db("b", 2, RESOLVED, channels=[OWN])) == []
    desk.muted = set()
    assert await desk.later(0) == [], "nobody said that the silence is over"
    flusher = desk.flusher()
    flusher.reconsider(ACME)
    assert await flusher.once()
    assert told(await desk.outbox()) == [["a firing"]]
    assert told(await desk.dispatch(db("a", 2, RESOLVED, channels=[OWN]))) == [["a resolved"]]
    assert await desk.whys("a") == [Why.SILENCED, Why.SENT]
    assert await desk.whys("b") == [Why.SILENCED, Why.NOT_TOLD]
    await desk.later(3_600)
    assert not await stage.kept.groups.any(ACME), "nothing is kept of what is over"


async def test_what_fires_on_is_told_again_until_somebody_has_it(stage: Stage) -> None:
    desk = Desk(stage)
    await desk.dispatch(db("a", 1, FIRING))
    assert told(await desk.later(4 * 3_600 + 1)) == [["a firing"]]
    assert await desk.whys("a") == [Why.SENT, Why.REPEATED]
    await desk.dispatch(db("a", 2, ACKNOWLEDGED, acknowledged_by="anna"))
    assert await desk.later(9 * 3_600) == []


async def test_a_large_group_is_one_message_that_lists_a_hundred_and_counts_the_others(stage: Stage) -> None:
    desk = Desk(stage)
    await desk.dispatch(*(db(f"{n:03}", 1, FIRING) for n in range(300)))
    await desk.dispatch(*(db(f"{n:03}", 1, FIRING, severity=Severity.CRITICAL) for n in range(300, 302)))
    [first] = await desk.outbox()
    assert first.group is not None
    assert (len(first.transitions), first.group.more) == (100, 200)
    [second] = await desk.later(301)
    assert told([second]) == [["300 firing", "301 firing"]]


async def test_who_has_nobody_to_be_told_is_said_to_have_none(stage: Stage) -> None:
    desk = Desk(stage, None)
    await desk.dispatch(db("a", 1, FIRING))
    assert await desk.whys("a") == [Why.UNROUTED]
    routed = RoutingTree(default_receiver="ops", receivers=TREE.receivers)
    assert len(await Desk(stage, routed).dispatch(db("b", 1, FIRING))) == 1
    assert await desk.whys("b") == [Why.SENT]


async def test_a_chain_is_begun_with_the_steps_of_the_message(stage: Stage) -> None:
    begun: list[tuple[str, list[str]]] = []

    async def begin(_tenant: TenantId, chain: str, steps: Sequence[Transition], _session: object) -> None:
        begun.append((chain, [one.fingerprint for one in steps]))

    tree = RoutingTree(route=Route(receiver="chain", group_by=["..."]), receivers=TREE.receivers)
    desk = Desk(stage, tree, begin=begin)
    assert await desk.dispatch(db("a", 1, FIRING)) == []
    assert begun == [("night", ["a"])]
    assert await desk.whys("a") == [Why.SENT]
    await desk.dispatch(db("a", 2, RESOLVED))
    assert len(begun) == 1


async def test_groups_that_wait_for_nothing_can_be_forgotten(stage: Stage) -> None:
    tree = replace(TREE, route=replace(TREE.route, group_by=["..."], repeat_interval="0s"))
    desk = Desk(stage, tree)
    await desk.dispatch(db("a", 1, FIRING), db("b", 1, FIRING))
    await desk.later(301)
    await desk.dispatch(db("b", 2, RESOLVED))
    await stage.kept.groups.forget_idle(RIVAL)
    assert await stage.database["alert_groups"].count_documents({}) == 2
    await stage.kept.groups.forget_idle(ACME)
    [left] = await stage.database["alert_group_members"].find().to_list()
    assert left["fingerprint"] == "b"
    assert await stage.database["alert_groups"].count_documents({}) == 1


async def test_what_belongs_to_no_tenant_is_not_told_to_the_channels_of_the_settings(stage: Stage) -> None:
    assert [one.type for one in await stage.channels.addresses(ACME, [])] == ["live"]
    assert await stage.channels.addresses(PLATFORM, []) == []


@pytest.mark.parametrize("point", [Point.AFTER_GROUP_CLAIM, Point.AFTER_GROUP_STORE])
async def test_a_crash_while_groups_tell_loses_nothing_and_repeats_nothing(stage: Stage, point: Point) -> None:
    desk = Desk(stage)
    await desk.dispatch(db("a", 1, FIRING))
    await desk.dispatch(db("b", 1, FIRING))
    stage.clock.ahead_s += 301
    with pytest.raises(Crash):
        await desk.flusher(failpoint=crash_at(point)).once()
    await desk.later(timedelta(seconds=10).total_seconds())
    assert told(await desk.outbox()) == [["a firing"], ["b firing"]]


async def test_all_that_is_held_is_looked_at_when_a_mute_is_changed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "_BATCH", 2)
    desk = Desk(stage, None)
    desk.muted = set("abcde")
    await desk.dispatch(*(db(name, 1, FIRING, channels=[OWN]) for name in "abcde"))
    desk.muted = set()
    flusher = desk.flusher()
    flusher.reconsider(ACME)
    while await flusher.once():
        pass
    assert sorted(told(await desk.outbox())) == [[f"{name} firing"] for name in "abcde"]


async def test_a_tenant_that_cannot_be_told_keeps_no_other_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(stage)
    for tenant in (ACME, RIVAL):
        await desk.dispatch(db("a", 1, FIRING, tenant=tenant))
        await desk.dispatch(db("b", 1, FIRING, tenant=tenant))
    stage.clock.ahead_s += 301
    flusher = desk.flusher()
    tell = flusher._tell

    async def not_of_acme(tenant: TenantId, *more: Any) -> Done:
        if tenant == ACME:
            raise StoreUnavailable
        return await tell(tenant, *more)

    monkeypatch.setattr(flusher, "_tell", not_of_acme)
    with pytest.raises(StoreUnavailable):
        await flusher.once()
    assert [one.tenant for one in await desk.outbox() if told([one]) == [["b firing"]]] == [RIVAL]
