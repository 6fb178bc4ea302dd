"""What many times make of an alert is what they make of it one after the other, however many are passed over."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from vigie_alerting.alert import Acknowledgement, Alert
from vigie_alerting.engine.evaluation import Result, judge
from vigie_alerting.lifecycle import step
from vigie_alerting.rules.compiling import CompiledRule, compiled
from vigie_contracts.alerts import AlertState, Condition, Level, NoData, Rule, Severity, Transition
from vigie_query.promql.samples import Vector

LABELS = (("host", "a"),)
MINUTE_MS = 60_000

moments = st.lists(
    st.tuples(st.sampled_from([1, 20_000, MINUTE_MS, 400_000]), st.sampled_from([None, 10.0, 75.0, 85.0, 95.0])),
    min_size=1,
    max_size=60,
)
rules = st.builds(
    lambda for_ms, keep, recovery, levels, no_data: compiled(
        Rule(
            id="r1", tenant="acme", name="cpu", metric_name="cpu", condition=Condition.GREATER, threshold=80.0,
            severity=Severity.LOW, for_ms=for_ms, keep_firing_for_ms=keep, recovery_threshold=recovery, levels=levels,
            no_data=no_data,
        )
    ),
    st.sampled_from([0, 2 * MINUTE_MS]),
    st.sampled_from([0, 2 * MINUTE_MS]),
    st.sampled_from([None, 70.0]),
    st.sampled_from([[], [Level(90.0, Severity.CRITICAL)]]),
    st.sampled_from([NoData.OK, NoData.KEEP]),
)  # fmt: skip


def acknowledged(alert: Alert | None, until: int | None) -> Alert | None:
    if alert is None or alert.state is not AlertState.FIRING:
        return alert
    return replace(alert, state=AlertState.ACKNOWLEDGED, acknowledgement=Acknowledgement("ada", 1, until))


def one_by_one(
    rule: CompiledRule, alert: Alert | None, times: list[int], values: list[float | None]
) -> tuple[Alert | None, list[Transition]]:
    told: list[Transition] = []
    for at, value in zip(times, values, strict=True):
        alert, made = step(alert, rule.observe(LABELS, value), rule, at)
        told += made
    return alert, told


def together(
    rule: CompiledRule, alert: Alert | None, times: list[int], values: list[float | None]
) -> tuple[Alert | None, list[Transition]]:
    numbers = np.array([[np.nan if value is None else value for value in values]])
    found = Vector([LABELS], numbers, ~np.isnan(numbers))
    changes = judge(rule, Result(found, np.array(times)), {} if alert is None else {LABELS: alert}, set())
    if not changes:
        return alert, []
    [change] = changes
    assert change.before == alert
    return change.after, change.transitions


@given(moments, moments, rules, st.sampled_from([None, 300_000, 3_000_000]))
def test_times_that_are_judged_together_give_what_they_give_alone(
    first: list[tuple[int, float | None]],
    second: list[tuple[int, float | None]],
    rule: CompiledRule,
    until: int | None,
) -> None:
    times = np.cumsum([gap for gap, _ in first + second]).tolist()
    before: Alert | None = None
    for part, some in (first, times[: len(first)]), (second, times[len(first) :]):
        values = [value for _, value in part]
        found = together(rule, before, some, values)
        assert found == one_by_one(rule, before, some, values)
        before = acknowledged(found[0], None if until is None else some[-1] + until)
