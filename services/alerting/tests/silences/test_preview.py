"""What would have been muted: counted over the last 7 days."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.routing.matchers import parse
from vigie_alerting.silences.active import Timing, windows
from vigie_alerting.silences.preview import LOOKS_BACK_MS, counted
from vigie_contracts.alerts import AlertState, Severity, Transition
from vigie_query.times import DAY, HOUR

NOW = 1_790_000_100_000
ALWAYS = Timing(NOW)
HOST_A = parse('host="a"').all


def step(host: str = "a", ago: int = HOUR, to: AlertState = AlertState.FIRING, **more: Any) -> Transition:
    fields: dict[str, Any] = {
        "id": f"{host}-{ago}", "fingerprint": host, "tenant": "acme", "rule_id": "r1", "rule_name": "cpu_high",
        "from_state": None, "to_state": to, "timestamp": NOW - ago, "reason": "held", "labels": {"host": host},
        "severity": Severity.HIGH,
    }  # fmt: skip
    return Transition(**{**fields, **more})


def test_firings_of_the_last_week_that_fit_are_counted() -> None:
    steps = [
        step("a", 8 * DAY),
        step("a", 3 * DAY),
        step("a", 2 * DAY, AlertState.RESOLVED),
        step("b", 2 * DAY),
        step("a", DAY),
        step("c", HOUR, rule_id="r2"),
    ]
    found = counted(steps, HOST_A, ALWAYS, NOW)
    assert (found.alerts, found.rules, found.firings) == (3, 2, 4)
    (muted,) = found.muted
    assert (muted.fingerprint, muted.times, muted.first_ms, muted.last_ms) == ("a", 2, NOW - 3 * DAY, NOW - DAY)
    assert (found.muted_rules, found.muted_firings) == (1, 2)
    assert found.everything(HOST_A) == ""


def test_matchers_see_alertname_and_severity() -> None:
    assert counted([step()], parse('alertname="cpu_high",severity="high"').all, ALWAYS, NOW).muted_firings == 1


def test_what_recurs_mutes_in_its_times_only_as_if_it_had_always_been_there() -> None:
    timing = Timing(NOW, None, "FREQ=DAILY;BYHOUR=0", "UTC", HOUR)
    midnight = NOW - NOW % DAY
    steps = [step("a", NOW - one) for one in (midnight - DAY, midnight - DAY + 2 * HOUR, midnight - 2 * DAY + HOUR - 1)]
    spans = windows(timing, NOW - LOOKS_BACK_MS, NOW)
    inside = [one for one in steps if any(begin <= one.timestamp < end for begin, end in spans)]
    assert counted(steps, HOST_A, timing, NOW).muted_firings == len(inside) > 0


def test_muting_all_that_fired_of_several_rules_is_told() -> None:
    matchers = parse('host=~"a|b"').all
    both = [step("a"), step("b", rule_id="r2")]
    assert "all 2 alerts of 2 rules" in counted(both, matchers, ALWAYS, NOW).everything(matchers)
    assert counted([*both, step("c")], matchers, ALWAYS, NOW).everything(matchers) == ""
    assert counted([step("a"), step("b")], matchers, ALWAYS, NOW).everything(matchers) == "", (
        "one rule is no everything"
    )
    assert "narrows" in counted([], parse('host=~".+"').all, ALWAYS, NOW).everything(parse('host=~".+"').all)


def test_alerts_that_the_caller_does_not_see_are_not_counted() -> None:
    found = counted([step("a"), step("b")], HOST_A, ALWAYS, NOW, sees=lambda labels: labels["host"] == "b")
    assert (found.alerts, len(found.muted)) == (1, 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-HOUR, 9 * DAY), st.sampled_from(list(AlertState)))))
def test_no_more_is_muted_than_fired(told: list[tuple[str, int, AlertState]]) -> None:
    found = counted([step(host, ago, to) for host, ago, to in told], HOST_A, ALWAYS, NOW)
    fired = [host for host, ago, to in told if to is AlertState.FIRING and 0 <= ago <= LOOKS_BACK_MS]
    assert (found.firings, found.alerts) == (len(fired), len(set(fired)))
    assert found.muted_firings == fired.count("a") == sum(one.times for one in found.muted)
