"""When something mutes: what is said of a time holds until it may change, and windows are where it is active."""

from __future__ import annotations

import itertools
from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st
from vigie_alerting.silences.active import State, Timing, next_change, phase, state, windows
from vigie_query.times import DAY, HOUR, MINUTE

SUNDAY = round(datetime(2026, 3, 29, tzinfo=ZoneInfo("Europe/Paris")).timestamp() * 1000)
"""On which the clock is put forward; in Paris at 2, in New York it was three weeks ago."""
AUTUMN = round(datetime(2026, 10, 25, tzinfo=ZoneInfo("Europe/Paris")).timestamp() * 1000)
RULES = [
    "FREQ=DAILY",
    "FREQ=WEEKLY;BYDAY=SU,MO",
    "FREQ=HOURLY;INTERVAL=3",
    "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
    "FREQ=MONTHLY;BYDAY=-1SU",
]
times = st.integers(SUNDAY - 4 * DAY, SUNDAY + 4 * DAY) | st.integers(AUTUMN - 4 * DAY, AUTUMN + 4 * DAY)


@st.composite
def timings(draw: st.DrawFn) -> Timing:
    starts = draw(st.integers(SUNDAY - 20 * DAY, SUNDAY + 2 * DAY))
    ends = draw(st.none() | st.integers(1, 300 * DAY).map(lambda length: starts + length))
    if draw(st.booleans()):
        zone = draw(st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe"]))
        length = draw(st.integers(1, 30 * HOUR // MINUTE)) * MINUTE
        return Timing(starts, ends, draw(st.sampled_from(RULES)), zone, length)
    return Timing(starts, ends if ends is not None else starts + DAY)


@settings(max_examples=300, deadline=None)
@given(timings(), times, st.floats(0, 1))
@example(Timing(SUNDAY - 7 * DAY, None, "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "Europe/Paris", HOUR), SUNDAY, 0.9)
@example(Timing(AUTUMN - 7 * DAY, None, "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "Europe/Paris", HOUR), AUTUMN, 0.9)
def test_a_state_lasts_until_it_may_change(timing: Timing, at: int, part: float) -> None:
    now = phase(timing, at)
    assert now.since <= at
    assert now.until is None or now.until > at
    assert now.until is not None or now.state is not State.PENDING
    last = at + 3 * DAY if now.until is None else now.until - 1
    between = at + round((last - at) * part)
    assert state(timing, between) is now.state
    assert state(timing, last) is now.state
    assert now.holds(between)
    if now.until is not None and now.state is State.PENDING:
        assert state(timing, now.until) is State.ACTIVE
    assert next_change(timing, at) == now.until
    if now.state is State.EXPIRED:
        assert state(timing, at + 400 * DAY) is State.EXPIRED


@settings(max_examples=200, deadline=None)
@given(timings(), times, st.integers(0, 3 * DAY))
def test_it_is_active_in_its_windows_and_outside_of_them_never(timing: Timing, at: int, later: int) -> None:
    spans = windows(timing, at, at + 3 * DAY + 1)
    moment = at + later
    inside = any(begin <= moment < end for begin, end in spans)
    lives = moment >= timing.starts and (timing.ends is None or moment < timing.ends)
    active = state(timing, moment) is State.ACTIVE
    if active:
        assert inside
    if timing.rrule and lives and moment - timing.duration_ms > timing.starts:
        assert active is inside
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(spans))


def test_two_hours_every_sunday_at_two_by_the_clock_of_paris() -> None:
    rule = Timing(SUNDAY - 14 * DAY + 2 * HOUR, None, "FREQ=WEEKLY;BYDAY=SU", "Europe/Paris", 2 * HOUR)
    assert state(rule, SUNDAY - 7 * DAY + 3 * HOUR) is State.ACTIVE
    # There is no 02:00 on this day: it begins at 03:00 in summer time, two hours after midnight all the same.
    assert phase(rule, SUNDAY + 2 * HOUR - 1).state is State.PENDING
    assert phase(rule, SUNDAY + 2 * HOUR).until == SUNDAY + 4 * HOUR
    # 02:00 by the clock is three hours before this midnight's 05:00: one hour less after the midnight of a short day.
    assert next_change(rule, SUNDAY + 5 * HOUR) == SUNDAY + 7 * DAY - HOUR + 2 * HOUR
    assert phase(rule, AUTUMN + 2 * HOUR).until == AUTUMN + 4 * HOUR, "the length is time that passes"


def test_a_silence_begins_and_ends_once() -> None:
    once = Timing(1_000, 2_000)
    assert [state(once, at) for at in (0, 999, 1_000, 1_999, 2_000)] == [
        State.PENDING,
        State.PENDING,
        State.ACTIVE,
        State.ACTIVE,
        State.EXPIRED,
    ]


def test_an_occurrence_that_outlasts_the_end_is_cut_off() -> None:
    cut = Timing(SUNDAY, SUNDAY + 30 * MINUTE, "FREQ=DAILY", "UTC", HOUR)
    assert phase(cut, SUNDAY).until == SUNDAY + 30 * MINUTE
    assert state(cut, SUNDAY + 30 * MINUTE) is State.EXPIRED
    never_again = Timing(SUNDAY, SUNDAY + 3 * HOUR, "FREQ=DAILY", "UTC", HOUR)
    assert state(never_again, SUNDAY + 2 * HOUR) is State.EXPIRED, "the next one would begin after the end"


def test_what_this_version_does_not_understand_mutes_nobody() -> None:
    for broken in (
        Timing(0, None, "FREQ=DAILY;NEW=1", "UTC", HOUR),
        Timing(0, None, "FREQ=DAILY", "Mars/Olympus", HOUR),
    ):
        assert state(broken, SUNDAY) is State.EXPIRED
