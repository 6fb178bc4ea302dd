"""Recording rules in the engine: what they give, at which times, and what cannot be recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vigie_alerting.engine.evaluation import EvaluationError
from vigie_alerting.recording.results import PATIENCE_MS, Recorded, recorded
from vigie_alerting.rules.checking import MAX_RECORDED, checked
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.rules.problems import InvalidRuleError
from vigie_contracts.alerts import AlertState, Rule, RuleKind
from vigie_contracts.series import Kind, Labels
from vigie_query.promql.samples import Vector

from services.alerting.tests.desk import Store, desk, rule
from services.alerting.tests.test_engine import NOW, TENANT, Lab, simple

STEP = 15_000
TICK = NOW - NOW % STEP + STEP
"""The first time of the grid after NOW."""


def recording(expression: str = "sum by (zone) (cpu)", record: str = "zone:cpu:sum", **changes: Any) -> CompiledRule:
    fields = {"id": "rec", "tenant": TENANT, "name": "rec", "kind": RuleKind.RECORDING, **changes}
    return checked(Rule(expression=expression, record=record, **fields))[0]


def values(lab: Lab) -> list[tuple[int, dict[str, float]]]:
    """Of what was recorded since the last time: when, and by labels."""
    found: list[tuple[int, dict[str, float]]] = []
    while lab.engine.recorded:
        one = lab.engine.recorded.popleft()
        by_labels = {",".join(f"{k}={v}" for k, v in sample.labels): sample.value for sample in one.samples}
        found.append((one.at_ms, by_labels))
    return found


def test_a_rule_is_recorded_once_for_each_time_of_its_grid() -> None:
    lab = Lab(recording(labels={"team": "a"}))
    lab.send("cpu", 1, TICK - 2_000, zone="x", host="1")
    lab.send("cpu", 2, TICK - 2_000, zone="x", host="2")
    lab.send("cpu", 5, TICK - 2_000, zone="y", host="3")
    lab.run(TICK - 100)
    assert values(lab) == [], "before the first time of the grid"
    assert lab.engine.next_ms() == TICK
    for at in (TICK, TICK + 30, TICK + 2_000):
        lab.send("cpu", 7, at, zone="y", host="4")
        lab.run(at)
    expected = {"team=a,zone=x": 3.0, "team=a,zone=y": 12.0}
    assert values(lab) == [(TICK, expected)], "samples that come do not make it due"
    lab.run(TICK + STEP + 40)
    assert values(lab) == [(TICK + STEP, expected)]
    rule = lab.engine.rules["rec"]
    assert (rule.error, rule.evaluated_ms, rule.due_ms) == ("", TICK + STEP, TICK + 2 * STEP)


def test_the_metric_and_its_key_are_the_rules() -> None:
    lab = Lab(recording())
    lab.send("cpu", 1, TICK - 2_000, zone="x")
    lab.run(TICK)
    one = lab.engine.recorded[0]
    assert (one.samples[0].name, one.samples[0].kind) == ("zone:cpu:sum", Kind.GAUGE)
    again = Recorded(recording(version=2, labels={"a": "b"}).rule, TICK, [])
    assert again.key == one.key, "whoever evaluates it once more adds nothing"
    assert Recorded(one.rule, TICK + STEP, []).key != one.key
    assert Recorded(recording(id="other").rule, TICK, []).key != one.key


def test_a_time_before_the_rule_was_changed_is_none_of_its() -> None:
    lab = Lab(recording(updated_at=TICK + 1_000))
    lab.send("cpu", 1, TICK - 2_000, zone="x")
    lab.run(TICK + 2_000)
    assert values(lab) == []
    lab.run(TICK + STEP)
    assert [at for at, _ in values(lab)] == [TICK + STEP]


def test_a_time_that_is_long_past_is_left_to_the_stored_windows() -> None:
    lab = Lab(recording())
    lab.send("cpu", 1, TICK - 2_000, zone="x")
    lab.run(TICK + 12_000)
    assert values(lab) == []
    assert lab.engine.rules["rec"].due_ms == TICK + STEP


def test_a_result_without_series_is_known_to_be_empty() -> None:
    lab = Lab(recording())
    lab.run(TICK)
    assert values(lab) == [(TICK, {})]


def test_a_rule_waits_for_what_another_one_records_at_the_same_time() -> None:
    lab = Lab(recording("max(zone:cpu:sum)", "all:cpu:max"))
    lab.send("zone:cpu:sum", 3, TICK - STEP, zone="x")
    lab.run(TICK)
    assert values(lab) == []
    assert (lab.engine.next_ms() or 0) <= TICK + 100
    lab.send("zone:cpu:sum", 4, TICK, zone="x")
    lab.run(TICK + 100)
    assert values(lab) == [(TICK, {"": 4.0})]
    lab.run(TICK + STEP + PATIENCE_MS - 1)
    assert values(lab) == []
    lab.run(TICK + STEP + PATIENCE_MS)
    assert values(lab) == [(TICK + STEP, {"": 4.0})], "not for ever"


def test_an_alert_sees_what_is_recorded() -> None:
    lab = Lab(recording(), simple(metric_name="zone:cpu:sum"))
    lab.send("cpu", 90, TICK - 2_000, zone="x")
    lab.run(TICK)
    (written,) = lab.engine.recorded
    lab.send(written.samples[0].name, written.samples[0].value, TICK, **dict(written.samples[0].labels))
    assert [one.labels["zone"] for one in lab.run(TICK + 50)] == ["x"]


def vector(*rows: tuple[Labels, float]) -> Vector:
    found = np.array([[value] for _, value in rows])
    return Vector([labels for labels, _ in rows], found, np.ones(found.shape, np.bool_))


def test_what_is_no_finite_number_is_left_out() -> None:
    found = vector(((("a", "1"),), 1.0), ((("a", "2"),), float("nan")), ((("a", "3"),), float("inf")))
    (one,) = recorded(recording().rule, found, [TICK])
    assert [(sample.labels, sample.value) for sample in one.samples] == [((("a", "1"),), 1.0)]


def test_own_labels_replace_those_of_the_result_and_empty_ones_take_them_away() -> None:
    rule = recording(labels={"zone": "all", "host": ""}).rule
    (one,) = recorded(rule, vector(((("__name__", "cpu"), ("host", "1"), ("zone", "x")), 1.0)), [TICK])
    assert one.samples[0].labels == (("zone", "all"),)


def test_series_that_only_their_own_labels_told_apart_are_refused() -> None:
    found = vector(((("zone", "x"),), 1.0), ((("zone", "y"),), 2.0))
    with pytest.raises(EvaluationError, match="same labels"):
        recorded(recording(labels={"zone": "all"}).rule, found, [TICK])


def test_too_many_series_are_an_error_and_none_is_recorded() -> None:
    lab = Lab(recording("cpu", "a:cpu", limit=2))
    for host in "123":
        lab.send("cpu", 1, TICK - 2_000, host=host)
    lab.run(TICK)
    assert values(lab) == [(TICK, {})]
    assert lab.engine.rules["rec"].error == "it gives 3 series, more than 2: aggregate, or raise its limit"
    assert lab.engine.failures == 1


def test_a_histogram_is_an_error() -> None:
    lab = Lab(recording("rate(seconds[5m])", "a:seconds"))
    for at in range(0, 60_000, 10_000):
        lab.send("seconds", 1, TICK - 2_000 - at, Kind.HISTOGRAM)
    lab.run(TICK)
    assert "histograms" in lab.engine.rules["rec"].error
    assert values(lab) == [(TICK, {})]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"record": "a b"}, "record"), ({"record": "a" * 201}, "record"), ({"limit": MAX_RECORDED + 1}, "limit")],
)
def test_what_could_never_be_recorded_is_refused_when_it_is_written(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRuleError) as refused:
        recording(**changes)
    assert [one.field for one in refused.value.problems] == [field]


def becomes_recording() -> Rule:
    return recording("cpu > 80", "host:cpu:high", id="r1", version=2).rule


async def test_a_rule_that_becomes_a_recording_one_has_no_alerts_any_more() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        await one.send(95)
        await one.told(AlertState.FIRING)
        await one.put(becomes_recording())
        await one.told(AlertState.FIRING, AlertState.RESOLVED)
        assert one.engine.rules["r1"].records


async def test_nor_when_it_became_one_while_nobody_looked() -> None:
    store = Store()
    async with desk(store, rule()) as one:
        await one.seen("r1")
        await one.send(95)
        await one.told(AlertState.FIRING)
    async with desk(store, becomes_recording()) as one:
        await one.told(AlertState.FIRING, AlertState.RESOLVED)
