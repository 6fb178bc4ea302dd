"""Rules over samples: what fires, when, and what it costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from vigie_alerting.engine import engine as engine_module
from vigie_alerting.engine import memory
from vigie_alerting.engine.active_rule import ActiveRule
from vigie_alerting.engine.attention import NEVER
from vigie_alerting.engine.engine import Engine, run
from vigie_alerting.engine.evaluation import Change
from vigie_alerting.engine.horizon import HorizonError
from vigie_alerting.engine.watch import selected
from vigie_alerting.rules.compiling import CompiledRule, compiled
from vigie_contracts.alerts import AlertState, Condition, NoData, Rule, RuleKind, Transition
from vigie_contracts.series import Kind, series_key
from vigie_contracts.tenants import TenantId
from vigie_query.series import Series

NOW = 1_800_000_000_000
TENANT = TenantId("acme")


def simple(**changes: object) -> CompiledRule:
    fields = {"metric_name": "cpu", "condition": Condition.GREATER, "threshold": 80.0, **changes}
    return compiled(Rule(**{"id": "r1", "tenant": TENANT, "name": "cpu_high", **fields}))  # type: ignore[arg-type]


def expression(text: str, **changes: object) -> CompiledRule:
    fields = {"id": "r1", "tenant": TENANT, "name": "rule", "kind": RuleKind.EXPRESSION, **changes}
    return compiled(Rule(expression=text, **fields))  # type: ignore[arg-type]


class Lab:
    """An engine with samples sent by hand."""

    def __init__(self, *rules: CompiledRule) -> None:
        self.engine = Engine(timer=lambda: 0.0)
        for rule in rules:
            self.put(rule)
        self.transitions: list[Transition] = []

    def put(self, rule: CompiledRule) -> None:
        self.engine.put(rule, [])
        for watch in (closed := self.engine.closed()):
            self.engine.memory.open(watch, [])
        self.engine.opened(closed, NOW)

    def send(
        self, name: str, value: float, at_ms: int, kind: Kind = Kind.GAUGE, tenant: str = TENANT, **labels: str
    ) -> None:
        key = series_key(tenant, name, kind, labels)
        fingerprint = np.array([key.fingerprint], np.uint64)
        memory = self.engine.memory
        memory.advance(max(at_ms, NOW))
        homes, missing = memory.find(fingerprint)
        if len(missing):
            series = Series(key.fingerprint, name, kind, key.labels, 0, 0, 0)
            memory.learn([(TenantId(tenant), series)], missing[:0])
            homes, missing = memory.find(fingerprint)
            assert not len(missing)
        known = homes >= 0
        self.engine.take(homes[known], np.array([at_ms])[known], np.array([float(value)])[known])

    def run(self, at_ms: int) -> list[Transition]:
        made: list[Transition] = []
        for done in run(self.engine, at_ms, 10.0):
            self.engine.accept(done.rule, done.changes)
            made += [one for change in done.changes for one in change.transitions]
        self.transitions += made
        return made


def states(made: Iterable[Transition]) -> list[AlertState]:
    return [one.to_state for one in made]


def test_a_sample_beyond_the_threshold_fires_at_once_and_one_below_it_resolves() -> None:
    lab = Lab(simple())
    assert lab.run(NOW) == []
    lab.send("cpu", 79, NOW + 1_000, host="a")
    assert lab.run(NOW + 1_001) == []
    lab.send("cpu", 95, NOW + 2_000, host="a")
    (fired,) = lab.run(NOW + 2_001)
    assert (fired.to_state, fired.value, fired.labels) == (
        AlertState.FIRING,
        95,
        {"alertname": "cpu_high", "host": "a"},
    )
    lab.send("cpu", 12, NOW + 3_000, host="a")
    assert states(lab.run(NOW + 3_001)) == [AlertState.RESOLVED]


@pytest.mark.parametrize("expression_", ["max_over_time(cpu[2s]) > 80", "increase(hits[2s]) >= 3"])
def test_of_a_window_that_the_range_cuts_what_came_in_the_range_counts(expression_: str) -> None:
    """As in queries: else a range of a minute would mostly lack a part of a window."""
    lab = Lab(expression(expression_))
    lab.run(NOW)
    lab.send("cpu", 5, NOW + 1_000)
    lab.send("cpu", 95, NOW + 4_000)
    lab.send("hits", 3, NOW + 4_000, kind=Kind.COUNTER)
    assert states(lab.run(NOW + 5_000)) == [AlertState.FIRING]


def test_nothing_is_evaluated_before_something_is_due() -> None:
    lab = Lab(simple())
    lab.run(NOW)
    assert lab.engine.next_ms() == NOW + 15_000
    lab.send("cpu", 95, NOW + 1_000)
    assert [rule.id for rule in lab.engine.due(NOW + 1_000, plain=True)] == ["r1"]
    lab.send("other", 95, NOW + 1_500)
    assert lab.engine.due(NOW + 1_500, plain=True) == []


def test_samples_that_do_not_meet_the_condition_cost_no_evaluation() -> None:
    lab = Lab(simple(), simple(id="r2", metric_name="mem", condition=Condition.LESS_OR_EQUAL, threshold=5.0))
    lab.run(NOW)
    for at in range(NOW, NOW + 10_000, 100):
        for name, value in (("cpu", 80), ("mem", 5.1)):
            lab.send(name, value, at)
        assert lab.run(at) == []
    assert lab.engine.evaluations == 2
    lab.send("mem", 5, NOW + 10_000)
    assert states(lab.run(NOW + 10_000)) == [AlertState.FIRING]
    assert lab.engine.evaluations == 3
    lab.send("mem", 6, NOW + 10_100)
    assert states(lab.run(NOW + 10_100)) == [AlertState.RESOLVED]


def test_beside_an_alert_only_the_samples_of_its_series_are_looked_at() -> None:
    lab = Lab(simple(), simple(id="r2", threshold=1_000.0))
    lab.run(NOW)
    for host in "ab":
        lab.send("cpu", 5, NOW + 1_000, host=host)
    lab.send("cpu", 95, NOW + 1_000, host="hot")
    assert states(lab.run(NOW + 1_000)) == [AlertState.FIRING]
    before = lab.engine.evaluations
    for at in range(NOW + 2_000, NOW + 10_000, 100):
        lab.send("cpu", 6, at, host="a")
        lab.run(at)
    assert lab.engine.evaluations == before
    lab.send("cpu", 96, NOW + 10_000, host="b")
    assert states(lab.run(NOW + 10_000)) == [AlertState.FIRING]
    for at, host in ((11_000, "hot"), (12_000, "b")):
        lab.send("cpu", 5, NOW + at, host=host)
        assert [one.labels["host"] for one in lab.run(NOW + at)] == [host]
    before = lab.engine.evaluations
    lab.send("cpu", 6, NOW + 12_100, host="hot")
    lab.run(NOW + 12_100)
    assert lab.engine.evaluations == before, "what is resolved is as what never fired"
    lab.send("cpu", 97, NOW + 12_200, host="hot")
    assert states(lab.run(NOW + 12_200)) == [AlertState.FIRING]
    lab.engine.remove("r1")
    before = lab.engine.evaluations
    lab.send("cpu", 6, NOW + 12_300, host="hot")
    lab.run(NOW + 12_300)
    assert lab.engine.evaluations == before


def test_an_alert_of_before_a_restart_is_resolved_by_the_first_sample_of_its_series() -> None:
    lab = Lab(simple())
    lab.send("cpu", 95, NOW, host="a")
    lab.run(NOW)
    (alert,) = lab.engine.rules["r1"].alerts.values()
    other = Lab()
    other.engine.put(simple(), [alert])
    for watch in (closed := other.engine.closed()):
        other.engine.memory.open(watch, [])
    other.engine.opened(closed, NOW + 1_000)
    assert other.engine.rules["r1"].calm == NEVER
    other.send("cpu", 5, NOW + 1_000, host="a")
    assert states(other.run(NOW + 1_000)) == [AlertState.RESOLVED]


def test_rules_that_share_their_series_are_each_told_of_what_they_must_see() -> None:
    high, low = simple(), simple(id="r2", condition=Condition.LESS, threshold=10.0)
    lab = Lab(high, low, simple(id="r3", threshold=90.0))
    lab.run(NOW)
    for at, value, expected in ((1, 85, ["r1"]), (2, 50, ["r1"]), (3, 95, ["r1", "r3"]), (4, 5, ["r1", "r2", "r3"])):
        lab.send("cpu", value, NOW + at * 1_000)
        assert sorted(one.rule_id for one in lab.run(NOW + at * 1_000)) == expected
    lab.engine.remove("r1")
    lab.engine.remove("r3")
    lab.send("cpu", 50, NOW + 5_000)
    assert [one.rule_id for one in lab.run(NOW + 5_000)] == ["r2"]


@pytest.mark.parametrize(
    "text", ["cpu == 80", "cpu != 0", "cpu > bool 3", "cpu", "cpu offset 10s > 80", "cpu + 0 > 80"]
)
def test_a_condition_that_is_no_range_of_values_of_now_is_looked_at_whenever_something_comes(text: str) -> None:
    lab = Lab(expression(text))
    lab.run(NOW)
    lab.send("cpu", 80, NOW + 1_000)
    lab.run(NOW + 1_000)
    assert lab.engine.evaluations == 2


def test_what_comes_while_an_alert_is_stored_is_not_missed() -> None:
    lab = Lab(simple())
    lab.run(NOW)
    lab.send("cpu", 95, NOW + 1_000)
    (fired,) = run(lab.engine, NOW + 1_000, 1.0)
    lab.send("cpu", 10, NOW + 1_050)
    lab.engine.accept(fired.rule, fired.changes)
    assert states(lab.run(NOW + 1_100)) == [AlertState.RESOLVED]


def test_a_running_total_is_compared_and_not_its_increments() -> None:
    lab = Lab(expression("orders_total > 80"))
    lab.run(NOW)
    for i in range(9):
        lab.send("orders_total", 10, NOW + 1_000 * i, Kind.COUNTER)
        assert states(lab.run(NOW + 1_000 * i)) == ([AlertState.FIRING] if i == 8 else [])


def test_a_sample_that_crosses_does_not_wait_behind_slow_rules() -> None:
    slow = [expression(f"sum(x{i}) * {i + 1} > 1", id=f"slow{i:03}") for i in range(200)]
    lab = Lab(simple(), *slow)
    lab.run(NOW)
    for i in range(200):
        lab.send(f"x{i}", 0, NOW + 1_000)
    lab.send("cpu", 95, NOW + 1_000)
    seconds = itertools.count()
    lab.engine.timer = lambda: next(seconds) * 0.001
    done = run(lab.engine, NOW + 1_000, 0.02)
    assert [one.rule.id for one in done] == ["r1"]
    evaluated = sum(lab.engine.rules[one.rule.id].evaluated_ms == NOW + 1_000 for one in slow)
    assert 0 < evaluated < 50, "the others have their part of the time too"
    before = lab.engine.evaluations
    run(lab.engine, NOW + 1_001, 0.02)
    assert lab.engine.evaluations == before, "and then rest for as long as they took"
    assert NOW + 1_010 < (lab.engine.next_ms() or 0) <= NOW + 1_020


def test_dues_that_are_over_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MOST_STALE", 50)
    lab = Lab(simple(), expression("sum(cpu) > 1000", id="r2"))
    for i in range(300):
        lab.send("cpu", 95, NOW + i * 50)
        lab.run(NOW + i * 50)
    assert sum(map(len, lab.engine._dues.values())) < 120


def test_a_tenant_does_not_see_the_samples_of_another() -> None:
    lab = Lab(simple())
    lab.send("cpu", 95, NOW, tenant="other")
    assert lab.run(NOW) == []


def test_a_rule_over_increments_counts_each_of_them() -> None:
    lab = Lab(expression("sum(increase(errors[5m])) > 2.5"))
    for i in range(3):
        lab.send("errors", 1, NOW + i * 10, Kind.COUNTER, service=f"s{i}")
        assert states(lab.run(NOW + i * 1_000)) == ([AlertState.FIRING] if i == 2 else [])
    assert states(lab.run(NOW + 306_000)) == [AlertState.RESOLVED]


def test_a_histogram_is_found_by_its_classic_series() -> None:
    lab = Lab(expression("histogram_quantile(0.95, sum by (le) (rate(latency_bucket[5m]))) > 1"))
    for i in range(100):
        lab.send("latency", 0.1 if i < 90 else 4.0, NOW + i, Kind.HISTOGRAM, service="booking")
    assert states(lab.run(NOW + 1_000)) == [AlertState.FIRING]


def test_a_series_that_falls_silent_fires_where_that_is_asked_for() -> None:
    lab = Lab(simple(no_data=NoData.ALERT))
    lab.send("cpu", 10, NOW, host="a")
    lab.run(NOW)
    assert lab.run(NOW + 290_000) == []
    (fired,) = lab.run(NOW + 310_000)
    assert (fired.to_state, fired.reason, fired.labels["host"]) == (AlertState.FIRING, "no_data", "a")


def test_for_is_waited_without_samples() -> None:
    lab = Lab(simple(for_ms=30_000))
    lab.send("cpu", 95, NOW)
    assert states(lab.run(NOW)) == [AlertState.PENDING]
    assert lab.engine.next_ms() == NOW + 15_000
    assert lab.run(NOW + 15_000) == []
    assert states(lab.run(NOW + 30_000)) == [AlertState.FIRING]


def test_a_sample_of_a_clock_that_is_ahead_is_seen_when_it_is_that_time() -> None:
    lab = Lab(simple())
    lab.run(NOW)
    lab.send("cpu", 95, NOW + 3_000)
    made = [transition for at in range(NOW, NOW + 3_001, 100) for transition in lab.run(at)]
    assert [one.timestamp for one in made] == [NOW + 3_000]


def test_a_changed_rule_keeps_its_windows_and_a_removed_one_looks_at_nothing() -> None:
    lab = Lab(simple())
    lab.send("cpu", 85, NOW)
    lab.put(simple(threshold=90.0))
    assert lab.run(NOW) == []
    lab.put(simple(threshold=84.0))
    assert states(lab.run(NOW + 1)) == [AlertState.FIRING]
    removed = lab.engine.remove("r1")
    assert removed is not None
    assert len(removed.alerts) == 1
    lab.send("cpu", 99, NOW + 10)
    assert lab.run(NOW + 1_000) == []


@pytest.mark.parametrize("text", ["x @ 100 > 1", "x offset -5m > 1", "rate(x[60d]) > 1"])
def test_a_rule_that_looks_where_nothing_is_kept_is_refused(text: str) -> None:
    engine = Engine()
    with pytest.raises(HorizonError):
        engine.put(expression(text), [])
    assert not engine.rules


def test_a_failing_evaluation_is_noted_and_changes_no_alert() -> None:
    lab = Lab(expression('label_replace(x, "host", "same", "", "") > 1'))
    lab.send("x", 5, NOW, host="a")
    assert states(lab.run(NOW)) == [AlertState.FIRING]
    lab.send("x", 5, NOW + 1_000, host="b")
    assert lab.run(NOW + 1_000) == []
    assert "same label" in lab.engine.rules["r1"].error
    assert len(lab.engine.rules["r1"].alerts) == 1


def test_the_same_samples_give_the_same_transitions() -> None:
    def once() -> list[Transition]:
        lab = Lab(expression("sum by (host) (rate(errors[1m])) > 0.5", for_ms=2_000))
        rng = np.random.default_rng(7)
        for i in range(400):
            at = NOW + i * 500
            lab.send("errors", float(rng.integers(0, 3)), at, Kind.COUNTER, host=f"h{rng.integers(0, 5)}")
            lab.run(at)
        return lab.transitions

    first = once()
    assert len(first) >= 10
    assert first == once()


def test_a_bug_in_the_evaluation_of_one_rule_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(expression("broken > 1"), simple(name="fine", id="r2"))
    judge = Engine.judge

    def bug(self: Engine, rule: ActiveRule, *more: Any) -> list[Change]:
        if rule.id == "r1":
            raise ZeroDivisionError
        return judge(self, rule, *more)

    monkeypatch.setattr(Engine, "judge", bug)
    lab.send("broken", 5, NOW)
    lab.send("cpu", 95, NOW)
    assert states(lab.run(NOW)) == [AlertState.FIRING]
    assert "ZeroDivisionError" in lab.engine.rules["r1"].error


def test_an_evaluation_that_takes_too_long_is_given_up() -> None:
    lab = Lab(expression("sum(rate(errors[5m])) > 1"))
    seconds = iter(range(1_000))
    lab.engine.timer = lambda: float(next(seconds))
    lab.send("errors", 5, NOW, Kind.COUNTER)
    assert lab.run(NOW) == []
    assert "takes longer than 1 s" in lab.engine.rules["r1"].error


def test_when_there_is_too_much_to_do_every_rule_gets_its_turn() -> None:
    names = [f"r{i}" for i in range(9)]
    lab = Lab(*(expression(f"sum(x{name}) > 1", id=name) for name in names))
    times: dict[str, int] = dict.fromkeys(names, 0)
    for turn in range(12):
        now = NOW + turn * 20_000
        seconds = itertools.count()
        lab.engine.timer = lambda: next(seconds) * 0.01  # noqa: B023
        before = {name: lab.engine.rules[name].evaluated_ms for name in names}
        run(lab.engine, now, 0.08)
        for name in names:
            times[name] += lab.engine.rules[name].evaluated_ms != before[name]
    assert min(times.values()) >= max(times.values()) - 1
    assert max(times.values()) < 12


def test_series_that_are_nobodys_are_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_NOBODYS", 10)
    own = memory.Memory()
    for i in range(100):
        own.learn([], np.array([i + 1], np.uint64))
    found, missing = own.find(np.array([100, 1], np.uint64))
    assert found.tolist() == [-1, -1]
    assert missing.tolist() == [1]


def test_a_distribution_that_was_not_kept_is_read_from_what_is_stored() -> None:
    lab = Lab(simple())
    lab.send("cpu", 10, NOW, host="a")
    key = series_key(TENANT, "cpu", Kind.GAUGE, {"host": "a"})
    series = Series(key.fingerprint, "cpu", Kind.GAUGE, key.labels, 0, 0, 0)
    for text, is_new in (("avg_over_time(cpu[5m]) > 1", False), ("quantile_over_time(0.9, cpu[5m]) > 1", True)):
        lab.engine.put(expression(text, id=text), [])
        for watch in lab.engine.closed():
            held = lab.engine.memory.hold([watch], selected(watch, series))
            assert (len(held[watch.depth]) == 1) is is_new
            lab.engine.memory.open(watch)
    depths = {one.inputs[0][1].depth for one in lab.engine.rules.values()}
    assert [depth.sketched for depth in sorted(depths)] == [False, True]
