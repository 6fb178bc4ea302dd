"""Objectives: what they compile to, what is refused, and what is left of a budget."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.rules.problems import InvalidRuleError
from vigie_alerting.slos.budget import budget
from vigie_alerting.slos.checking import judged
from vigie_alerting.slos.compiling import burns, ids, managed_by, windows
from vigie_alerting.slos.model import DAY_MS, Slo
from vigie_alerting.slos.slobook import Slobook, Standing
from vigie_contracts.alerts import Rule, RuleKind
from vigie_contracts.series import Kind, Labels
from vigie_contracts.tenants import TenantId
from vigie_query.promql.labels import labels_of
from vigie_query.promql.memory import MemoryReader
from vigie_runtime.errors import Busy
from vigie_runtime.expressions import Expressions

from services.alerting.tests.test_engine import NOW, Lab, states

MONTH = 30 * DAY_MS
HOUR = 3_600_000
ERRORS = 'http_requests_total{service="booking",status=~"5.."}'
TOTAL = 'http_requests_total{service="booking"}'


def slo(**more: Any) -> Slo:
    return Slo(**{"objective": 99.9, "window_ms": MONTH, "errors": ERRORS, "total": TOTAL, **more})


def rules(of: Slo, name: str = "booking") -> list[Rule]:
    return [one.rule for one in judged("acme", name, of)[0]]


def problems(of: Slo, name: str = "booking") -> dict[str, str]:
    with pytest.raises(InvalidRuleError) as e:
        judged("acme", name, of)
    return {one.field: str(one) for one in e.value.problems}


def test_an_objective_over_a_month_has_the_windows_and_burn_rates_of_the_workbook() -> None:
    made = rules(slo())
    recorded = {one.record: one for one in made if one.kind is RuleKind.RECORDING}
    assert list(recorded) == [f"slo:sli_error:ratio_rate{one}" for one in ("5m", "30m", "1h", "2h", "6h", "1d", "3d")]
    assert recorded["slo:sli_error:ratio_rate1h"].expression == (
        f"(sum(rate({ERRORS}[1h])) or sum(rate({TOTAL}[1h])) * 0) / sum(rate({TOTAL}[1h]))"
    )
    page, ticket = (one for one in made if one.kind is RuleKind.EXPRESSION)
    rate = 'slo:sli_error:ratio_rate{}{{slo="booking"}} / 0.001 > {}'
    assert page.expression == " or ".join(
        f"({rate.format(long, factor)} and {rate.format(short, factor)})"
        for long, short, factor in (("1h", "5m", "14.4"), ("6h", "30m", "6"))
    )
    assert ticket.expression == " or ".join(
        f"({rate.format(long, factor)} and {rate.format(short, factor)})"
        for long, short, factor in (("1d", "2h", "3"), ("3d", "6h", "1"))
    )
    assert (page.severity, ticket.severity) == ("critical", "warning")
    assert {one.managed_by for one in made} == {managed_by("booking")}
    assert {one.id for one in made} <= set(ids("acme", "booking"))
    assert ids("acme", "booking") != ids("beta", "booking")


def test_labels_and_channels_reach_the_rules() -> None:
    made = rules(slo(labels={"team": "web"}, by=["service"]))
    assert all(one.labels == {"team": "web", "slo": "booking"} for one in made)
    assert all("sum by (service) (" in one.expression for one in made if one.record)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (
            {"good": "ok_total", "errors": "", "total": "all_total"},
            "clamp_min(1 - (sum(rate(ok_total[1h])) or sum(rate(all_total[1h])) * 0) / sum(rate(all_total[1h])), 0)",
        ),
        (
            {"errors": "sum(rate(bad_total[$window]))", "total": "sum(rate(all_total[$window]))"},
            "(sum(sum(rate(bad_total[1h]))) or sum(sum(rate(all_total[1h]))) * 0) / sum(sum(rate(all_total[1h])))",
        ),
        (
            {"errors": "", "total": "", "metric_name": "d", "threshold": 0.3, "matchers": ["service=a"]},
            '1 - histogram_fraction(-Inf, 0.3, sum(rate(d{service="a"}[1h])))',
        ),
    ],
)
def test_what_is_good_is_said_in_several_ways(more: dict[str, Any], error: str) -> None:
    [hour] = [one for one in rules(slo(**more)) if one.record.endswith("rate1h")]
    assert hour.expression == error


@pytest.mark.parametrize(
    ("more", "field", "reason"),
    [
        ({"objective": 100.0}, "objective", "leaves no error budget"),
        ({"objective": 100 - 1e-13}, "objective", "leaves no error budget"),
        ({"objective": 0.0}, "objective", "between 0 and 100"),
        ({"objective": 100.1}, "objective", "between 0 and 100"),
        ({"objective": math.nan}, "objective", "between 0 and 100"),
        ({"window_ms": 401 * DAY_MS}, "window", "longer than measurements are kept: 400 days"),
        ({"window_ms": HOUR}, "window", "at least 1d"),
        ({"good": "x_total"}, "errors", "there is good and errors"),
        ({"errors": ""}, "errors", "there is none of them"),
        ({"total": ""}, "total", "is missing"),
        ({"threshold": 0.3}, "threshold", "belongs to metricName"),
        ({"errors": "", "total": "", "metric_name": "d"}, "threshold", "is missing"),
        ({"errors": "rate(x_total[5m])"}, "errors", "[$window]"),
        ({"errors": "sum(rate(x_total[$window]"}, "errors", "errors: "),
        ({"total": "5"}, "total", "selector of a counter"),
        ({"labels": {"slo": "x"}}, "labels.slo", "set by the objective itself"),
        ({"labels": {"team": "{{ value }}"}}, "labels.team", "no template"),
        ({"by": ["a-b"]}, "by", "no label to group by"),
        ({"runbook": "ftp://x"}, "runbook", "https://"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(more: dict[str, Any], field: str, reason: str) -> None:
    assert reason in problems(slo(**more))[field]


def test_a_name_is_one_for_paths_and_labels() -> None:
    assert "name" in problems(slo(), "a/b")
    assert "name" in problems(slo(), "")


def test_burn_rates_that_no_error_rate_can_reach_are_told_and_left_out() -> None:
    made, warnings = judged("acme", "lax", slo(objective=90.0))
    alerts = [one.rule for one in made if one.rule.kind is RuleKind.EXPRESSION]
    assert [str(one) for one in warnings] == [
        "objective: a burn rate of 14.4 would be an error rate of 144%: there is no alert on it over 1h"
    ]
    assert "14.4" not in alerts[0].expression
    made, warnings = judged("acme", "lax", slo(objective=50.0))
    assert len(warnings) == 3
    assert [one.rule.severity for one in made if one.rule.kind is RuleKind.EXPRESSION] == ["warning"]


@given(st.integers(DAY_MS, 400 * DAY_MS))
def test_whatever_the_window_rules_look_back_a_month_at_most_and_the_short_one_is_shorter(window_ms: int) -> None:
    for one in burns(window_ms):
        assert 60_000 <= one.short_ms < one.long_ms <= 32 * DAY_MS
    assert len(windows(window_ms)) <= 8


def test_a_week_burns_the_same_part_of_its_budget_before_anybody_is_told() -> None:
    month, week = ([one.factor * one.long_ms / length for one in burns(length)] for length in (MONTH, 7 * DAY_MS))
    assert month == pytest.approx([0.02, 0.05, 0.1, 0.1])
    assert week == pytest.approx(month, rel=0.02)


def test_a_fast_burn_pages_and_recovers_with_the_short_window() -> None:
    """Through the engine: what the recording rules of both windows give, and the alert on it."""
    lab = Lab(next(one for one in judged("acme", "booking", slo())[0] if one.rule.id.endswith("critical")))

    def recorded(hour: float, minutes: float, at: int) -> None:
        lab.send("slo:sli_error:ratio_rate1h", hour, at, Kind.GAUGE, slo="booking")
        lab.send("slo:sli_error:ratio_rate5m", minutes, at, Kind.GAUGE, slo="booking")

    recorded(0.02, 0.0, NOW)
    assert lab.run(NOW) == [], "an hour ago it was bad, and it is over"
    recorded(0.02, 0.05, NOW + 20_000)
    fired = lab.run(NOW + 20_000)
    assert states(fired) == ["firing"]
    assert fired[0].value == pytest.approx(20.0), "the burn rate over the long window"
    assert fired[0].labels == {"alertname": "ErrorBudgetBurn", "slo": "booking"}
    assert fired[0].annotations["summary"] == "Error budget of booking: burns 20 times as fast as it may"
    recorded(0.02, 0.001, NOW + 40_000)
    assert states(lab.run(NOW + 40_000)) == ["resolved"]


def test_what_is_left_of_a_budget() -> None:
    found = budget(slo(), (), 100.0, {MONTH: 0.00025, HOUR: 0.003, 5 * 60_000: 0.0}, NOW)
    assert found.total == 100 * 30 * 86_400
    assert found.errors == pytest.approx(found.total * 0.00025)
    assert found.allowed == pytest.approx(found.total * 0.001)
    assert found.left == pytest.approx(0.75)
    assert found.reached == pytest.approx(99.975)
    assert found.burn_rates[HOUR] == pytest.approx(3.0)
    assert found.burn_rates[5 * 60_000] == 0
    assert found.burn_rates[DAY_MS] is None
    assert found.exhausted_ms == NOW + round(0.75 * MONTH / 3), "three quarters, three times as fast as it may"


@given(st.floats(50, 99.999), st.integers(1, 400), st.none() | st.floats(0, 1), st.none() | st.floats(0, 1))
def test_a_budget_is_never_told_to_end_where_it_does_not(
    objective: float, days: int, failed: float | None, lately: float | None
) -> None:
    of = slo(objective=objective, window_ms=days * DAY_MS)
    hour = burns(of.window_ms)[0].long_ms
    errors = {length: part for length, part in ((of.window_ms, failed), (hour, lately)) if part is not None}
    found = budget(of, (), 1.0, errors, NOW)
    assert found.left <= 1
    burning = found.burn_rates[hour]
    if burning is None or burning <= 1 or found.left <= 0:
        assert found.exhausted_ms is None
    else:
        assert found.exhausted_ms is not None
        assert NOW <= found.exhausted_ms <= NOW + of.window_ms


MINUTE = 60_000
AT = NOW - NOW % MINUTE


class Measured:
    """What a PromqlReader gives: samples in memory, whose ever they are."""

    def __init__(self, series: dict[Labels, list[tuple[int, float]]]) -> None:
        self._reader = MemoryReader.of(series)

    def of(self, _tenant: str) -> MemoryReader:
        return self._reader


def counted(status: str, service: str, per_minute: float, minutes: int) -> tuple[Labels, list[tuple[int, float]]]:
    """A cumulative counter that ends now."""
    labels = labels_of({"__name__": "requests_total", "service": service, "status": status})
    return labels, [(AT - i * MINUTE // 3, 1e6 - i * per_minute / 3) for i in range(3 * minutes + 1)]


async def standing(
    of: Slo, *series: tuple[Labels, list[tuple[int, float]]], expressions: Expressions | None = None
) -> Standing:
    nothing: Any = None
    reader: Any = Measured(dict(series))
    book = Slobook(nothing, nothing, nothing, reader, expressions or Expressions())
    return await book.standing(TenantId("acme"), of, AT)


OF_SERVICES = Slo(
    objective=99.0, window_ms=DAY_MS, errors='requests_total{status="500"}', total="requests_total", by=["service"]
)


async def test_each_group_has_its_budget_by_what_was_counted_the_least_left_first() -> None:
    found = await standing(
        OF_SERVICES,
        counted("200", "good", 60, 1_440),
        counted("200", "bad", 98, 1_440),
        counted("500", "bad", 2, 1_440),
    )
    assert found.groups == 2
    bad, good = found.budgets
    assert (dict(bad.labels), dict(good.labels)) == ({"service": "bad"}, {"service": "good"})
    assert bad.total == pytest.approx(144_000, rel=0.01)
    assert bad.errors == pytest.approx(2_880, rel=0.01)
    assert bad.left == pytest.approx(-1.0, rel=0.01), "twice its budget"
    assert list(bad.burn_rates.values()) == pytest.approx([2.0] * len(bad.burn_rates), rel=0.01)
    assert (good.left, good.errors, good.exhausted_ms) == (1.0, 0.0, None), "no error was ever counted"


async def test_without_measurements_there_is_no_group_and_what_cannot_be_asked_says_why() -> None:
    assert await standing(OF_SERVICES) == Standing([], 0)
    twins = Slo(objective=99.0, window_ms=DAY_MS, errors="a_total", total='{__name__=~"a_total|b_total"}')
    both = [
        (labels_of({"__name__": name, "x": "1"}), [(AT - MINUTE, 1.0), (AT, 2.0)]) for name in ("a_total", "b_total")
    ]
    assert "labelset" in (await standing(twins, *both)).problem


async def test_a_budget_takes_no_more_of_a_thread_than_a_question_may() -> None:
    measured = counted("200", "good", 60, 1_440)
    found = await standing(OF_SERVICES, measured, expressions=Expressions(thinking_s=0.0))
    assert (found.budgets, found.problem.startswith("slo: this takes longer than 0 s")) == ((), True)


async def test_a_tenant_has_its_share_of_the_threads_and_no_more() -> None:
    expressions, release = Expressions(), threading.Event()
    acme = expressions.question("slo", TenantId("acme"))
    held = [asyncio.ensure_future(acme.run(lambda _: release.wait(10))) for _ in range(6)]
    await asyncio.sleep(0)
    try:
        with pytest.raises(Busy):
            await standing(OF_SERVICES, counted("200", "good", 60, 1_440), expressions=expressions)
    finally:
        release.set()
        await asyncio.gather(*held, return_exceptions=True)
