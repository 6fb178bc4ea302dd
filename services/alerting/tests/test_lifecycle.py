"""The life of an alert, by example; `test_lifecycle_model.py` says what holds for all of them."""

import msgspec
import pytest
from msgspec.structs import replace
from vigie_alerting import alert as alerts
from vigie_alerting import commands
from vigie_alerting.lifecycle import CALM_MS, DEDUPLICATION_MS, FLAPS, amend, due_ms, step, withdraw
from vigie_contracts.alerts import Level, NoData, Reason, Severity

from .lives import LABELS, START, Life, M, S, rule

CRITICAL = [Level(95.0, Severity.CRITICAL)]


def fired(**changes: object) -> Life:
    life = Life(rule(**changes))
    life.see(90)
    return life


def test_what_never_holds_is_nothing_to_remember() -> None:
    life = Life(rule())
    assert (life.see(80), life.see(None), life.alert) == ([], [], None)


def test_without_for_it_fires_at_once_and_resolves_when_it_holds_no_more() -> None:
    life = Life(rule())
    assert life.see(90) == ["firing:condition_met"]
    assert life.see(91) == []
    assert life.see(80) == ["resolved:recovered"]
    first, last = life.transitions
    assert first.id == f"{first.fingerprint}-{START + 15 * S}-1"
    assert (first.from_state, first.starts_at, first.ends_at) == (None, START + 15 * S, None)
    assert (last.id, last.from_state) == (f"{first.episode}-2", "firing")
    assert (last.starts_at, last.ends_at, last.value) == (START + 15 * S, START + 45 * S, 80)


def test_with_for_it_is_pending_first() -> None:
    life = Life(rule(for_ms=M))
    assert life.see(90) == ["pending:condition_met"]
    assert life.wait(90, 45 * S) == []
    assert life.see(90) == ["firing:held"]
    assert life.transitions[1].detail == "cpu > 80 has held for 1m, the value is 90"


def test_what_began_and_ended_while_nobody_looked_is_told_with_its_own_times() -> None:
    values = [70, 90, 95, 90, 70, 70]
    live, late = Life(rule(for_ms=15 * S)), Life(rule(for_ms=15 * S))
    for value in values:
        live.see(value)
    late.wait(70, 0)  # the service is away, and reads the log when it is back
    for value in values:
        late.see(value)
    assert [one.to_state for one in late.transitions] == ["pending", "firing", "resolved"]
    assert msgspec.json.encode(late.transitions) == msgspec.json.encode(live.transitions)


def test_what_does_not_last_is_told_to_nobody() -> None:
    life = Life(rule(for_ms=M))
    assert life.see(90) + life.see(70) == ["pending:condition_met", "inactive:not_held"]
    assert life.see(70) == []
    assert life.alert is None, "and is forgotten"


def test_it_fires_on_for_as_long_as_the_rule_says() -> None:
    life = fired(keep_firing_for_ms=M)
    assert life.wait(70, M) == []
    assert life.see(90) == [], "and from anew when it held in between"
    assert life.wait(70, M) == []
    assert life.see(70) == ["resolved:recovered"]


def test_it_recovers_only_beyond_the_recovery_threshold() -> None:
    life = Life(rule(recovery_threshold=70.0))
    assert life.see(75) == [], "above it, and never fired"
    assert life.see(90) == ["firing:condition_met"]
    assert life.wait(75, M) == []
    assert life.see(70) == ["resolved:recovered"]


@pytest.mark.parametrize(
    ("no_data", "pending", "firing"),
    [
        (NoData.OK, ["inactive:no_data"], ["resolved:no_data"]),
        (NoData.KEEP, [], []),
        (NoData.ALERT, [], []),
    ],
)
def test_no_data_means_what_the_rule_says(no_data: NoData, pending: list[str], firing: list[str]) -> None:
    life = Life(rule(for_ms=M, no_data=no_data))
    life.see(90)
    assert life.see(None) == pending
    assert fired(no_data=no_data).wait(None, M) == firing


def test_missing_data_fires_when_it_is_to() -> None:
    life = Life(rule(no_data=NoData.ALERT))
    assert life.see(None) == ["firing:no_data"]
    assert life.see(70) == ["resolved:recovered"]


def test_time_of_which_nothing_is_known_does_not_count() -> None:
    life = Life(rule(for_ms=M, no_data=NoData.KEEP))
    assert life.see(90) == ["pending:condition_met"]
    assert life.wait(None, 10 * M) == []
    assert life.see(90) == []
    assert life.wait(90, M) == ["firing:held"]


def test_a_worse_severity_counts_at_once_and_takes_back_the_acknowledgement() -> None:
    life = fired(levels=CRITICAL)
    life.alert, made = commands.acknowledge(life.alert, life.rule, "ana", life.now)
    life.add(made)
    assert life.see(96) == ["firing:severity_changed"]
    last = life.transitions[-1]
    assert (last.previous_severity, last.severity, last.from_state) == ("warning", "critical", "acknowledged")
    assert life.alert is not None
    assert life.alert.acknowledgement is None


def test_a_milder_severity_counts_when_it_lasts() -> None:
    life = Life(rule(levels=CRITICAL))
    life.see(96)
    for _ in range(20):
        assert life.see(90) == [], "to and fro is no news"
        assert life.see(96) == []
    assert life.wait(90, CALM_MS) == []
    assert life.see(90) == ["firing:severity_changed"]
    assert life.transitions[-1].severity == "warning"


def test_again_within_five_minutes_is_the_same_episode() -> None:
    life = fired(for_ms=0)
    life.see(70)
    assert life.wait(70, DEDUPLICATION_MS - 30 * S) == []
    assert life.see(90) == ["firing:continued"]
    assert len({one.episode for one in life.transitions}) == 1
    assert [one.sequence for one in life.transitions] == [1, 2, 3]
    assert life.see(70) == ["resolved:recovered"]


def test_later_it_is_another_one() -> None:
    life = fired()
    life.see(70)
    life.wait(70, DEDUPLICATION_MS)
    assert life.alert is None
    assert life.see(90) == ["firing:condition_met"]
    assert len({one.episode for one in life.transitions}) == 2


def test_of_another_severity_it_is_another_one() -> None:
    life = fired(levels=CRITICAL)
    life.see(70)
    assert life.see(96) == ["firing:condition_met"]
    assert len({one.episode for one in life.transitions}) == 2


def test_again_but_not_for_long_enough_leaves_it_resolved() -> None:
    life = Life(rule(for_ms=M))
    assert life.wait(90, 75 * S) == ["pending:condition_met", "firing:held"]
    assert life.see(70) == ["resolved:recovered"]
    assert life.see(90) + life.see(70) == ["pending:condition_met", "inactive:not_held"]
    assert life.wait(90, 75 * S) == ["pending:condition_met", "firing:continued"]


def test_what_flaps_fires_on_until_it_is_calm() -> None:
    life = Life(rule())
    steps = [step for _ in range(100) for step in life.see(90) + life.see(70)]
    assert len(steps) == 2 * FLAPS - 1
    assert steps[-1] == "firing:flapping"
    assert life.wait(70, CALM_MS - 15 * S) == []
    assert life.see(70) == ["resolved:calmed"]


def test_flapping_between_severities_is_flapping_too() -> None:
    life = Life(rule(levels=CRITICAL))
    steps = [s for _ in range(50) for value in (90, 70, 96, 70) for s in life.see(value)]
    assert sum(step.startswith("firing") for step in steps) <= FLAPS + 1


def test_two_people_who_acknowledge_at_once() -> None:
    life = fired()
    life.alert, made = commands.acknowledge(life.alert, life.rule, "ana", life.now, note="on it")
    assert life.add(made) == ["acknowledged:acknowledged"]
    with pytest.raises(commands.TakenError, match="ana has had it since 2025-11-24T16:00:15"):
        commands.acknowledge(life.alert, life.rule, "ben", life.now)
    life.alert, made = commands.acknowledge(life.alert, life.rule, "ana", life.now, note="on it")
    assert made == [], "the same again"
    assert (life.transitions[-1].actor, life.transitions[-1].note) == ("ana", "on it")
    assert life.see(70) == ["resolved:recovered"]


def test_an_acknowledgement_is_given_back_or_expires() -> None:
    life = fired()
    life.alert, made = commands.acknowledge(life.alert, life.rule, "ana", life.now, until=life.now + M)
    assert life.add(made) == ["acknowledged:acknowledged"]
    assert life.transitions[-1].acknowledged_until == life.now + M
    assert life.wait(90, M) == ["firing:acknowledgement_expired"]
    life.alert, made = commands.acknowledge(life.alert, life.rule, "ben", life.now)
    life.alert, made = commands.unacknowledge(life.alert, life.rule, "ana", life.now)
    assert life.add(made) == ["firing:unacknowledged"]
    life.alert, made = commands.unacknowledge(life.alert, life.rule, "ana", life.now)
    assert made == []
    with pytest.raises(commands.InvalidExpiryError):
        commands.acknowledge(life.alert, life.rule, "ana", life.now, until=life.now)


def test_what_is_resolved_by_hand_stays_so_and_is_told_anew_when_it_goes_on() -> None:
    life = fired()
    life.alert, made = commands.resolve(life.alert, life.rule, "ana", life.now, note="known")
    assert life.add(made) == ["resolved:resolved_by_hand"]
    assert commands.resolve(life.alert, life.rule, "ben", life.now)[1] == []
    assert life.wait(90, DEDUPLICATION_MS - 15 * S) == []
    assert life.see(90) == ["firing:condition_met"], "nobody is left unpaged"
    assert len({one.episode for one in life.transitions}) == 2


def test_what_does_not_fire_cannot_be_acknowledged() -> None:
    life = Life(rule(for_ms=M))
    life.see(90)
    for command in (commands.acknowledge, commands.unacknowledge, commands.resolve):
        for one in (life.alert, None):
            with pytest.raises(commands.NotFiringError):
                command(one, life.rule, "ana", life.now)


@pytest.mark.parametrize("jump", [-3_600 * S, 3_600 * S, 10**11])
def test_a_clock_that_jumps_fires_nothing_early(jump: int) -> None:
    life = Life(rule(for_ms=5 * M))
    life.see(90)
    assert life.see(90, after=jump) == []
    assert life.wait(90, 3 * M) == []


@pytest.mark.parametrize("jump", [-3_600 * S, 3_600 * S])
def test_a_clock_that_jumps_resolves_nothing_early(jump: int) -> None:
    life = fired(keep_firing_for_ms=10 * M)
    life.see(70)
    assert life.see(70, after=jump) == []
    assert [one.timestamp for one in life.transitions] == sorted(one.timestamp for one in life.transitions)


def test_late_data_takes_back_the_reason() -> None:
    life = fired()
    life.alert, made = amend(life.alert, life.rule, life.now, 70.0)
    assert life.add(made) == ["resolved:amended"]
    life.alert, made = amend(life.alert, life.rule, life.now)
    assert made == [], "once"
    life = fired()
    life.see(70)
    life.alert, made = amend(life.alert, life.rule, life.now + M)
    assert life.add(made) == ["resolved:amended"], "also when it is over"
    assert (made[0].from_state, made[0].ends_at) == ("resolved", life.now)
    life = Life(rule(for_ms=M))
    life.see(90)
    assert life.add(amend(life.alert, life.rule, life.now)[1]) == ["inactive:amended"]
    assert amend(None, life.rule, life.now) == (None, [])


def test_a_rule_that_goes_takes_its_alerts_along() -> None:
    life = fired()
    assert life.add(withdraw(life.alert, life.rule, Reason.RULE_REMOVED, life.now)[1]) == ["resolved:rule_removed"]
    life = Life(rule(for_ms=M))
    life.see(90)
    assert life.add(withdraw(life.alert, life.rule, Reason.RULE_CHANGED, life.now)[1]) == ["inactive:rule_changed"]
    assert withdraw(None, life.rule, Reason.RULE_REMOVED, life.now) == (None, [])


def test_an_expression_without_a_comparison_fires_for_what_it_gives() -> None:
    life = Life(rule(expression="cpu > 80 and on (host) load > 4", kind="expression"))
    assert life.see(90) == ["firing:condition_met"]
    assert life.see(None) == ["resolved:recovered"]
    assert life.transitions[-1].value == 90, "the last one that there was"


def test_a_transition_holds_all_that_a_message_needs() -> None:
    made = rule(
        labels={"team": "{{ $labels.host }}-team", "empty": "{{ labels.nope }}"},
        annotations={"summary": "{{ $labels.host }} of {{ $labels.team }}: {{ $value | humanize }} %"},
        owner="platform",
        runbook="https://runbooks.example/cpu",
        version=7,
    )
    life = Life(made)
    life.see(90.5)
    one = life.transitions[0]
    assert one.labels == {"alertname": "cpu_high", "host": "web-1", "team": "web-1-team"}
    assert one.annotations == {"summary": "web-1 of web-1-team: 90.5 %"}
    assert (one.expression, one.rule_name, one.rule_version) == ("cpu > 80", "cpu_high", 7)
    assert (one.owner, one.runbook, one.value) == ("platform", "https://runbooks.example/cpu", 90.5)


def test_identity_is_tenant_rule_and_series() -> None:
    assert alerts.fingerprint("t", "r", LABELS) == alerts.fingerprint("t", "r", LABELS)
    others = [("t2", "r", LABELS), ("t", "r2", LABELS), ("t", "r", ()), ("tr", "", LABELS), ("", "tr", LABELS)]
    assert len({alerts.fingerprint(*other) for other in [("t", "r", LABELS), *others]}) == 6


def test_a_stored_alert_is_small_and_of_a_known_form() -> None:
    life = fired(levels=CRITICAL)
    assert life.alert is not None
    stored = alerts.encode(life.alert)
    assert len(stored) < 400
    assert alerts.decode(stored) == life.alert
    with pytest.raises(alerts.UnknownFormError):
        alerts.decode(alerts.encode(replace(life.alert, form=2)))
    with pytest.raises(msgspec.ValidationError):
        alerts.decode(b"\x80")


def test_it_says_when_it_must_be_looked_at() -> None:
    life = Life(rule(for_ms=5 * M, interval_ms=30 * S))
    assert due_ms(life.alert, life.rule) is None
    life.see(90)
    assert due_ms(life.alert, life.rule) == life.now + 2 * M, "what passes unseen does not count"
    life = fired()
    assert due_ms(life.alert, life.rule) is None, "it fires until something is seen"
    life.alert, _ = commands.acknowledge(life.alert, life.rule, "ana", life.now, until=life.now + 7 * M)
    assert due_ms(life.alert, life.rule) == life.now + 7 * M
    life.see(70)
    assert due_ms(life.alert, life.rule) == life.now + DEDUPLICATION_MS


def test_steps_do_not_change_what_they_are_given() -> None:
    life = fired()
    before = life.alert
    assert before is not None
    stored = alerts.encode(before)
    step(before, life.rule.observe(LABELS, 1), life.rule, life.now + M)
    assert alerts.encode(before) == stored
