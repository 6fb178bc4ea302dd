"""What is refused before it is stored, and how it is said."""

from __future__ import annotations

from typing import Any

import pytest
from vigie_alerting.routing.matchers import parse
from vigie_alerting.silences.active import State, Timing, state
from vigie_alerting.silences.checking import checked_comment, checked_matchers, checked_timing
from vigie_query.errors import InvalidParameter
from vigie_query.times import DAY, HOUR

NOW = 1_790_000_100_000


def recurring(rrule: str, **more: Any) -> Timing:
    return Timing(**{"starts": NOW, "rrule": rrule, "zone": "Europe/Paris", "duration_ms": HOUR, **more})


@pytest.mark.parametrize(
    ("timing", "field", "reason"),
    [
        (Timing(NOW - HOUR, NOW - 1), "endsAt", "is in the past"),
        (Timing(NOW - HOUR, NOW), "endsAt", "is in the past"),
        (Timing(NOW + HOUR, NOW + HOUR), "endsAt", "after startsAt"),
        (Timing(NOW), "endsAt", "say when it ends"),
        (Timing(NOW, NOW + 4_000 * DAY), "endsAt", "ten years"),
        (Timing(NOW + 4_000 * DAY), "startsAt", "ten years"),
        (Timing(NOW, NOW + HOUR, zone="Europe/Paris"), "recurrence", "no rule"),
        (recurring("FREQ=DAILY", zone="Mars/Olympus"), "recurrence.timeZone", "IANA name"),
        (recurring("FREQ=DAILY", zone="../../etc/passwd"), "recurrence.timeZone", "IANA name"),
        (recurring("FREQ=DAILY", duration_ms=0), "recurrence.duration", "from 1m to 31d"),
        (recurring("FREQ=DAILY", duration_ms=32 * DAY), "recurrence.duration", "from 1m to 31d"),
        (recurring("FREQ=SECONDLY"), "recurrence.rrule", "all the time"),
        (recurring("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "recurrence.rrule", "never occurs"),
        (recurring("FREQ=WEEKLY", starts=NOW + DAY, ends=NOW + DAY + 1), "recurrence.rrule", ""),
        (recurring("FREQ=DAILY;UNTIL=20200101"), "recurrence.rrule", "ends before it has occurred"),
        (recurring("FREQ=DAILY;COUNT=3", starts=NOW - 30 * DAY), "recurrence.rrule", "as often as COUNT says"),
        (recurring("FREQ=MONTHLY;BYMONTHDAY=1", starts=NOW, ends=NOW + HOUR), "recurrence.rrule", "before endsAt"),
    ],
)
def test_a_time_in_which_nothing_can_be_muted_is_refused(timing: Timing, field: str, reason: str) -> None:
    if not reason:  # it has one occurrence, cut off
        assert checked_timing(timing, NOW)
        return
    with pytest.raises(InvalidParameter, match=reason) as refused:
        checked_timing(timing, NOW)
    assert refused.value.field == field


def test_what_begins_in_the_past_begins_now() -> None:
    assert checked_timing(Timing(NOW - HOUR, NOW + HOUR), NOW) == Timing(NOW, NOW + HOUR)
    daily = recurring("FREQ=DAILY", starts=NOW - 3 * DAY + HOUR)
    assert checked_timing(daily, NOW) == daily, "its rule goes by its start"


def test_a_counted_rule_ends_with_its_last_time() -> None:
    made = checked_timing(recurring("FREQ=DAILY;COUNT=3"), NOW)
    assert made.ends == NOW - NOW % 1_000 + 2 * DAY + HOUR
    assert state(made, made.ends - 1) is State.ACTIVE
    assert state(made, made.ends) is State.EXPIRED
    earlier = checked_timing(recurring("FREQ=DAILY;COUNT=3", ends=NOW + DAY), NOW)
    assert earlier.ends == NOW + DAY


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("time", ["", "T000000Z", "T235959Z", "T235959"])
def test_a_rule_may_end_with_the_calendar_and_not_begin_with_it(zone: str, time: str) -> None:
    made = checked_timing(recurring(f"FREQ=DAILY;UNTIL=99991231{time}", zone=zone), NOW)
    assert made.ends is not None
    assert made.ends > NOW + 2_000_000 * DAY
    with pytest.raises(InvalidParameter, match="ends before it has occurred"):
        checked_timing(recurring(f"FREQ=DAILY;UNTIL=00010101{time}", zone=zone), NOW)


def test_a_comment_is_required() -> None:
    assert checked_comment("  disks ") == "disks"
    for text in ("", " \n", "x" * 1_001):
        with pytest.raises(InvalidParameter, match="comment"):
            checked_comment(text)


def test_matchers_must_ask_for_something() -> None:
    assert checked_matchers(parse('host="a"').all)
    for text in ('host=""', 'host!="a"', 'host=~".*"'):
        with pytest.raises(InvalidParameter, match="must ask for a label"):
            checked_matchers(parse(text).all)
