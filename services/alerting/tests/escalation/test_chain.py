"""Whatever happens to an alert, its chain goes on step by step while nobody has it, and stops when somebody has."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from vigie_alerting.escalation import chain as chains
from vigie_alerting.escalation.chain import Chain, Kind, State, Step, Target

MINUTE = 60_000
ALICE = Target(Kind.PERSON, "alice")


def chain(*minutes: int, repeat: int = 0) -> Chain:
    return Chain(
        steps=tuple(Step((ALICE,), after * MINUTE) for after in minutes), repeat=repeat, repeat_after_ms=MINUTE
    )


def test_a_step_is_told_after_its_time_since_the_one_before() -> None:
    two = chain(0, 15)
    one = chains.begun(two, 1_000)
    assert one.due == 1_000
    late = chains.advanced(two, one, 9_000, reached=True)
    assert (late.step, late.due, late.told) == (1, 9_000 + 15 * MINUTE, 1)
    over = chains.advanced(two, late, 9_999_000, reached=True)
    assert (over.state, over.due, over.told) == (State.EXHAUSTED, None, 2)


def test_nobody_waits_for_an_answer_of_a_step_that_reached_nobody() -> None:
    two = chain(0, 15)
    assert chains.advanced(two, chains.begun(two, 0), 7, reached=False).due == 7


def test_a_round_that_reached_nobody_is_seen_and_the_next_one_waits_all_the_same() -> None:
    two = chain(0, 15, repeat=1)
    first = chains.begun(two, 0)
    assert not chains.nobody(two, first, reached=False)
    second = chains.advanced(two, first, 0, reached=False)
    assert chains.nobody(two, second, reached=False)
    assert not chains.nobody(two, second, reached=True)
    again = chains.advanced(two, second, 0, reached=False)
    assert (again.step, again.round, again.due) == (0, 1, MINUTE)


def test_a_step_that_is_hastened_is_due_at_once_and_never_later_than_it_was() -> None:
    two = chain(0, 15)
    waiting = chains.advanced(two, chains.begun(two, 0), 0, reached=True)
    assert chains.hastened(waiting, 7).due == 7
    assert chains.hastened(waiting, 99 * MINUTE).due == 15 * MINUTE
    for still in (chains.acknowledged(waiting), chains.ended(waiting)):
        assert chains.hastened(still, 7) == still


def test_who_gives_an_alert_back_has_the_present_step_begin_anew() -> None:
    two = chain(0, 15)
    waiting = chains.advanced(two, chains.begun(two, 0), 0, reached=True)
    paused = chains.acknowledged(waiting)
    assert (paused.state, paused.due) == (State.PAUSED, None)
    back = chains.resumed(two, paused, 100 * MINUTE)
    assert (back.step, back.due) == (1, 115 * MINUTE)


def test_when_all_had_been_told_it_begins_from_the_beginning() -> None:
    one = chain(0)
    all_told = chains.advanced(one, chains.begun(one, 0), 0, reached=True)
    back = chains.resumed(one, chains.acknowledged(all_told), 5)
    assert (back.state, back.step, back.round, back.due, back.told) == (State.WAITING, 0, 0, 5, 1)


def test_a_chain_that_became_shorter_meanwhile_comes_to_its_end() -> None:
    waiting = chains.advanced(chain(0, 15, 15), chains.begun(chain(0, 15, 15), 0), 0, reached=True)
    shorter = chain(0)
    assert chains.step_of(shorter, waiting) is None
    assert chains.advanced(shorter, waiting, 0, reached=False).state is State.EXHAUSTED


class Escalations(RuleBasedStateMachine):
    """One alert in one chain."""

    @initialize(
        minutes=st.lists(st.integers(0, 30), min_size=1, max_size=4), repeat=st.integers(0, 3), start=st.integers(0, 99)
    )
    def begin(self, minutes: list[int], repeat: int, start: int) -> None:
        self.chain = chain(*minutes, repeat=repeat)
        self.now = start
        self.one = chains.begun(self.chain, self.now)
        self.since_back = 0
        """Steps told since it began, or was given back."""
        self.seen: set[int] = set()

    @rule(minutes=st.integers(0, 40), reached=st.booleans())
    def time_passes(self, minutes: int, reached: bool) -> None:
        self.now += minutes * MINUTE
        if self.one.state is not State.WAITING or self.one.due is None or self.one.due > self.now:
            return
        before = self.one
        assert before.told not in self.seen, "a telling is told from every other one"
        self.seen.add(before.told)
        self.since_back += 1
        self.one = chains.advanced(self.chain, before, self.now, reached=reached)
        assert (self.one.round, self.one.step) > (before.round, before.step)
        if self.one.due is not None and self.one.round > before.round:
            assert self.one.due >= self.now + MINUTE
        elif self.one.due is not None and reached:
            assert self.one.due == self.now + self.chain.steps[self.one.step].after_ms

    @rule()
    def acknowledge(self) -> None:
        self.one = chains.acknowledged(self.one)
        assert chains.acknowledged(self.one) == self.one

    @rule()
    def give_back(self) -> None:
        paused = self.one.state is State.PAUSED
        self.one = chains.resumed(self.chain, self.one, self.now)
        if paused:
            assert self.one.state is State.WAITING
            self.since_back = 0
        assert chains.resumed(self.chain, self.one, self.now + 1) == self.one

    @rule()
    def resolve(self) -> None:
        self.one = chains.ended(self.one)
        assert chains.resumed(self.chain, chains.acknowledged(self.one), self.now) == self.one

    @invariant()
    def only_who_waits_is_due(self) -> None:
        assert (self.one.due is not None) == (self.one.state is State.WAITING)

    @invariant()
    def it_ends(self) -> None:
        assert self.since_back <= len(self.chain.steps) * (self.chain.repeat + 1)


TestEscalations = Escalations.TestCase
TestEscalations.settings = settings(max_examples=50, stateful_step_count=25)
