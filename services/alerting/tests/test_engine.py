"""Rules over samples: what fires, when, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import pytest
from vigie_alerting.engine.engine import Engine, run
from vigie_alerting.engine.horizon import HorizonError
from vigie_alerting.rules.compiling import CompiledRule, compiled
from vigie_contracts.alerts import AlertState, Condition, Rule, RuleKind, Transition
from vigie_contracts.series import Kind, series_key
from vigie_contracts.tenants import TenantId
from vigie_query.series import Series

NOW = 1_800_000_000_000
TENANT = TenantId("acme")


def simple(**changes: object) -> CompiledRule:
    fields = {"metric_name": "cpu", "condition": Condition.GREATER, "threshold": 80.0, **changes}
    return compiled(Rule(id="r1", tenant=TENANT, name="cpu_high", **fields))  # type: ignore[arg-type]


def expression(text: str, **changes: object) -> CompiledRule:
    fields = {"id": "r1", "name": "rule", **changes}
    return compiled(Rule(tenant=TENANT, kind=RuleKind.EXPRESSION, expression=text, **fields))  # type: ignore[arg-type]


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


def test_nothing_is_evaluated_before_something_is_due() -> None:
    lab = Lab(simple())
    lab.run(NOW)
    assert lab.engine.due(NOW + 1_000) == []
    lab.send("cpu", 1, NOW + 1_000)
    assert len(lab.engine.due(NOW + 1_000)) == 1
    lab.send("other", 1, NOW + 1_000)
    lab.run(NOW + 1_000)
    assert lab.engine.due(NOW + 1_500) == []
    assert lab.engine.next_ms() == NOW + 16_000


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


def test_a_recorded_log_gives_the_same_transitions_byte_for_byte() -> None:
    """Several rules, late samples, a clock that goes back, and a rule that is changed meanwhile."""
    first = replayed(recorded_log())
    assert len(first) >= 50
    assert {one.rule_id for one in first} == {rule.rule.id for rule in SEVERAL}
    assert {AlertState.PENDING, AlertState.FIRING, AlertState.RESOLVED} <= set(states(first))
    assert msgspec.json.encode(first) == msgspec.json.encode(replayed(recorded_log()))
    told: dict[str, Transition] = {}
    for one in first:  # a clock that goes back makes none that is older than the one before
        before = told.get(one.fingerprint)
        assert before is None or one.timestamp >= before.timestamp
        told[one.fingerprint] = one


SEVERAL = [
    expression("sum by (host) (rate(errors[1m])) > 0.1", id="rates", for_ms=2_000),
    expression("sum(increase(errors[30s])) > 10", id="sums", keep_firing_for_ms=4_000),
    expression("cpu > 80", id="levels", annotations={"summary": "{{ $labels.host }} at {{ $value | humanize }}"}),
    expression("max by (host) (cpu) / 100 > 0.9", id="ratios", interval_ms=5_000),
    expression("absent(beat)", id="silence"),
    expression("histogram_quantile(0.9, sum by (le) (rate(latency_bucket[1m]))) > 0.9", id="percentiles"),
]
Entry = tuple[int, str, float, int, Kind, str]
"""When it was read, name, value, time of the sample, kind, host."""


def recorded_log() -> list[Entry]:
    """Four minutes: half of the samples are late, some of those by more than a minute; twice the clock goes back."""
    rng = np.random.default_rng(7)
    log: list[Entry] = []
    for i in range(350):
        read = NOW + i * 700 - (5_000 if 100 <= i < 105 or 230 <= i < 260 else 0)
        late = int(rng.integers(0, 4_000)) if rng.random() < 0.5 else 0
        late *= 25 if rng.random() < 0.25 else 1
        host = f"h{rng.integers(0, 5)}"
        name, value, kind = (
            ("errors", float(rng.integers(0, 3)), Kind.COUNTER),
            ("cpu", float(rng.integers(40, 100)), Kind.GAUGE),
            ("latency", float(rng.exponential(0.4)), Kind.HISTOGRAM),
            ("beat", 1.0, Kind.GAUGE),
        )[int(rng.integers(0, 4 if i > 200 else 3))]
        log.append((read, name, value, read - late, kind, host))
    return log


def replayed(log: Iterable[Entry]) -> list[Transition]:
    """A rule is changed in the midst of it."""
    lab = Lab(*SEVERAL)
    for i, (read, name, value, at, kind, host) in enumerate(log):
        if i == 150:
            lab.put(expression("cpu > 85", id="levels"))
        lab.send(name, value, at, kind, host=host)
        lab.run(read)
    return lab.transitions
