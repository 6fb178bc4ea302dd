"""The specification of groups: what holds after every step of every life of the alerts in them, muted or not."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from vigie_alerting.lifecycle import DEDUPLICATION_MS
from vigie_alerting.notifying.groups import LINGER_MS, RECHECK_MS, pending
from vigie_alerting.notifying.muting import Mute
from vigie_alerting.routing.timings import Timings
from vigie_contracts.alerts import AlertState, Severity, Transition
from vigie_storage.alerts.document import order

from services.alerting.tests.notifying.office import MUTE, H, M, Message, Office, S, step

FIRING, RESOLVED, ACKNOWLEDGED = AlertState.FIRING, AlertState.RESOLVED, AlertState.ACKNOWLEDGED
PENDING, INACTIVE = AlertState.PENDING, AlertState.INACTIVE
ALERTS = ("a", "b", "c")
MOVES = {
    None: (FIRING, FIRING, PENDING),
    PENDING: (FIRING, INACTIVE),
    INACTIVE: (FIRING, PENDING),
    FIRING: (FIRING, ACKNOWLEDGED, RESOLVED, RESOLVED),
    ACKNOWLEDGED: (FIRING, RESOLVED),
    RESOLVED: (FIRING, PENDING, RESOLVED),
}
PAUSES = (0, 1, S, 10 * S, 30 * S, 31 * S, 5 * M, 61 * M, 5 * H)


class Groups(RuleBasedStateMachine):
    """Three alerts that live on, told by routes, or by the channels of their rule, or both."""

    @initialize(
        wait=st.sampled_from((0, 0, 10 * S)),
        interval=st.sampled_from((0, 30 * S, 5 * M)),
        repeat=st.sampled_from((0, H)),
        routes=st.sampled_from(((), ("db",), ("db", "web"))),
        direct=st.booleans(),
    )
    def begin(self, wait: int, interval: int, repeat: int, routes: tuple[str, ...], direct: bool) -> None:
        self.office = Office(timings=Timings(wait, interval, repeat))
        self.routes, self.direct = routes, direct or not routes
        self.mutes: dict[str, Mute] = {}
        self.office.muted = self._muted
        self.last: dict[str, Transition] = {}
        self.newest: dict[str, Transition] = {}
        """Of those that somebody may be told of."""
        self.heard: dict[tuple[str, str], Transition] = {}
        """By group and alert, the last step that was told there."""
        self.told_at: dict[str, int] = {}

    @rule(fingerprint=st.sampled_from(ALERTS), move=st.integers(0, 3), worse=st.booleans(), again=st.booleans())
    def moves(self, fingerprint: str, move: int, worse: bool, again: bool) -> None:
        before = self.last.get(fingerprint)
        choices = MOVES[before.to_state if before else None]
        to = choices[move % len(choices)]
        if before and before.to_state is RESOLVED and self.office.now - before.timestamp > DEDUPLICATION_MS:
            to = FIRING  # the life cycle has forgotten it: nothing can be amended
        made = step(
            fingerprint,
            before.sequence + 1 if before else 1,
            to,
            self.office.now,
            from_state=before.to_state if before else None,
            severity=Severity.CRITICAL if worse else Severity.HIGH,
        )
        self.last[fingerprint] = made
        if to not in (PENDING, INACTIVE):
            self.newest[fingerprint] = made
        new = not any(fp == fingerprint or group for group, fp in self.office.members)
        told = self.office.dispatch(made, direct=self.direct, routes=self.routes)
        self._hear(told)
        muted = self._muted(fingerprint) is not None
        if new and to is FIRING and not muted and not self.office.timings.group_wait_ms:
            assert len(told) == len(self.routes) + self.direct, "the first is told at once"
        if again:  # the outbox knows what is told once more to the channels of the rule: it has the same id
            once_more = self.office.dispatch(made, direct=self.direct, routes=self.routes)
            known = [message.steps for message in told if not message.group]
            assert [message.steps for message in once_more] in ([], known)

    @rule(pause=st.sampled_from(PAUSES))
    def waits(self, pause: int) -> None:
        self._hear(self.office.until(self.office.now + pause))

    @rule(fingerprint=st.sampled_from(ALERTS), lasting=st.sampled_from((None, S, 10 * M)))
    def silences(self, fingerprint: str, lasting: int | None) -> None:
        until = None if lasting is None else self.office.now + lasting
        self.mutes[fingerprint] = Mute(MUTE.why, MUTE.by, MUTE.detail, until)

    @rule(fingerprint=st.sampled_from(ALERTS))
    def ends_the_silence(self, fingerprint: str) -> None:
        self.mutes.pop(fingerprint, None)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        if not hasattr(self, "office"):
            return
        for (group, fingerprint), member in self.office.members.items():
            held = self.office.groups[group]
            if pending(member):
                assert member.due_ms is not None, "what is to be told has a time"
            if member.due_ms is not None:
                assert held.due_ms is not None
                assert held.due_ms <= member.due_ms, f"{fingerprint}: its group is looked at too late"

    def teardown(self) -> None:
        """When all mutes are over, everybody knows what is."""
        if not hasattr(self, "office"):
            return
        self.mutes.clear()
        self._hear(self.office.until(self.office.now + RECHECK_MS + 11 * M))
        for fingerprint, newest in self.newest.items():
            for group in self._receivers(fingerprint):
                last = self.heard.get((group, fingerprint))
                if newest.to_state is FIRING:
                    assert last is not None, f"{fingerprint} fires, and {group} was never told"
                    assert last.id == newest.id, "the newest is told"
                elif newest.to_state is RESOLVED and last is not None:
                    assert last.to_state is RESOLVED, f"{group} still believes that {fingerprint} fires"
        self._hear(self.office.until(self.office.now + 2 * LINGER_MS + H))
        over = {one.fingerprint for one in self.newest.values() if one.to_state is RESOLVED}
        assert not [key for key in self.office.members if key[1] in over], "what is over is forgotten"

    def _receivers(self, fingerprint: str) -> list[str]:
        newest = self.newest[fingerprint]
        places = [self.office.place(newest, name).group.id for name in self.routes]
        return [*places, *([""] if self.direct else [])]

    def _muted(self, fingerprint: str) -> Mute | None:
        mute = self.mutes.get(fingerprint)
        if mute is not None and mute.until_ms is not None and mute.until_ms <= self.office.now:
            return None
        return mute

    def _hear(self, told: list[Message]) -> None:
        for message in told:
            assert len({one.fingerprint for one in message.steps}) == len(message.steps) > 0
            if message.group and (before := self.told_at.get(message.group)) is not None:
                # An alert that is over for long enough leaves its group, and the next one begins anew.
                assert message.at - before >= self.office.timings.group_interval_ms, "too soon"
            if message.group:
                self.told_at[message.group] = message.at
            for one in message.steps:
                self._hears(message, one)

    def _hears(self, message: Message, one: Transition) -> None:
        key = message.group, one.fingerprint
        before = self.heard.get(key)
        if one.to_state is FIRING and message.at == self.office.now:
            assert self._muted(one.fingerprint) is None, "a muted firing is not told"
        if before is not None:
            assert order(one) >= order(before), "an older step after a newer one"
        if before is not None and one.id == before.id:
            assert message.group, "the channels of a rule are told once"
            assert one.to_state is FIRING, "only what fires is told again"
            assert self.newest[one.fingerprint].id == one.id, "and only while it is the newest"
        if one.to_state is RESOLVED:
            assert before is not None, "who is told of the end was told of the firing"
            assert before.to_state is FIRING or one.sequence == before.sequence + 1
        self.heard[key] = one


TestGroups = Groups.TestCase
TestGroups.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
