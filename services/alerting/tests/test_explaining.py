"""Why somebody was told, or not: one sentence and the same as data, for whatever was decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.outbox import notification
from vigie_alerting.why.explaining import By, Explanation, Outcome, explained
from vigie_contracts.alerts import AlertState, Channel, Severity, Transition
from vigie_contracts.decisions import Decision, Why
from vigie_storage.alerts.document import Address, Attempt, Notification, State, Together

from services.alerting.tests.samples import FINGERPRINT, START_MS, resolved, transition

NAMES = {"c1": "on-call"}
FIRING = transition(rule_version=3, channels=[Channel("slack", "#alerts")])
AT = datetime.fromtimestamp(START_MS / 1000 + 61, UTC)


def decision(why: Why, step: Transition = FIRING, **more: Any) -> Decision:
    fields = {"receiver": "team-a", "route": '/{team="a"}', "detail": "because", "at_ms": START_MS + 60_500, **more}
    return Decision(tenant="acme", step=step.id, fingerprint=FINGERPRINT, why=why, **fields)


def told(*steps: Transition, **more: Any) -> Notification:
    made = notification(steps, Address("slack:1", "slack", "#alerts"), START_MS + 60_000)
    return replace(made, **more)


def one(*parts: Any, steps: tuple[Transition, ...] = (FIRING,)) -> Explanation:
    decisions = [part for part in parts if isinstance(part, Decision)]
    [found] = explained(steps, decisions, [part for part in parts if isinstance(part, Notification)], NAMES)
    return found


VERDICTS = [
    (Why.SENT, "", Outcome.TOLD, "Team-a was told", By.ROUTE),
    (Why.GROUPED, "", Outcome.LATER, "Team-a is told later", By.ROUTE),
    (Why.REPEATED, "", Outcome.TOLD, "Team-a was told again", By.ROUTE),
    (Why.SILENCED, "s1", Outcome.HELD, "Team-a was not told", By.SILENCE),
    (Why.INHIBITED, "i1", Outcome.HELD, "Team-a was not told", By.INHIBITION),
    (Why.MAINTENANCE, "m", Outcome.HELD, "Team-a was not told", By.MAINTENANCE),
    (Why.INACTIVE, "night", Outcome.HELD, "Team-a was not told", By.TIME_INTERVAL),
    (Why.ESCALATED, "web", Outcome.TOLD, "Team-a was told", By.CHAIN),
    (Why.ACKNOWLEDGED, "anna", Outcome.NOT_TOLD, "Team-a was not told", By.PERSON),
    (Why.SUPERSEDED, "", Outcome.NOT_TOLD, "Team-a was not told", By.ROUTE),
    (Why.NOT_TOLD, "", Outcome.NOT_TOLD, "Team-a was not told", By.ROUTE),
    (Why.NOBODY, "", Outcome.NOT_TOLD, "Nobody was told", By.ROUTE),
    (Why.UNROUTED, "", Outcome.NOT_TOLD, "Nobody was told", By.ROUTE),
]


def test_every_verdict_has_its_sentence() -> None:
    assert {why for why, *_ in VERDICTS} == set(Why)


@pytest.mark.parametrize(("why", "by", "outcome", "begin", "kind"), VERDICTS)
def test_each_verdict_says_who_what_by_what_and_why(why: Why, by: str, outcome: Outcome, begin: str, kind: By) -> None:
    found = one(decision(why, by=by, until_ms=7))
    what = "High Error Rate (rule version 3) fires, high"
    assert found.sentence == f'{begin} that {what}, by the route /{{team="a"}}: because.'
    assert (found.outcome, found.by, found.why, found.until_ms) == (outcome, kind, why, 7)
    assert found.name == (by or '/{team="a"}')
    assert (found.receiver, found.step.rule_version) == ("team-a", 3)


@pytest.mark.parametrize(
    ("state", "outcome", "sentence"),
    [
        (
            {"state": State.SENT, "settled": AT},
            Outcome.TOLD,
            "Slack #alerts was told at 2026-09-21T14:14:21.120Z that {}: its rule names this channel.",
        ),
        (
            {"state": State.SENT, "settled": AT, "attempts": 3},
            Outcome.TOLD,
            "Slack #alerts was told at 2026-09-21T14:14:21.120Z with attempt 3 that {}: its rule names this channel.",
        ),
        (
            {"state": State.DEAD, "settled": AT, "last": Attempt("rejected", "it answered 404", AT)},
            Outcome.FAILED,
            "Slack #alerts was not told that {}, although its rule names this channel: it answered 404.",
        ),
        (
            {"attempts": 2, "last": Attempt("timeout", "it did not answer", AT)},
            Outcome.LATER,
            "Slack #alerts is about to be told that {}, because its rule names this channel: attempt 2 failed, it did "
            "not answer, and it is tried again.",
        ),
    ],
)
def test_what_became_of_a_notification(state: dict[str, Any], outcome: Outcome, sentence: str) -> None:
    found = one(told(FIRING, **state))
    assert found.sentence == sentence.format("High Error Rate (rule version 3) fires, high")
    assert (found.outcome, found.channel, found.by, found.name) == (outcome, "slack #alerts", By.RULE, "r1")


def test_a_channel_of_the_settings_and_one_of_a_receiver_say_so() -> None:
    bare = transition()
    assert "its rule names no channel, and this is one of the settings" in one(told(bare), steps=(bare,)).sentence
    grouped = one(told(FIRING, group=Together("g", "{}", "team-a", {})))
    assert "because it is a channel of team-a" in grouped.sentence
    assert (grouped.receiver, grouped.by) == ("team-a", By.ROUTE)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"to_state": AlertState.PENDING, "detail": "x > 1 holds"},
            "Nobody is told that High Error Rate (rule version 1) is pending: x > 1 holds.",
        ),
        (
            {"to_state": AlertState.INACTIVE},
            "Nobody is told that High Error Rate (rule version 1) is not pending any more: it did not come to firing.",
        ),
        (
            {"to_state": AlertState.ACKNOWLEDGED, "acknowledged_by": "anna"},
            "Nobody is told that anna has High Error Rate (rule version 1): whoever was told that it fires sees it "
            "there.",
        ),
        (
            {},
            "Nobody was told that High Error Rate (rule version 1) fires, high: its rule names no channel, no route "
            "took it, and the settings have none.",
        ),
    ],
)
def test_steps_of_which_nothing_was_decided_say_why(changes: dict[str, Any], sentence: str) -> None:
    step = transition(**changes)
    assert one(steps=(step,)).sentence == sentence


def test_a_channel_is_called_what_it_is_called() -> None:
    assert one(told(FIRING, address=Address("c1"))).channel == "channel on-call"
    assert one(told(FIRING, address=Address("gone"))).channel == "channel gone"
    assert one(told(FIRING, address=Address("default:live", "live"))).channel == "live"


def test_the_newest_comes_first_and_other_alerts_of_a_message_are_left_out() -> None:
    end, other = resolved(rule_version=3), transition(id="other-1", fingerprint="ff")
    silenced = decision(Why.SILENCED, at_ms=START_MS + 60_000)
    later = told(FIRING, other, created=AT)
    found = explained([end, FIRING], [silenced, decision(Why.SENT, other)], [later], NAMES)
    assert [(each.step.id, each.outcome) for each in found] == [
        (end.id, Outcome.NOT_TOLD),
        (FIRING.id, Outcome.LATER),
        (FIRING.id, Outcome.HELD),
    ]


@given(
    st.lists(st.sampled_from(list(Why)), max_size=5),
    st.lists(st.sampled_from(list(State)), max_size=3),
    st.sampled_from(list(AlertState)),
    st.text(max_size=20),
)
def test_every_step_is_answered_with_sentences_of_one_line(
    whys: list[Why], states: list[State], to: AlertState, text: str
) -> None:
    step = transition(to_state=to, severity=Severity.CRITICAL, rule_name=text, detail=text)
    found = explained(
        [step],
        [decision(why, step, detail=text, receiver=text, route=text) for why in whys],
        [told(step, state=state, settled=AT) for state in states],
        NAMES,
    )
    assert len(found) == max(len(whys) + len(states), 1)
    for each in found:
        assert each.sentence.endswith(".")
        assert len(each.sentence.splitlines()) == 1
        assert each.sentence == each.sentence.strip()
