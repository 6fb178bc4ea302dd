"""A rule over its past does what it did when that was the present: transition by transition."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from vigie_alerting.backtest.replay import Replay
from vigie_alerting.engine.horizon import horizons
from vigie_alerting.rules.compiling import CompiledRule
from vigie_contracts.alerts import AlertState, Level, NoData, Severity, Transition
from vigie_contracts.series import Kind
from vigie_query.matchers import predicate
from vigie_query.promql.plan import Selector
from vigie_query.promql.samples import EMPTY, Samples

from services.alerting.tests.test_engine import NOW, Lab, expression, simple, states

WIDTH_MS = 10_000
Sent = list[tuple[int, str, float, str]]
"""When, name, value, host."""


def live(rule: CompiledRule, sent: Sent, until_ms: int) -> list[Transition]:
    """What the engine did, with every sample there at its time."""
    lab = Lab(rule)
    lab.run(NOW)
    times = sorted({at for at, *_ in sent} | {until_ms})
    now = NOW
    for at in times:
        while (due := lab.engine.next_ms()) is not None and now < due < at:
            lab.run(due)
            now = due
        for when, name, value, host in sent:
            if when == at:
                lab.send(name, value, at, Kind.GAUGE, host=host)
        lab.run(at)
        now = at
    return lab.transitions


def selected(selector: Selector, sent: Sent) -> Samples:
    accepts = predicate(selector.matchers)
    by_labels: dict[Any, list[tuple[int, float]]] = {}
    for at, name, value, host in sent:
        labels = (("__name__", name), ("host", host))
        if accepts(dict(labels)):
            by_labels.setdefault(labels, []).append((at, value))
    if not by_labels:
        return EMPTY
    points = [sorted(own) for own in by_labels.values()]
    bounds = np.cumsum([0, *map(len, points)]).astype(np.int64)
    times = np.array([at for own in points for at, _ in own], np.int64)
    values = np.array([value for own in points for _, value in own])
    kinds = np.zeros(len(by_labels), np.uint8)
    return Samples(list(by_labels), bounds, times, values, None, kinds)


def replayed(rule: CompiledRule, sent: Sent, until_ms: int, blocks: int = 3, **more: Any) -> list[Transition]:
    """The same rule over all of it, in some stretches."""
    replay = Replay(rule, WIDTH_MS, more.get("values", 1_000))
    data = {one.wanted.selector: selected(one.wanted.selector, sent) for one in horizons(rule.value)}
    start_ms = NOW - NOW % WIDTH_MS
    edges = [start_ms + (until_ms - start_ms) * part // blocks // WIDTH_MS * WIDTH_MS for part in range(blocks + 1)]
    made: list[Transition] = []
    for begin, end in pairwise(edges):
        made += replay.run(data, begin, end, lambda: None)
    assert replay.error == more.get("error", "")
    return made


def told(transitions: Iterable[Transition]) -> list[tuple[Any, ...]]:
    """All but the time, by alert."""
    return [
        (one.labels, one.from_state, one.to_state, one.reason, one.severity, one.value, one.sequence, one.annotations)
        for one in ordered(transitions)
    ]


def ordered(transitions: Iterable[Transition]) -> list[Transition]:
    return sorted(transitions, key=lambda one: (one.fingerprint, one.starts_at or 0, one.sequence))


def recorded(seed: int) -> Sent:
    """Twenty minutes of three hosts: hot for a while, now and then for a moment, and one falls silent."""
    rng = np.random.default_rng(seed)
    sent: Sent = []
    for i in range(1, 120):
        at = NOW + i * 10_000 + 137
        for number, host in enumerate("abc"):
            if host == "c" and 30 < i < 80:
                continue
            hot = 40 * np.sin(i / (9 + 5 * number)) + 60 + rng.integers(-15, 15)
            sent.append((at, "cpu", float(round(hot)), host))
    return sent


UNTIL = NOW - NOW % WIDTH_MS + 1_200_000
RULES = [
    simple(),
    simple(for_ms=30_000),
    simple(for_ms=25_000, keep_firing_for_ms=45_000),
    simple(recovery_threshold=60.0),
    simple(levels=[Level(90.0, Severity.CRITICAL)], severity=Severity.WARNING),
    simple(no_data=NoData.ALERT),
    simple(no_data=NoData.KEEP),
    simple(annotations={"summary": "{{ labels.host }} at {{ value }}"}),
    expression("max by (host) (cpu) > 80", for_ms=60_000),
    expression("avg(cpu) > 70 or avg(cpu) < 30"),
    expression("max_over_time(cpu[1m]) > 85"),
    expression("cpu offset 1m > 80"),
    expression("absent(cpu{host='c'})"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.text} {rule.rule.for_ms}")
def test_what_a_rule_did_is_what_its_replay_does(rule: CompiledRule) -> None:
    sent = recorded(1)
    did, does = live(rule, sent, UNTIL), replayed(rule, sent, UNTIL)
    assert AlertState.FIRING in states(did)
    assert told(does) == told(did)
    for one, other in zip(ordered(does), ordered(did), strict=True):
        # What moves because time passes is found by the engine within its interval, by the replay at the grid's times.
        assert abs(one.timestamp - other.timestamp) <= 15_000


def test_what_samples_and_durations_move_is_moved_at_the_same_millisecond() -> None:
    rule, sent = simple(for_ms=25_000, keep_firing_for_ms=45_000), recorded(3)
    did, does = live(rule, sent, UNTIL), replayed(rule, sent, UNTIL)
    assert len(did) > 10
    assert [(one.id, one.timestamp) for one in sorted(does, key=lambda one: one.id)] == [
        (one.id, one.timestamp) for one in sorted(did, key=lambda one: one.id)
    ]


def test_stretches_do_not_matter() -> None:
    sent = recorded(5)
    for rule in RULES:
        assert told(replayed(rule, sent, UNTIL, 20)) == told(replayed(rule, sent, UNTIL, 1))


def test_where_that_would_be_too_often_times_are_rounded() -> None:
    rng = np.random.default_rng(9)
    sent = [(NOW + int(at), "cpu", 70.0 + 20 * (at > 600_000), "a") for at in rng.integers(0, 1_190_000, 1_500)]
    made = replayed(expression("max(cpu) > 80"), sorted(sent), UNTIL, values=1)
    assert states(made) == [AlertState.FIRING]
    assert made[0].timestamp % WIDTH_MS == 0
    assert 0 <= made[0].timestamp - (NOW + 600_000) <= 2 * WIDTH_MS


def test_an_evaluation_that_fails_fails_alone() -> None:
    """Two series of other names give the same alert, for a while."""
    sent = [
        (NOW + i * 10_000, name, 90.0, "a")
        for i in range(1, 110)
        for name in ("cpu", "mem")
        if name == "cpu" or 50 < i < 60
    ]
    rule = expression('{__name__=~"cpu|mem", host="a"} * 1 > 80 and on(host) cpu')
    error = replayed_error(rule, sent)
    assert "same labels" in error or "duplicate" in error or "many" in error


def replayed_error(rule: CompiledRule, sent: Sent) -> str:
    replay = Replay(rule, WIDTH_MS, 1_000)
    data = {one.wanted.selector: selected(one.wanted.selector, sent) for one in horizons(rule.value)}
    made = replay.run(data, NOW - NOW % WIDTH_MS, UNTIL, lambda: None)
    assert AlertState.FIRING in states(made)
    assert 0 < replay.failures < 60
    return replay.error
