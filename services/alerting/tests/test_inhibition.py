"""Inhibition: every set of alerts and rules against Alertmanager's definition, and the stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_alerting.inhibiting import InhibitionMuting
from vigie_alerting.inhibition import MAX_EXPRESSIONS, Inhibition, Inhibitions, Source, check_expressions
from vigie_alerting.notifying.item import Item, labels_of
from vigie_alerting.routing.matchers import Matchers, parse
from vigie_alerting.snapshots import Snapshots
from vigie_contracts.alerts import AlertState
from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import LimitReached
from vigie_query.matchers import Matcher, Operator
from vigie_runtime.clock import ManualClock

from services.alerting.tests.silences.test_preview import NOW, step

ACME = TenantId("acme")
names = st.sampled_from(["alertname", "severity", "host"])
matcher_lists = st.lists(
    st.builds(
        Matcher, names, st.sampled_from(list(Operator)), st.sampled_from(["", "a", "b", "critical", "a|b", "a.*"])
    ),
    max_size=2,
).map(tuple)
rules = st.builds(
    Inhibition,
    source=matcher_lists,
    target=matcher_lists,
    equal=st.lists(names, max_size=2, unique=True).map(tuple),
    comment=st.just(""),
)
labels = st.dictionaries(names, st.sampled_from(["a", "b", "critical", "warning"]), max_size=3)


def naive(all_: Sequence[Inhibition], firing: Mapping[str, Mapping[str, str]], target: str) -> bool:
    mine = firing[target]
    for rule in all_:
        source, aimed = Matchers(rule.source), Matchers(rule.target)
        if not aimed.match(mine):
            continue
        for fingerprint, theirs in firing.items():
            if fingerprint == target or not source.match(theirs):
                continue
            if any(theirs.get(name, "") != mine.get(name, "") for name in rule.equal):
                continue
            if source.match(mine) and aimed.match(theirs):
                continue
            return True
    return False


@settings(max_examples=300)
@given(st.lists(rules, max_size=3), st.lists(labels, max_size=6))
def test_an_alert_is_inhibited_when_the_definition_says(all_: list[Inhibition], alerts: list[dict[str, str]]) -> None:
    firing = {f"f{at}": one for at, one in enumerate(alerts)}
    made = Inhibitions((str(at), one) for at, one in enumerate(all_))
    inhibiting = made.with_sources(Source(name, one) for name, one in firing.items())
    muted = {name for name in firing if inhibiting.of(name, firing[name]) is not None}
    assert muted == {name for name in firing if naive(all_, firing, name)}
    if made.asked is not None:
        for one in firing.values():
            assert any(Matchers(rule.source).match(one) for rule in all_) <= bool(made.asked & set(one.items()))


@settings(max_examples=200)
@given(st.lists(rules, min_size=1, max_size=1), st.lists(labels, min_size=1, max_size=6))
def test_one_rule_never_mutes_all_that_fires(all_: list[Inhibition], alerts: list[dict[str, str]]) -> None:
    """Somebody is told of something: sources that are targets of each other do not inhibit each other."""
    firing = {f"f{at}": one for at, one in enumerate(alerts)}
    inhibiting = Inhibitions((str(at), one) for at, one in enumerate(all_)).with_sources(
        Source(name, one) for name, one in firing.items()
    )
    muted = {name: found for name in firing if (found := inhibiting.of(name, firing[name]))}
    sources = {found.source.fingerprint for found in muted.values()}
    assert not muted or sources - muted.keys() or all(_both(all_[0], firing[one]) for one in sources & muted.keys())


def _both(rule: Inhibition, one: Mapping[str, str]) -> bool:
    return Matchers(rule.source).match(one) and Matchers(rule.target).match(one)


def inhibition(source: str, target: str, *equal: str) -> Inhibition:
    return Inhibition(source=parse(source).all, target=parse(target).all, equal=equal)


class Stage:
    """The stage; its own store of what fires."""

    def __init__(self, *all_: Inhibition) -> None:
        self.fires: list[tuple[str, dict[str, str]]] = []
        self.reads = 0
        self.clock = ManualClock(NOW)

        async def load(_: TenantId) -> Inhibitions:
            return Inhibitions((f"i{at}", one) for at, one in enumerate(all_))

        states: Any = self
        self.muter = InhibitionMuting(Snapshots(load, "inhibitions"), states, self.clock)

    async def firing(self, _tenant: TenantId, _pairs: object) -> list[tuple[str, dict[str, str]]]:
        self.reads += 1
        return self.fires

    async def asked(self, *items: Item) -> list[str | None]:
        return [one and one.by for one in await self.muter(ACME, items, NOW)]


def item(host: str, **more: Any) -> Item:
    one = step(host, **more)
    return Item(one, labels_of(one))


DOWN = inhibition('alertname="host_down"', 'alertname!="host_down"', "host")
SOURCE = ("f1", {"alertname": "host_down", "host": "a", "severity": "critical"})


async def test_a_stored_alert_that_says_enough_mutes_others_and_is_read_once_a_second() -> None:
    stage = Stage(DOWN)
    stage.fires = [SOURCE]
    assert await stage.asked(item("a"), item("b")) == ["i0", None]
    assert await stage.asked(item("a")) == ["i0"]
    assert stage.reads == 1
    stage.fires = []
    stage.clock.advance(1.0)
    assert await stage.asked(item("a")) == [None]
    (mute,) = await Stage(DOWN).muter(ACME, [item("a")], NOW)
    assert mute is None


async def test_alerts_that_begin_together_and_those_stored_since_count_at_once() -> None:
    stage = Stage(DOWN)
    down = item("a", fingerprint="f1", rule_name="host_down", labels={"host": "a"})
    assert await stage.asked(item("a"), down) == ["i0", None]
    assert await stage.asked(item("a")) == [None], "it was judged, and not stored"
    stage.muter.stored([down.transition])
    assert await stage.asked(item("a")) == ["i0"]
    over = step("a", 0, AlertState.RESOLVED, fingerprint="f1", rule_name="host_down")
    stage.muter.stored([over])
    assert await stage.asked(item("a")) == [None]
    assert stage.reads == 1


async def test_who_has_no_rules_that_concern_an_alert_reads_nothing() -> None:
    stage = Stage()
    assert await stage.asked(item("a")) == [None]
    other = Stage(inhibition('alertname="x"', 'site="paris"'))
    assert await other.asked(item("a")) == [None]
    assert (stage.reads, other.reads) == (0, 0)


async def test_the_sentence_names_the_alert_that_says_enough() -> None:
    stage = Stage(DOWN)
    stage.fires = [SOURCE]
    (mute,) = await stage.muter(ACME, [item("a")], NOW)
    assert mute is not None
    assert (mute.why, mute.detail) == (Why.INHIBITED, "inhibited by 'i0' while host_down (f1) fires")


def test_a_rule_that_is_not_understood_any_more_mutes_nobody_and_stops_nothing() -> None:
    broken = Inhibition(source=(Matcher("host", Operator.MATCHES, "(?=a)"),), target=parse('host="a"').all)
    made = Inhibitions([("broken", broken), ("down", DOWN)])
    assert len(made) == 1
    assert made.with_sources([Source(*SOURCE)]).of("f2", {"alertname": "cpu_high", "host": "a"}) is not None


def test_the_expressions_of_all_rules_of_a_tenant_have_a_bound() -> None:
    def so_many(number: int) -> list[Inhibition]:
        return [inhibition(f'a=~"x{at}.*"', 'b=~"y|z"') for at in range(number)]  # lists of values are none

    check_expressions(so_many(MAX_EXPRESSIONS))
    check_expressions([*so_many(MAX_EXPRESSIONS), *so_many(3)])
    with pytest.raises(LimitReached, match="different regular expressions in inhibitions"):
        check_expressions(so_many(MAX_EXPRESSIONS + 1))
