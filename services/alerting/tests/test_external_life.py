"""The life of alerts that others send: what a post and the time do to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from vigie_alerting import alert as alerts
from vigie_alerting import commands
from vigie_alerting.alert import Alert
from vigie_alerting.external import life
from vigie_alerting.external.life import RESOLVE_TIMEOUT_MS, Outcome
from vigie_alerting.external.posted import EXTERNAL, Posted, expression_of, rule_of
from vigie_alerting.lifecycle import CALM_MS, FLAPS
from vigie_contracts.alerts import AlertState, Reason, Severity, Transition

from .lives import START, M, S

LABELS = (("alertname", "InstanceDown"), ("instance", "web-1:9100"), ("severity", "critical"))
URL = "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1"
SAID = Posted(LABELS, {"summary": "{{ $value }} and {{ labels.instance }} stay as they are"}, START - M, None, URL)
TENANT = "acme"


class Sent:
    """An alert that is posted, and all that happened to it."""

    def __init__(self) -> None:
        self.alert: Alert | None = None
        self.now = START
        self.transitions: list[Transition] = []
        self.written = 0

    def take(self, outcome: Outcome) -> list[str]:
        if outcome.changed:  # as it is stored
            self.written += 1
            self.alert = None if outcome.after is None else alerts.decode(alerts.encode(outcome.after))
        self.transitions += outcome.transitions
        return [f"{one.to_state}:{one.reason}" for one in outcome.transitions]

    def post(self, said: Posted = SAID, after: int = 0, **changes: Any) -> list[str]:
        self.now += after
        return self.take(life.posted(self.alert, replace(said, **changes), TENANT, self.now))

    def over(self, after: int = 0) -> list[str]:
        return self.post(after=after, ends_at=self.now + after)

    def elapse(self, after: int = 0) -> list[str]:
        self.now += after
        assert self.alert is not None
        assert self.alert.external is not None
        return self.take(life.elapsed(self.alert, self.alert.external, self.now))

    @property
    def due(self) -> int | None:
        if self.alert is None or self.alert.external is None:
            return None
        return life.due(self.alert, rule_of(self.alert, self.alert.external))


def test_a_post_fires_with_all_that_it_says() -> None:
    sent = Sent()
    assert sent.post() == ["firing:condition_met"]
    [told] = sent.transitions
    assert told.labels == dict(LABELS)
    assert told.annotations == SAID.annotations, "texts of others are no templates"
    assert (told.rule_id, told.rule_name, told.severity) == (EXTERNAL, "InstanceDown", Severity.CRITICAL)
    assert (told.expression, told.detail) == ("up == 0", "up == 0 holds")
    assert told.channels == []
    assert sent.alert is not None
    assert sent.alert.external is not None
    assert (sent.alert.starts_at, sent.alert.external.since) == (START, START - M)
    assert sent.due == START + RESOLVE_TIMEOUT_MS


def test_severities_are_what_senders_write() -> None:
    def severity(text: str) -> Severity:
        labels = (("alertname", "x"), ("severity", text))
        return life.posted(None, Posted(labels, {}), TENANT, START).rule.rule.severity

    assert [severity(text) for text in ("critical", "page", "Warning", "none", "sev2")] == [
        Severity.CRITICAL, Severity.CRITICAL, Severity.WARNING, Severity.INFO, Severity.WARNING,
    ]  # fmt: skip


def test_an_alert_without_a_name_is_one_too() -> None:
    outcome = life.posted(None, Posted((("job", "backup"),), {}), TENANT, START)
    assert outcome.transitions[0].labels == {"job": "backup"}
    assert outcome.transitions[0].detail == "what its sender watches holds"


def test_a_repeat_is_written_only_when_the_end_or_a_text_moves() -> None:
    sent = Sent()
    sent.post(ends_at=START + 4 * M)
    assert sent.post(after=10 * S, ends_at=START + 4 * M) == []
    assert sent.written == 1
    assert sent.post(after=M, ends_at=START + 5 * M) == []
    assert (sent.written, sent.due) == (2, START + 5 * M)
    sent.post(ends_at=START + 3 * M)
    assert (sent.written, sent.due) == (2, START + 5 * M), "the last end that was said holds"
    sent.post(ends_at=START + 5 * M, annotations={"summary": "worse"})
    assert sent.written == 3
    sent.post(ends_at=START + 5 * M, annotations={"summary": "worse"}, starts_at=START - 2 * M)
    assert sent.alert is not None
    assert sent.alert.external is not None
    assert sent.alert.external.since == START - 2 * M, "the first start that was said"


def test_it_ends_when_its_sender_says_so() -> None:
    sent = Sent()
    sent.post()
    assert sent.over(after=M) == ["resolved:recovered"]
    assert sent.due is None
    assert sent.over(after=S) == [], "told once"


def test_it_ends_when_it_is_not_sent_again() -> None:
    sent = Sent()
    sent.post()
    sent.post(after=M)
    assert sent.due == START + M + RESOLVE_TIMEOUT_MS
    assert sent.elapse(after=RESOLVE_TIMEOUT_MS) == ["resolved:expired"]
    assert sent.transitions[-1].detail == "it was not sent again in time"


def test_the_end_of_what_nobody_knows_is_nothing() -> None:
    sent = Sent()
    assert sent.over() == []
    assert (sent.alert, sent.written) == (None, 0)


def test_one_that_comes_back_at_once_goes_on_and_later_is_another() -> None:
    sent = Sent()
    sent.post()
    sent.over(after=M)
    first = sent.transitions[0].episode
    assert sent.post(after=M, ends_at=sent.now + 2 * M) == ["firing:continued"]
    assert sent.transitions[-1].episode == first
    assert sent.due == sent.now + M, "an end of before means nothing"
    sent.over(after=S)
    assert sent.post(after=6 * M) == ["firing:condition_met"]
    assert sent.transitions[-1].episode != first


def test_an_acknowledgement_ends_by_the_clock() -> None:
    sent = Sent()
    sent.post(ends_at=START + 60 * M)
    assert sent.alert is not None
    assert sent.alert.external is not None
    made, _ = commands.acknowledge(
        sent.alert, rule_of(sent.alert, sent.alert.external), "anna", sent.now, until=START + 2 * M
    )
    sent.alert = made
    assert sent.due == START + 2 * M
    assert sent.elapse(after=2 * M) == ["firing:acknowledgement_expired"]
    assert sent.due == START + 60 * M


def test_resolved_by_hand_it_stays_so_while_it_is_sent_and_fires_again_after_its_end() -> None:
    sent = Sent()
    sent.post()
    assert sent.alert is not None
    assert sent.alert.external is not None
    sent.alert, _ = commands.resolve(sent.alert, rule_of(sent.alert, sent.alert.external), "anna", sent.now)
    assert sent.post(after=M) == []
    assert sent.over(after=S) == []
    assert sent.post(after=S) == ["firing:continued"]


def test_one_that_flaps_is_resolved_when_it_is_calm() -> None:
    sent = Sent()
    for _ in range(FLAPS - 1):
        sent.post(after=M)
        sent.over(after=S)
    assert sent.post(after=M) == ["firing:flapping"]
    assert sent.over(after=S) == []
    assert sent.due == sent.now + CALM_MS
    assert sent.elapse(after=CALM_MS) == ["resolved:calmed"]


def test_expressions_are_read_from_links_to_prometheus() -> None:
    assert expression_of(URL) == "up == 0"
    assert expression_of("") == expression_of("http://[bad") == expression_of("http://x/?" + "a=1&" * 60) == ""


class Lives(RuleBasedStateMachine):
    """Posts, ends, commands and the clock in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = Sent()

    @rule(after=st.sampled_from((0, S, M, 6 * M, -M)), lasts=st.sampled_from((None, 0, S, 4 * M, -M)))
    def post(self, after: int, lasts: int | None) -> None:
        said = None if lasts is None else self.sent.now + after + lasts
        self.sent.post(after=after, ends_at=said)

    @rule(until=st.sampled_from((None, M)))
    def acknowledge(self, until: int | None) -> None:
        alert = self.sent.alert
        if alert is None or alert.external is None or not alert.open:
            return
        end = None if until is None else max(self.sent.now, alert.seen_at) + until
        made, told = commands.acknowledge(alert, rule_of(alert, alert.external), "anna", self.sent.now, until=end)
        self.sent.alert = made
        self.sent.transitions += told

    @rule()
    def resolve(self) -> None:
        alert = self.sent.alert
        if alert is None or alert.external is None or not alert.open:
            return
        self.sent.alert, told = commands.resolve(alert, rule_of(alert, alert.external), "anna", self.sent.now)
        self.sent.transitions += told

    @rule()
    def wait(self) -> None:
        due = self.sent.due
        if due is not None:
            before = len(self.sent.transitions)
            self.sent.elapse(after=max(due - self.sent.now, 0))
            after = self.sent.due
            assert len(self.sent.transitions) > before or (after is not None and after > due), "it goes on"

    @invariant()
    def what_fires_has_an_end(self) -> None:
        alert = self.sent.alert
        assert alert is None or alert.open == (self.sent.due is not None)

    @invariant()
    def every_step_is_another_one(self) -> None:
        ids = [one.id for one in self.sent.transitions]
        assert len(ids) == len(set(ids))

    @invariant()
    def resolved_comes_after_firing(self) -> None:
        told = [one.to_state for one in self.sent.transitions if one.reason != Reason.ACKNOWLEDGED]
        for before, after in zip([AlertState.RESOLVED, *told], told, strict=False):
            assert not (before == after == AlertState.RESOLVED)

    def teardown(self) -> None:
        """Nobody sends it any more: it ends."""
        for _ in range(5):
            if (due := self.sent.due) is None:
                return
            self.sent.elapse(after=max(due - self.sent.now, 0))
        raise AssertionError("it never ends")


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
