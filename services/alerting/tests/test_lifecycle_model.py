"""The specification of the life cycle: what holds after every step of every life, whatever is observed and done."""

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from vigie_alerting import alert as alerts
from vigie_alerting import commands
from vigie_alerting.alert import Alert
from vigie_alerting.lifecycle import CALM_MS, DEDUPLICATION_MS, FLAPS, Step, amend, patience_ms, step
from vigie_contracts.alerts import AlertState, Level, NoData, Reason, Severity, Transition

from . import lives
from .lives import LABELS, START, M, S

OPEN = (AlertState.FIRING, AlertState.ACKNOWLEDGED)
BEGINS = (Reason.HELD, Reason.CONDITION_MET, Reason.CONTINUED, Reason.FLAPPING, Reason.NO_DATA)
VALUES = (None, 60.0, 75.0, 80.0, 85.0, 90.0, 96.0, float("nan"), float("inf"))
PAUSES = (0, 1, 5 * S, 15 * S, 15 * S, 30 * S, 60 * S, 4 * M, 6 * M, 40 * M, -1, -10 * M)
Input = Callable[[Alert | None], Step]


def run(given: Input, alert: Alert | None) -> Step:
    """A command that is refused changes nothing."""
    try:
        return given(alert)
    except commands.CommandError:
        return alert, []


class Lives(RuleBasedStateMachine):
    """One alert, observed and commanded."""

    def __init__(self) -> None:
        super().__init__()
        self.alert: Alert | None = None
        self.inputs: list[Input] = []
        self.made: list[Transition] = []

    @initialize(
        for_ms=st.sampled_from((0, 0, 30 * S, 5 * M)),
        keep=st.sampled_from((0, 0, 0, 2 * M)),
        recovery=st.sampled_from((None, 70.0)),
        no_data=st.sampled_from(NoData),
        levels=st.sampled_from(([], [Level(95.0, Severity.CRITICAL)])),
    )
    def begin(self, **changes: Any) -> None:
        self.rule = lives.rule(
            for_ms=changes["for_ms"],
            keep_firing_for_ms=changes["keep"],
            recovery_threshold=changes["recovery"],
            no_data=changes["no_data"],
            levels=changes["levels"],
            annotations={"summary": "{{ labels.host }} at {{ value | humanize }}"},
        )
        self.now = self.latest = START
        self.held: int | None = None
        """For how long the condition has held, as far as that was seen: the model of `for`."""
        self.by_hand: int | None = None
        """When it was resolved by hand, while the condition goes on."""
        self.endings = 0
        """By hand or amended: these are not damped."""

    def feed(self, given: Input) -> list[Transition]:
        self.inputs.append(given)
        self.alert, made = run(given, self.alert)
        self.made += made
        return made

    # What is observed, and done.

    @rule(value=st.sampled_from(VALUES), pause=st.sampled_from(PAUSES))
    def observe(self, value: float | None, pause: int) -> None:
        self.now += pause
        if self.alert is None:  # nothing remembers the time: the engine's evaluations of a rule do not go back
            self.now = max(self.now, self.latest)
        now, seen = self.now, self.rule.observe(LABELS, value)
        made = self.feed(lambda alert: step(alert, seen, self.rule, now))
        self.note(value, seen.active)
        self.judge(value, seen.active, seen.holding, made)
        if self.alert is not None:  # an episode that follows in the same millisecond starts in the next
            self.latest = max(self.latest, self.alert.seen_at)

    @rule(times=st.integers(2, 12), on=st.sampled_from((85.0, 96.0)), off=st.sampled_from((None, 60.0)))
    def flap(self, times: int, on: float, off: float | None) -> None:
        for _ in range(times):
            self.observe(on, 15 * S)
            self.observe(off, 15 * S)

    @rule(value=st.sampled_from((60.0, 85.0)), length=st.sampled_from((M, 6 * M)))
    def go_on(self, value: float, length: int) -> None:
        for _ in range(length // (30 * S)):
            self.observe(value, 30 * S)

    @rule(value=st.sampled_from((85.0, 96.0)), length=st.sampled_from((6 * M, 40 * M, -10 * M)))
    def jump(self, value: float, length: int) -> None:
        self.observe(value, 15 * S)
        self.observe(value, length)

    @rule()
    def begin_twice_at_once(self) -> None:
        for value in (85.0, 60.0, 85.0):
            self.observe(value, 0)

    @rule(by=st.sampled_from(("ana", "ben")), lasting=st.sampled_from((None, 0, M, 10 * M)))
    def acknowledge(self, by: str, lasting: int | None) -> None:
        now, until = self.now, None if lasting is None else self.now + lasting
        before = self.alert.acknowledgement if self.alert else None
        made = self.feed(lambda alert: commands.acknowledge(alert, self.rule, by, now, until=until))
        if before is not None and before.by != by:
            assert made == [], "the first one has it"
        self.seen(now)
        again = self.feed(lambda alert: commands.acknowledge(alert, self.rule, by, now, until=until))
        assert again == [], "the same again changes nothing"

    @rule(by=st.sampled_from(("ana", "ben")))
    def unacknowledge(self, by: str) -> None:
        now = self.now
        self.feed(lambda alert: commands.unacknowledge(alert, self.rule, by, now))
        self.seen(now)

    @rule(by=st.sampled_from(("ana", "ben")))
    def resolve(self, by: str) -> None:
        now = self.now
        if self.feed(lambda alert: commands.resolve(alert, self.rule, by, now)):
            self.endings += 1
            self.by_hand = max(self.latest, now)
        self.seen(now)

    @precondition(lambda self: self.alert is not None)
    @rule()
    def late_data(self) -> None:
        now = self.now
        if made := self.feed(lambda alert: amend(alert, self.rule, now)):
            assert [one.reason for one in made] == [Reason.AMENDED]
            self.endings += 1
            self.held = None
        self.seen(now)
        assert self.feed(lambda alert: amend(alert, self.rule, now)) == [], "once"

    # The model.

    def seen(self, now: int) -> None:
        """Time that passes in a command was looked at too."""
        if self.alert is not None:
            if self.held is not None:
                self.held += min(max(now - self.latest, 0), patience_ms(self.rule))
            self.latest = max(self.latest, now)

    def note(self, value: float | None, active: bool) -> None:
        no_data = self.rule.rule.no_data
        if value is None and no_data is NoData.KEEP:
            self.latest = max(self.latest, self.now)
            return
        holds = active or (value is None and no_data is NoData.ALERT)
        passed = min(max(self.now - self.latest, 0), patience_ms(self.rule))
        self.latest = max(self.latest, self.now)
        self.held = None if not holds else 0 if self.held is None else self.held + passed
        if not holds:
            self.by_hand = None
        elif self.by_hand is not None and self.latest - self.by_hand >= DEDUPLICATION_MS:
            self.held, self.by_hand = 0, None  # it begins anew

    def judge(self, value: float | None, active: bool, holding: bool, made: list[Transition]) -> None:
        """What the observation must have led to."""
        made_rule = self.rule.rule
        if value is None and made_rule.no_data is NoData.KEEP:
            assert all(one.reason is Reason.ACKNOWLEDGEMENT_EXPIRED for one in made), "nothing is known"
            return
        fires = self.alert is not None and self.alert.open
        if self.held is None:
            assert self.alert is None or self.alert.state is not AlertState.PENDING
            if not made_rule.keep_firing_for_ms and not (holding and value is not None):
                assert not fires or (self.alert and self.alert.flapping), "it is over, and said so"
        elif self.by_hand is not None and self.latest - self.by_hand < DEDUPLICATION_MS:
            assert not fires, "somebody said that it is over"
        elif self.held >= made_rule.for_ms:
            assert fires, "nobody is left unpaged"
        for one in made:
            if one.reason is Reason.SEVERITY_CHANGED and one.severity is Severity.CRITICAL:
                assert one.to_state is AlertState.FIRING, "nobody acknowledged that"
            begins = one.to_state is AlertState.FIRING and one.from_state not in OPEN
            if begins and self.by_hand is None and one.reason is not Reason.NO_DATA:
                assert self.held is not None
                assert self.held >= made_rule.for_ms, "not before it held for long enough"
        if fires:
            self.by_hand = None

    @invariant()
    def resolved_follows_firing_and_ends_each_episode(self) -> None:
        told: dict[str, bool] = {}
        for one in self.made:
            if one.to_state in OPEN:
                told[one.episode] = True
            elif one.to_state is AlertState.RESOLVED:
                assert one.episode in told, "never resolved before it fired"
                assert told[one.episode] or one.reason is Reason.AMENDED, "never resolved twice"
                told[one.episode] = False
            else:
                assert not told.get(one.episode), "what fires is resolved, and not forgotten"
        present = self.alert.episode if self.alert else None
        assert not any(open_ and episode != present for episode, open_ in told.items()), "each that fired was resolved"
        if self.alert is not None:
            assert told.get(self.alert.episode, False) is self.alert.open

    @invariant()
    def steps_are_numbered_chained_and_in_order(self) -> None:
        last: dict[str, Transition] = {}
        for one in self.made:
            before = last.get(one.episode)
            assert one.sequence == (before.sequence + 1 if before else 1)
            assert one.id == f"{one.episode}-{one.sequence}"
            expected = before.to_state if before else None
            if expected is AlertState.INACTIVE:
                expected = AlertState.RESOLVED
            assert one.from_state is expected
            last[one.episode] = one
        assert [one.timestamp for one in self.made] == sorted(one.timestamp for one in self.made)
        assert len({one.id for one in self.made}) == len(self.made)

    @invariant()
    def nobody_is_flooded(self) -> None:
        begins = [
            one.timestamp for one in self.made if one.to_state is AlertState.FIRING and one.from_state not in OPEN
        ]
        for i, at in enumerate(begins):
            assert sum(at <= other < at + CALM_MS for other in begins[i:]) <= FLAPS + 1 + self.endings
        changes = [one.timestamp for one in self.made if one.reason is Reason.SEVERITY_CHANGED]
        assert len(changes) <= 2 * len(begins) + 2 * ((self.latest - START) // CALM_MS + 1)

    def teardown(self) -> None:
        """The same inputs make the same transitions, byte for byte, also when the alert is stored in between."""
        alert, again = None, []
        for given in self.inputs:
            alert, made = run(given, alerts.decode(alerts.encode(alert)) if alert else None)
            again += made
        assert msgspec.json.encode(again) == msgspec.json.encode(self.made)


Lives.TestCase.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
TestLives = Lives.TestCase
