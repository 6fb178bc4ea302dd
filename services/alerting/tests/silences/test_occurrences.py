"""Recurrence rules: every rule against another implementation, the weeks in which clocks are put by included."""

# ruff: noqa: DTZ001 - times on the wall have no zone
from __future__ import annotations

import datetime as datetime_module
import itertools
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from vigie_alerting.silences.active import State, Timing, phase, state
from vigie_alerting.silences.occurrences import Occurrences
from vigie_alerting.silences.rrule import InvalidRruleError, parse

from tests.kit.cpu import cpu_at_most

ZONES = ["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"]
DAY_MS = 86_400_000
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
OFTEN = f"BYHOUR={','.join(map(str, range(24)))};BYMINUTE={','.join(map(str, range(0, 60, 5)))}"


def ms(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def ms_of(local: datetime, zone: str) -> int:
    return round(local.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def wall(at_ms: int, zone: str) -> str:
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M")


def several(values: list[Any], most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(
        lambda found: ",".join(map(str, found))
    )


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}"]
    weekdays: list[Any] = list(DAYS)
    if frequency in ("MONTHLY", "YEARLY") and draw(st.booleans()):  # both at once are nothing to the other one
        weekdays = [f"{nth}{day}" for nth in (1, 2, 5, -1, -2) for day in DAYS]
    for name, values, most in (
        ("BYMONTH", list(range(1, 13)), 3),
        ("BYMONTHDAY", [1, 2, 15, 28, 29, 30, 31, -1, -7, -31], 3),
        ("BYDAY", weekdays, 4),
        ("BYHOUR", [0, 1, 2, 3, 12, 23], 3),
        ("BYMINUTE", [0, 30, 45], 2),
    ):
        if draw(st.booleans()):
            parts.append(f"{name}={draw(several(values, most))}")
    if len(parts) > 1 and draw(st.integers(0, 3)) == 0:
        parts.append(f"BYSETPOS={draw(several([1, 2, -1, -3], 2))}")
    if draw(st.booleans()):
        parts.append(f"INTERVAL={draw(st.integers(1, 5))}")
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(DAYS))}")
    return ";".join(parts)


def theirs(rule: str, first: datetime, start: datetime, end: datetime) -> list[datetime]:
    try:
        made: Any = rrulestr(rule, dtstart=first)
    except ValueError:  # it never occurs
        return []
    with mock.patch.object(datetime_module, "MAXYEAR", end.year):  # it would look for what never fits until 9999
        return made.between(start, end)


starts = st.datetimes(datetime(2019, 1, 1), datetime(2026, 1, 1)).map(lambda at: at.replace(second=0, microsecond=0))


@settings(max_examples=100, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(rules(), starts, st.sampled_from(ZONES), st.integers(0, 90))
@example("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", datetime(2026, 3, 27, 2, 30), "Europe/Paris", 0)
@example("FREQ=HOURLY", datetime(2026, 10, 24, 22, 0), "Europe/Paris", 0)
@example("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", datetime(2020, 2, 29, 4, 0), "UTC", 1_450)
@example("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU", datetime(2026, 3, 3, 1, 0), "America/New_York", 30)
def test_a_rule_occurs_when_another_implementation_says(rule: str, first: datetime, zone: str, days: int) -> None:
    if "WEEKLY" in rule and "BYSETPOS" in rule:
        days += 7  # there it takes a week that began before the rule for a shorter one
    start = first + timedelta(days=days)
    end = start + timedelta(days=60)
    expected = {ms_of(one, zone) for one in theirs(rule, first, start - timedelta(days=1), end + timedelta(days=1))}
    from_ms, to_ms = max(ms_of(start, zone), ms_of(first, zone)), ms_of(end, zone)
    mine = Occurrences.of(parse(rule), ms_of(first, zone), ZoneInfo(zone))
    found = list(mine.between(from_ms, to_ms))
    assert found == sorted(one for one in expected if from_ms <= one < to_ms)
    following = next(mine.after(from_ms), None)
    assert following == found[0] if found else following is None or following >= to_ms


def test_every_night_has_its_own_length_in_the_weeks_when_the_clock_is_put_by() -> None:
    zone = "Europe/Paris"
    nightly = Occurrences.of(parse("FREQ=DAILY;BYHOUR=2;BYMINUTE=30"), ms("2026-03-27T02:30", zone), ZoneInfo(zone))
    spring = [wall(one, zone) for one in itertools.islice(nightly.after(ms("2026-03-27T00:00", zone)), 4)]
    assert spring == [
        "Fri 2026-03-27 02:30",
        "Sat 2026-03-28 02:30",
        "Sun 2026-03-29 03:30",  # there is no 02:30
        "Mon 2026-03-30 02:30",
    ]
    autumn = list(itertools.islice(nightly.after(ms("2026-10-24T00:00", zone)), 3))
    assert [wall(one, zone) for one in autumn] == [
        "Sat 2026-10-24 02:30",
        "Sun 2026-10-25 02:30",
        "Mon 2026-10-26 02:30",
    ]
    assert autumn[1] == ms("2026-10-25T00:30"), "the first of the two"
    assert [later - earlier for earlier, later in itertools.pairwise(autumn)] == [DAY_MS, DAY_MS + 3_600_000]


def test_last_is_where_count_and_until_end() -> None:
    first = ms("2026-01-05T08:00")
    daily = Occurrences.of(parse("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=5"), first, ZoneInfo("UTC"))
    assert daily.last() == ms("2026-01-19T08:00")
    until = Occurrences.of(parse("FREQ=WEEKLY;BYDAY=MO;UNTIL=20260119"), first, ZoneInfo("UTC"))
    assert until.last() == ms("2026-01-19T08:00"), "a day is meant to its end"
    exact = Occurrences.of(parse("FREQ=WEEKLY;BYDAY=MO;UNTIL=20260119T075959Z"), first, ZoneInfo("UTC"))
    assert exact.last() == ms("2026-01-12T08:00")
    long_ago = Occurrences.of(parse("FREQ=HOURLY;UNTIL=20290101T000000Z"), first, ZoneInfo("UTC"))
    assert long_ago.last() == ms("2029-01-01T00:00")
    with pytest.raises(ValueError, match="before it occurs"):
        Occurrences.of(parse("FREQ=DAILY;UNTIL=20250101"), first, ZoneInfo("UTC")).last()


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYMONTH=4,6;BYMONTHDAY=31",
        "FREQ=YEARLY;BYDAY=MO;BYSETPOS=300",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
        f"FREQ=DAILY;{OFTEN};BYSETPOS=300",
    ],
)
def test_what_never_occurs_is_found_out_in_a_moment(rule: str) -> None:
    began = time.perf_counter()
    never = Occurrences.of(parse(rule), ms("2026-01-05T08:00"), ZoneInfo("Europe/Paris"))
    assert next(never.after(ms("2026-01-05T08:00")), None) is None
    assert time.perf_counter() - began < 2.0


def test_a_question_about_now_costs_the_same_however_long_ago_it_began() -> None:
    began = time.perf_counter()
    old = Occurrences.of(parse("FREQ=HOURLY;BYMINUTE=0,30"), 0, ZoneInfo("Europe/Paris"))
    for hour in range(200):
        assert len(list(old.between(ms("2026-06-01T00:00") + hour, ms("2026-06-01T00:00") + hour + 3_600_000))) == 2
    assert time.perf_counter() - began < 2.0


@pytest.mark.parametrize("also", ["", ";BYSETPOS=1,-1", ";BYSETPOS=366"])
def test_a_question_about_now_costs_the_same_however_often_it_occurs_in_a_year(also: str) -> None:
    timing = Timing(ms("2026-01-05T08:00"), None, f"FREQ=YEARLY;BYDAY={','.join(DAYS)};{OFTEN}{also}", "UTC", 60_000)
    with cpu_at_most(1.0):  # 0.2 s each, if all of the year were made
        for minute in range(50):
            assert state(timing, ms("2026-12-31T12:00") + minute * 60_000) is not State.EXPIRED


def test_the_last_of_many_in_a_month_is_found_without_counting_them() -> None:
    timing = Timing(ms("2026-01-05T08:00"), None, f"FREQ=DAILY;{OFTEN}", "UTC", 31 * DAY_MS)
    with cpu_at_most(1.0):  # 0.03 s each, if all of the month were made
        for minute in range(100):
            at = ms("2026-12-31T12:00") + minute * 60_000
            assert phase(timing, at).since == at - at % 300_000


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("", "must be parts like"),
        ("FREQ", "must be parts like"),
        ("INTERVAL=2", "must say how often"),
        ("FREQ=SECONDLY", "would begin all the time"),
        ("FREQ=MINUTELY;INTERVAL=30", "would begin all the time"),
        ("FREQ=FORTNIGHTLY", "FREQ must be one of"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ is there twice"),
        ("FREQ=DAILY;BYSECOND=1", "nothing recurs by seconds"),
        ("FREQ=YEARLY;BYWEEKNO=3", "BYWEEKNO"),
        ("FREQ=DAILY;COLOR=RED", "there is no part 'COLOR'"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be from 1 to 1,000"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR must be from 0 to 23"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "counts from 1"),
        ("FREQ=WEEKLY;BYDAY=2MO", "FREQ must be MONTHLY or YEARLY"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY must be days"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "not both"),
        ("FREQ=DAILY;UNTIL=20261301", "UNTIL must be like"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS chooses among"),
        ("FREQ=DAILY;BYHOUR=1;BYMINUTE=0,1,2", "more often than every 5 minutes"),
        ("FREQ=HOURLY;BYMINUTE=0,58", "more often than every 5 minutes"),
        ("FREQ=DAILY;" + "X" * 600, "more than 500 characters"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told(rule: str, reason: str) -> None:
    with pytest.raises(InvalidRruleError, match=reason):
        parse(rule)


@settings(max_examples=50)
@given(st.text(st.characters(codec="ascii"), max_size=30) | st.text(max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    for one in (text, f"FREQ=DAILY;{text}", f"FREQ=DAILY;UNTIL={text}", f"FREQ=MONTHLY;BYDAY={text}"):
        with suppress(InvalidRruleError):
            parse(one)


def test_utc_of_until_is_utc() -> None:
    assert parse("FREQ=DAILY;UNTIL=20270101T120000Z").until == datetime(2027, 1, 1, 12, tzinfo=UTC)
