"""What would have been muted: counted over the last 7 days."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.routing.matchers import parse
from vigie_alerting.silences.active import Timing, windows
from vigie_alerting.silences.preview import KEPT_S, LOOKS_BACK_MS, MAX_TRANSITIONS, Preview, Previews, fired
from vigie_alerting.silences.preview import counted as counted_of
from vigie_contracts.alerts import AlertState, Severity, Transition
from vigie_contracts.tenants import TenantId
from vigie_query.times import DAY, HOUR
from vigie_runtime.clock import ManualClock
from vigie_runtime.expressions import Expressions
from vigie_storage.alerts.ledger import Stored

ACME = TenantId("acme")
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


def counted(steps: list[Transition], *about: Any, **more: Any) -> Preview:
    return counted_of(fired(steps), *about, **more)


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
    firings = [host for host, ago, to in told if to is AlertState.FIRING and 0 <= ago <= LOOKS_BACK_MS]
    assert (found.firings, found.alerts) == (len(firings), len(set(firings)))
    assert found.muted_firings == firings.count("a") == sum(one.times for one in found.muted)


class Ledger:
    def __init__(self) -> None:
        self.steps: list[Transition] = []
        self.reads = 0

    async def since(self, _tenant: TenantId, _since: datetime, limit: int) -> list[Stored]:
        self.reads += 1
        return [Stored(datetime.fromtimestamp(0, UTC), one) for one in self.steps[-limit:]]


async def test_a_file_of_silences_reads_the_past_once_in_a_while() -> None:
    ledger, clock = Ledger(), ManualClock(NOW)
    there: Any = ledger
    previews = Previews(there, there, Expressions(), clock)
    ledger.steps = [step("a")]
    for _ in range(3):
        assert (await previews.of(ACME, HOST_A, ALWAYS, NOW)).muted_firings == 1
    assert ledger.reads == 1
    ledger.steps = [step("a", one) for one in range(MAX_TRANSITIONS + 1)]
    clock.advance(KEPT_S)
    found = await previews.of(ACME, HOST_A, ALWAYS, NOW)
    assert (found.firings, found.complete, ledger.reads) == (MAX_TRANSITIONS, False, 2)
