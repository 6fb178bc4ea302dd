"""Local days: each instant is in exactly one, days follow each other without a gap, hours are those of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from vigie_contracts import days

HOUR_MS = 3_600_000
# Changes of an hour, of half an hour, at midnight, over midnight, of a whole day; none.
ZONES = (
    "UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo",
    "America/Havana", "Africa/Cairo", "Asia/Beirut", "Pacific/Apia", "America/St_Johns", "Asia/Kathmandu",
    "America/Toronto",
)  # fmt: skip

zones = st.sampled_from(ZONES)
instants = st.integers(0, 4_000_000_000_000)


def ms(text: str) -> int:
    return days.to_ms(datetime.fromisoformat(text))


@given(zones, instants)
@example("America/St_Johns", 1_194_142_259_000)  # Clocks went from 00:01 back to 23:01 of the day before.
@example("Pacific/Apia", 1_325_239_200_000)  # 30 December 2011 did not happen.
@example("America/Toronto", 0)
def test_every_instant_is_in_one_day_and_days_follow_each_other(zone: str, at: int) -> None:
    day = days.day_of(zone, at)
    assert day.start_ms <= at < day.end_ms
    assert 0 <= day.hour(at) < day.hours <= 25
    assert days.day_of(zone, day.start_ms) == days.day_of(zone, day.end_ms - 1) == day
    after = days.day_of(zone, day.end_ms)
    assert after.start_ms == day.end_ms
    assert after.name > day.name
    assert days.day_before(zone, after) == day
    assert days.day_named(zone, day.name) == day


@given(zones, st.integers(1_640_995_200_000, 2_145_916_800_000))
def test_the_day_is_the_date_that_the_clocks_of_the_zone_show(zone: str, at: int) -> None:
    assert days.day_of(zone, at).name == days.to_datetime(at).astimezone(ZoneInfo(zone)).date().isoformat()


@given(zones, instants, st.integers(-30 * HOUR_MS, 30 * HOUR_MS))
def test_hours_begun_are_none_before_a_day_and_all_after_it(zone: str, at: int, off: int) -> None:
    day = days.day_of(zone, at)
    now = day.start_ms + off
    naive = sum(day.start_ms + hour * HOUR_MS <= now for hour in range(day.hours))
    assert day.hours_begun(now) == naive


@given(st.integers(-(10**12), 10**14))
def test_instants_are_exact_to_the_millisecond(at: int) -> None:
    assert days.to_ms(days.to_datetime(at)) == at


def test_parts_of_a_millisecond_are_cut_off() -> None:
    assert days.to_ms(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=1999)) == 1


@pytest.mark.parametrize(
    ("zone", "day", "start", "end", "hours"),
    [
        ("UTC", "2026-11-21", "2026-11-21T00:00Z", "2026-11-22T00:00Z", 24),
        ("Europe/Paris", "2026-03-29", "2026-03-28T23:00Z", "2026-03-29T22:00Z", 23),
        ("Europe/Paris", "2026-10-25", "2026-10-24T22:00Z", "2026-10-25T23:00Z", 25),
        ("Asia/Kolkata", "2026-11-21", "2026-11-20T18:30Z", "2026-11-21T18:30Z", 24),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00Z", "2026-04-05T13:30Z", 25),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00Z", "2018-11-05T02:00Z", 23),  # from midnight to 01:00
        ("America/Havana", "2026-11-01", "2026-11-01T04:00Z", "2026-11-02T05:00Z", 25),  # midnight comes twice
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30Z", "1919-04-01T04:00Z", 24),  # from 23:30 to 00:30
    ],
)
def test_known_days(zone: str, day: str, start: str, end: str, hours: int) -> None:
    assert days.day_named(zone, day) == days.Day(day, ms(start), ms(end))
    assert days.day_named(zone, day).hours == hours


def test_an_hour_that_clocks_show_twice_is_two() -> None:
    day = days.day_named("Europe/Paris", "2026-10-25")
    assert [day.hour(ms(text)) for text in ("2026-10-25T00:30Z", "2026-10-25T01:30Z")] == [2, 3]


@pytest.mark.parametrize("name", ["", "Europe", "Paris", "/etc/localtime", "../UTC", "Europe/Paris\0"])
def test_what_is_no_time_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(days.UnknownZoneError, match="is no time zone"):
        days.zone(name)


@pytest.mark.parametrize("name", ["today", "2026-02-29", "2026-13-01"])
def test_what_is_no_date_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        days.day_named("UTC", name)
