"""When targets are due: at their own times, spread, never twice at once, and nothing is caught up."""

from __future__ import annotations

import time
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from vigie_healthcheck.schedule import PAUSE_MS, SETTLE_MS, Due, Schedule, next_after, offset_ms

NOW = 1_700_000_000_000
INTERVAL = 30_000


def filled(targets: int, interval_ms: int = INTERVAL, *, soon: bool = False) -> Schedule:
    schedule = Schedule()
    for n in range(targets):
        schedule.put(f"t{n}", interval_ms, NOW, soon=soon)
    return schedule


def walked(schedule: Schedule, from_ms: int, to_ms: int, step_ms: int = 100) -> list[Due]:
    """All that is due in that time; each check is over at once."""
    taken: list[Due] = []
    for now_ms in range(from_ms, to_ms, step_ms):
        for due in schedule.take(now_ms, 1_000_000):
            taken.append(due)
            schedule.done(due)
    return taken


def test_a_target_is_due_once_in_each_interval_always_at_the_same_time_of_it() -> None:
    times = [due.due_ms for due in walked(filled(1), NOW, NOW + 10 * INTERVAL)]
    assert len(times) == 10
    assert {ms % INTERVAL for ms in times} == {offset_ms("t0", INTERVAL)}


def test_who_takes_over_finds_the_same_times() -> None:
    mine, theirs = filled(50), Schedule()
    for n in range(50):
        theirs.put(f"t{n}", INTERVAL, NOW + 12_345, soon=False)
    after = NOW + INTERVAL
    walked(mine, NOW, after)
    walked(theirs, NOW + 12_345, after)
    assert {d.target: d.due_ms for d in walked(mine, after, after + INTERVAL)} == {
        d.target: d.due_ms for d in walked(theirs, after, after + INTERVAL)
    }


def test_ten_thousand_targets_are_spread_over_their_interval() -> None:
    seconds = Counter((due.due_ms - NOW - 1) // 1_000 for due in walked(filled(10_000), NOW, NOW + INTERVAL + 1))
    assert sum(seconds.values()) == 10_000
    assert max(seconds.values()) < 450
    assert min(seconds[n] for n in range(30)) > 230


def test_one_that_is_new_is_due_at_once_and_ten_thousand_are_not_due_together() -> None:
    assert [due.target for due in filled(1, soon=True).take(NOW, 10)] == ["t0"]
    schedule = filled(10_000, soon=True)
    assert len(schedule.take(NOW + 100, 10_000)) <= 150
    assert len(walked(filled(10_000, soon=True), NOW, NOW + 20_100)) >= 10_000


def test_those_that_come_soon_wait_no_longer_than_their_interval() -> None:
    schedule = filled(5_000, 1_000, soon=True)
    assert len({due.target for due in walked(schedule, NOW, NOW + 1_100)}) == 5_000


def test_after_a_pause_nothing_comes_at_once() -> None:
    schedule = filled(1_000)
    walked(schedule, NOW, NOW + INTERVAL)
    back = NOW + 20 * INTERVAL
    assert schedule.take(back, 1_000) == []
    assert schedule.skipped >= 18 * 1_000
    settled = back + SETTLE_MS
    assert walked(schedule, back + 100, settled) == [], "others may have them meanwhile"
    seconds = Counter((due.due_ms - back) // 1_000 for due in walked(schedule, settled, settled + INTERVAL + 100))
    assert sum(seconds.values()) == 1_000
    assert max(seconds.values()) < 80


def test_what_waits_for_room_is_late_and_not_skipped() -> None:
    schedule = filled(100, 1_000)
    for now_ms in range(NOW, NOW + 900, 100):
        schedule.take(now_ms, 0)
    late = schedule.take(NOW + 1_000, 100)
    assert len(late) == schedule.waiting(NOW + 1_000) + 100 == 100
    assert [due.due_ms for due in late] == sorted(due.due_ms for due in late)


def test_with_too_little_room_everybody_has_a_turn() -> None:
    schedule = filled(100, 1_000)
    turns: Counter[str] = Counter()
    for now_ms in range(NOW, NOW + 60_000, 100):
        for due in schedule.take(now_ms, 2):
            turns[due.target] += 1
            schedule.done(due)
    assert len(turns) == 100
    assert max(turns.values()) - min(turns.values()) <= 1


def test_a_target_that_is_being_checked_is_not_due_a_second_time() -> None:
    schedule = filled(1, 1_000)
    [due] = schedule.take(NOW + 1_000, 1)
    schedule.ask("t0", NOW + 1_100)
    assert [schedule.take(ms, 1) for ms in (NOW + 1_500, NOW + 2_500, NOW + 3_500)] == [[], [], []]
    assert schedule.next_ms() is None
    schedule.done(due)
    [again] = schedule.take(NOW + 3_600, 1)
    assert again.due_ms == NOW + 1_100


def test_one_that_was_removed_or_made_anew_while_it_was_checked_is_not_brought_back_by_its_end() -> None:
    schedule = filled(1, soon=True)
    [due] = schedule.take(NOW, 1)
    schedule.remove("t0")
    schedule.done(due)
    assert (len(schedule), schedule.next_ms()) == (0, None)
    schedule.put("t0", INTERVAL, NOW, soon=False)
    schedule.done(due)
    assert len(walked(schedule, NOW, NOW + INTERVAL)) == 1


def test_one_that_is_changed_while_it_is_checked_waits_for_the_end() -> None:
    schedule = filled(1, soon=True)
    [due] = schedule.take(NOW, 1)
    schedule.put("t0", 1_000, NOW, soon=True)
    assert schedule.take(NOW + 500, 1) == []
    schedule.done(due)
    assert [again.target for again in schedule.take(NOW + 500, 1)] == ["t0"]


def test_an_asked_target_comes_first_and_keeps_its_times() -> None:
    schedule = filled(10)
    schedule.ask("t3", NOW)
    schedule.ask("unknown", NOW)
    [due] = schedule.take(NOW, 10)
    assert (due.target, due.due_ms, due.next_ms) == ("t3", NOW, next_after("t3", INTERVAL, NOW))


def test_changing_ten_thousand_targets_again_and_again_takes_no_room() -> None:
    schedule = filled(10_000)
    began = time.process_time()
    for _ in range(3):
        for n in range(10_000):
            schedule.put(f"t{n}", INTERVAL, NOW, soon=False)
    assert time.process_time() - began < 5.0
    assert len(schedule._heap) <= 2 * 10_000 + 64
    for n in range(10_000):
        schedule.remove(f"t{n}")
    assert len(schedule._heap) <= 64
    assert schedule.next_ms() is None


class Targets(RuleBasedStateMachine):
    """Whatever is done: what is due is given, once, in its order, at a time of its own or when it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule()
        self.now = NOW
        self.intervals: dict[str, int] = {}
        self.last: dict[str, int] = {}
        """Until when a target waits at most: from then on its interval."""
        self.held: list[Due] = []

    @property
    def busy(self) -> set[str]:
        return {one.target for one in self.held}

    @rule(n=st.integers(0, 5), interval=st.sampled_from((1_000, 5_000, 30_000)), soon=st.booleans())
    def put(self, n: int, interval: int, soon: bool) -> None:
        self.schedule.put(f"t{n}", interval, self.now, soon=soon)
        self.intervals[f"t{n}"] = interval
        self.last[f"t{n}"] = self.now

    @rule(n=st.integers(0, 5))
    def remove(self, n: int) -> None:
        self.schedule.remove(f"t{n}")
        self.intervals.pop(f"t{n}", None)
        self.held = [one for one in self.held if one.target != f"t{n}"]

    @rule(n=st.integers(0, 5))
    def ask(self, n: int) -> None:
        self.schedule.ask(f"t{n}", self.now)

    @rule(ms=st.sampled_from((0, 1, 100, 999, PAUSE_MS, PAUSE_MS + 1, 100_000)), most=st.integers(0, 10))
    def take(self, ms: int, most: int) -> None:
        self.now += ms
        if ms > PAUSE_MS:  # what was due meanwhile may be skipped
            self.last = dict.fromkeys(self.last, self.now + SETTLE_MS)
        taken = self.schedule.take(self.now, most)
        assert len(taken) <= most
        assert [one.due_ms for one in taken] == sorted(one.due_ms for one in taken)
        assert not self.busy & {one.target for one in taken}
        assert len({one.target for one in taken}) == len(taken)
        for one in taken:
            assert one.due_ms <= self.now < one.next_ms <= self.now + self.intervals[one.target]
            self.last[one.target] = self.now
        self.held += taken
        if len(taken) < most:
            upcoming = self.schedule.next_ms()
            assert upcoming is None or upcoming > self.now
            assert self.schedule.waiting(self.now) == 0

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        one = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.schedule.done(one)
        self.last[one.target] = self.now

    @invariant()
    def nobody_is_forgotten(self) -> None:
        assert len(self.schedule) == len(self.intervals)
        upcoming = self.schedule.next_ms()
        idle = set(self.intervals) - self.busy
        assert (upcoming is None) is (not idle)
        if upcoming is not None:
            assert upcoming <= min(self.last[one] + self.intervals[one] for one in idle)


Targets.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_whatever_is_done_targets_are_due = Targets.TestCase
