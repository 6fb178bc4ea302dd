"""Times, durations and steps as users write them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from vigie_query.errors import InvalidParameter, QueryLimitExceeded
from vigie_query.grid import MAX_POINTS, default_step, single, stepped
from vigie_query.ranges import parse_range, parse_zone
from vigie_query.times import DAY, HOUR, MINUTE, iso, parse_duration, parse_time

NOW = 1_790_000_123_456


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("now-1h", NOW - HOUR),
        ("now+10s", NOW + 10_000),
        ("1700000000000", 1_700_000_000_000),
        ("2026-01-31T12:00:00Z", ms("2026-01-31T12:00:00+00:00")),
        ("2026-01-31t12:00:00.250+01:00", ms("2026-01-31T11:00:00.250+00:00")),
    ],
)
def test_times_are_understood(text: str, expected: int) -> None:
    assert parse_time(text, "from", NOW) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "now-", "now-1y", "-5", "2026-13-01T00:00:00Z", "2026-01-31", "1e12", "9" * 16, "now-1h\n", "٣"],
)
def test_other_times_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^from: "):
        parse_time(text, "from", NOW)


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59Z", "253402300799999", "now+400d", "now+10000d", "1969-12-31T23:59:59Z",
     "0001-01-01T00:00:00Z", "now-10000w", "9999-12-31T23:59:59-23:59"],
)  # fmt: skip
def test_times_far_ahead_or_before_the_epoch_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^to: "):
        parse_time(text, "to", NOW)


def test_durations_are_seconds_or_have_a_unit() -> None:
    assert [parse_duration(text, "step") for text in ("90", "90s", "1m", "2h", "1d", "500ms")] == [
        90_000, 90_000, MINUTE, 2 * HOUR, DAY, 500,
    ]  # fmt: skip
    for text in ("0", "-1", "1.5m", "m", "1y", "99999999d"):
        with pytest.raises(InvalidParameter):
            parse_duration(text, "step")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("-10", "must be more than zero"), ("0s", "must be more than zero"),
        ("9" * 20 + "d", "is too long: must be at most 10000d"), ("9" * 5_000, "is too long"),
        ("10001d", "is too long"),
        ("2y", "y is not a unit of time: take one of ms, s, m, h, d, w"), ("5M", "M is not a unit of time"),
        ("1h30m", "one number with one unit"), ("", "one number with one unit"), ("1.5m", "one number with one unit"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_wrong_with_a_duration(text: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^step: .*{sentence}"):
        parse_duration(text, "step")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("now-2y", "y is not a unit of time"), ("now-1h30m", "must be milliseconds since 1970"),
     ("now-0", "more than zero"), ("now-" + "9" * 40 + "d", "is too long")],
)  # fmt: skip
def test_a_refusal_says_what_is_wrong_with_a_relative_time(text: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^from: .*{sentence}"):
        parse_time(text, "from", NOW)


def test_iso_has_milliseconds_and_z() -> None:
    assert iso(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"


def test_steps_cover_the_range_aligned_to_the_epoch() -> None:
    grid = stepped(NOW - HOUR, NOW, MINUTE)
    assert grid.start <= NOW - HOUR < grid.start + MINUTE
    assert grid.end - MINUTE < NOW <= grid.end
    assert (grid.edges % MINUTE == 0).all()
    assert (np.diff(grid.edges) == MINUTE).all()


def test_a_range_inside_one_step_gives_that_step() -> None:
    grid = stepped(HOUR + 5, HOUR + 6, HOUR)
    assert grid.edges.tolist() == [HOUR, 2 * HOUR]


def test_days_follow_the_calendar_of_the_zone() -> None:
    paris = ZoneInfo("Europe/Paris")
    grid = stepped(ms("2026-03-28T12:00:00+01:00"), ms("2026-03-30T12:00:00+02:00"), DAY, paris)
    assert [datetime.fromtimestamp(edge / 1000, paris).isoformat() for edge in grid.edges] == [
        "2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00",
        "2026-03-31T00:00:00+02:00",
    ]  # fmt: skip
    assert np.diff(grid.edges).tolist() == [DAY, DAY - HOUR, DAY]


def test_hours_of_a_half_hour_zone_begin_at_its_midnight() -> None:
    grid = stepped(ms("2026-03-28T12:00:00+05:30"), ms("2026-03-28T20:00:00+05:30"), 6 * HOUR, ZoneInfo("Asia/Kolkata"))
    assert iso(grid.start) == "2026-03-28T06:30:00.000Z"


def test_steps_that_windows_cannot_give_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="multiple of 10s"):
        stepped(0, HOUR, 15_000)
    with pytest.raises(QueryLimitExceeded, match="more than the 2000"):
        stepped(0, MAX_POINTS * 180_000 + 1_000, 10_000)


@pytest.mark.parametrize("length", [1, MINUTE, HOUR, DAY, 7 * DAY, 30 * DAY, 400 * DAY])
def test_the_default_step_gives_few_points(length: int) -> None:
    step = default_step(NOW - length, NOW)
    assert step % 10_000 == 0
    assert length / step <= 300


def test_one_step_for_a_range_is_rounded_outwards() -> None:
    grid = single(NOW - 30 * DAY, NOW)
    assert grid.steps == 1
    assert grid.start % HOUR == 0
    assert grid.start <= NOW - 30 * DAY
    assert NOW <= grid.end < NOW + 10_000


def test_rates_of_the_running_step_count_only_the_time_passed() -> None:
    grid = stepped(0, 2 * MINUTE, MINUTE)
    assert grid.seconds(MINUTE + 30_000).tolist() == [60.0, 30.0]
    assert grid.seconds(MINUTE + 1).tolist() == [60.0, 10.0]


def test_a_period_excludes_from_and_to() -> None:
    assert parse_range("7d", None, None, "24h", NOW).from_ms == NOW - 7 * DAY
    assert parse_range(None, None, None, "24h", NOW).period == "24h"
    assert parse_range(None, "now-2h", "now-1h", "24h", NOW).to_ms == NOW - HOUR
    for wrong in (("7d", "now-1h", None), (None, "now", "now-1h"), (None, "now+1h", None)):
        with pytest.raises(InvalidParameter):
            parse_range(*wrong, "24h", NOW)


def test_zones_are_iana_names() -> None:
    assert parse_zone(None) is None
    assert parse_zone("Europe/Paris") == ZoneInfo("Europe/Paris")
    for name in ("Mars/Olympus", "../etc/passwd", "", "/etc/localtime", "a" * 64):
        with pytest.raises(InvalidParameter):
            parse_zone(name)


def test_the_clock_is_in_utc() -> None:
    assert datetime.fromtimestamp(NOW / 1000, UTC).isoformat().startswith(iso(NOW)[:19])
