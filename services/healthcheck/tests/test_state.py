"""What a check makes of a target: thresholds, and that a prober's own fault says nothing of it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Target
from vigie_healthcheck.probes.base import Outcome
from vigie_healthcheck.state import Step, step
from vigie_storage.health.states import TargetState

UP, DEGRADED, DOWN, UNKNOWN = Verdict.UP, Verdict.DEGRADED, Verdict.DOWN, Verdict.UNKNOWN
AT = 1_700_000_000_000
GOOD = (UP, DEGRADED)


def target(failures: int = 1, successes: int = 1) -> Target:
    return Target(
        id="t1",
        tenant="acme",
        name="payment",
        kind="http",
        failure_threshold=failures,
        success_threshold=successes,
        version=3,
    )


def found(verdict: Verdict, facts: dict[str, float] | None = None) -> Outcome:
    return Outcome(verdict, "" if verdict is UP else f"it is {verdict}", 0.25, {"connect": 0.125}, facts or {})


def walk(verdicts: list[Verdict], watched: Target, before: TargetState | None = None) -> list[Step]:
    steps: list[Step] = []
    for n, verdict in enumerate(verdicts):
        done = step(before, watched, found(verdict), AT + n * 30_000)
        before = done.state
        steps.append(done)
    return steps


def test_the_first_good_check_says_up_whatever_the_thresholds() -> None:
    [done] = walk([UP], target(3, 3))
    assert done.state.state is UP
    assert done.change is not None
    assert (done.change.from_, done.change.to, done.change.reason) == (UNKNOWN, UP, "")


def test_down_comes_with_the_last_failure_of_the_threshold_and_opens_an_incident() -> None:
    steps = walk([UP, DOWN, DOWN, DOWN, DOWN], target(failures=3))
    assert [one.state.state for one in steps] == [UP, UP, UP, DOWN, DOWN]
    assert [one.change is not None for one in steps] == [True, False, False, True, False]
    assert [one.state.incident_ms for one in steps] == [0, 0, 0, AT + 90_000, AT + 90_000]
    assert steps[-1].state.since_ms == AT + 90_000


def test_up_comes_with_the_last_success_of_the_threshold_and_closes_the_incident() -> None:
    steps = walk([DOWN, UP, DEGRADED, UP], target(successes=2))
    assert [one.state.state for one in steps] == [DOWN, DOWN, DEGRADED, UP]
    assert [one.state.incident_ms for one in steps] == [AT, AT, 0, 0]


def test_a_target_that_was_never_up_is_down_after_its_threshold_too() -> None:
    assert [one.state.state for one in walk([DOWN, DOWN], target(failures=2))] == [UNKNOWN, DOWN]


def test_what_a_check_found_is_kept() -> None:
    done = step(None, target(), found(UP, {"probe_ssl_earliest_cert_expiry": 1_800_000_000.5}), AT, next_ms=AT + 30_000)
    assert done.state == TargetState(
        target="t1",
        tenant="acme",
        name="payment",
        kind="http",
        state=UP,
        since_ms=AT,
        checked_ms=AT,
        due_ms=AT + 30_000,
        verdict=UP,
        duration_ms=250.0,
        phases={"connect": 125.0},
        successes=1,
        version=3,
        expires_ms=1_800_000_000_500,
    )
    later = step(done.state, target(), found(DOWN), AT + 30_000, muted="maintenance").state
    assert (later.expires_ms, later.muted, later.reason) == (1_800_000_000_500, "maintenance", "it is down")


def test_a_clock_that_was_set_back_does_not_make_the_newest_state_an_old_one() -> None:
    first = step(None, target(), found(UP), AT)
    second = step(first.state, target(), found(DOWN), AT - 3_600_000)
    assert second.state.checked_ms == AT + 1
    assert second.change is not None
    assert second.change.at_ms == second.state.incident_ms == second.state.since_ms == AT + 1


@dataclass
class Naive:
    """The state machine, said with whole histories."""

    failures: int
    successes: int
    seen: list[Verdict]
    state: Verdict = UNKNOWN

    def add(self, verdict: Verdict) -> Verdict:
        if verdict is not UNKNOWN:
            self.seen.append(verdict)
            ends = self.seen[-(self.failures if verdict is DOWN else self.successes) :]
            if verdict is DOWN:
                if len(ends) == self.failures and all(one is DOWN for one in ends):
                    self.state = DOWN
            elif self.state is not DOWN or (len(ends) == self.successes and all(one in GOOD for one in ends)):
                self.state = verdict
        return self.state


thresholds = st.integers(1, 4)
histories = st.lists(st.sampled_from(Verdict), max_size=40)


@given(histories, thresholds, thresholds)
def test_any_history_ends_where_the_naive_reading_of_it_ends(
    verdicts: list[Verdict], failures: int, successes: int
) -> None:
    naive, state = Naive(failures, successes, []), UNKNOWN
    for verdict, done in zip(verdicts, walk(verdicts, target(failures, successes)), strict=True):
        assert done.state.state is naive.add(verdict)
        assert (done.change is not None) is (done.state.state is not state)
        assert done.change is None or (done.change.from_, done.change.to) == (state, done.state.state)
        assert bool(done.state.incident_ms) is (done.state.state is DOWN)
        assert done.state.verdict is verdict
        state = done.state.state


@given(histories, thresholds, thresholds, st.data())
def test_unknown_changes_nothing_wherever_it_comes(
    verdicts: list[Verdict], failures: int, successes: int, data: st.DataObject
) -> None:
    watched = target(failures, successes)
    known = [one for one in verdicts if one is not UNKNOWN]
    mixed = list(known)
    for _ in range(data.draw(st.integers(0, 6))):
        mixed.insert(data.draw(st.integers(0, len(mixed))), UNKNOWN)
    plain, other = walk(known, watched), walk(mixed, watched)
    if known:
        mine, theirs = plain[-1].state, other[-1].state
        assert (mine.state, mine.failures, mine.successes) == (theirs.state, theirs.failures, theirs.successes)
    assert [one.change.to for one in plain if one.change] == [one.change.to for one in other if one.change]


@given(st.lists(st.tuples(st.sampled_from(Verdict), st.integers(-10_000_000, 10_000_000)), max_size=20))
def test_times_never_go_back_whatever_the_clock_does(checks: list[tuple[Verdict, int]]) -> None:
    state: TargetState | None = None
    for verdict, ms in checks:
        done = step(state, target(2, 2), found(verdict), AT + ms)
        if state is not None:
            assert done.state.checked_ms > state.checked_ms
            assert done.state.since_ms >= state.since_ms
            assert done.state.incident_ms in (0, state.incident_ms, done.state.checked_ms)
        state = done.state


@given(histories, thresholds, thresholds, st.integers(0, 40))
def test_who_takes_a_target_over_goes_on_where_its_owner_was(
    verdicts: list[Verdict], failures: int, successes: int, at: int
) -> None:
    watched = target(failures, successes)
    before = walk(verdicts[:at], watched)
    stored = msgspec.json.decode(msgspec.json.encode(before[-1].state), type=TargetState) if before else None
    after = walk(verdicts[at:], watched, stored)
    whole = walk(verdicts, watched)
    assert [one.state.state for one in before + after] == [one.state.state for one in whole]
