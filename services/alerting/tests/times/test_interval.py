"""Time intervals: Alertmanager's semantics, every change found, and what is written wrong."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_alerting.times.interval import TimeInterval, changes, contains
from vigie_alerting.times.muting import inactive
from vigie_alerting.times.reading import MONTHS, WEEKDAYS, interval, written
from vigie_query.errors import InvalidParameter
from vigie_query.times import DAY, HOUR, MINUTE

from tests.kit.cpu import cpu_at_most


def at(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


SPRING, AUTUMN = at("2026-03-29T00:00"), at("2026-10-25T00:00")
times = st.integers(SPRING - 3 * DAY, SPRING + 3 * DAY) | st.integers(AUTUMN - 3 * DAY, AUTUMN + 3 * DAY)


def ranges(values: list[Any]) -> st.SearchStrategy[list[str]]:
    pair = st.tuples(st.integers(0, len(values) - 1), st.integers(0, len(values) - 1)).map(sorted)
    text = pair.map(lambda two: f"{values[two[0]]}:{values[two[1]]}" if two[0] < two[1] else str(values[two[0]]))
    return st.lists(text, max_size=2)


@st.composite
def parts(draw: st.DrawFn) -> dict[str, Any]:
    minutes = draw(st.lists(st.sampled_from([0, 90, 150, 540, 1_020, 1_440]), max_size=2, unique=True).map(sorted))
    clock = [f"{one // 60:02d}:{one % 60:02d}" for one in minutes]
    made: dict[str, Any] = {
        "weekdays": draw(ranges(list(WEEKDAYS))),
        "days_of_month": draw(ranges([1, 15, 28, 29, 31]) | ranges([-31, -3, -2, -1])),
        "months": draw(ranges(list(MONTHS)) | ranges(list(range(1, 13)))),
        "years": draw(st.sampled_from([[], ["2026"], ["2020:2025"]])),
        "location": draw(st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe"])),
    }
    return made | ({"times": [{"start_time": clock[0], "end_time": clock[1]}]} if len(clock) == 2 else {})


def naive(part: Mapping[str, Any], at_ms: int) -> bool:
    local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(part["location"]))
    length = calendar.monthrange(local.year, local.month)[1]

    def among(name: str, values: list[Any], mine: int) -> bool:
        spans = [one.partition(":") for one in part[name]]
        found = [(values.index(first), values.index(last or first)) for first, _, last in spans]
        return not spans or any(first <= mine <= last for first, last in found)

    if said := part.get("times"):
        clock = f"{local:%H:%M}"
        if not said[0]["start_time"] <= clock < said[0]["end_time"]:
            return False
    months = list(MONTHS)
    named = [{**part, "months": [_named(one) for one in part["months"]]}][0]
    part = named
    days = [one.partition(":") for one in part["days_of_month"]]
    day = not days or any(
        resolved(first, length) <= local.day <= resolved(last or first, length) for first, _, last in days
    )
    return (
        day
        and among("weekdays", list(WEEKDAYS), (local.weekday() + 1) % 7)
        and among("months", months, local.month - 1)
        and (not part["years"] or any(_year(one, local.year) for one in part["years"]))
    )


def _named(text: str) -> str:
    return ":".join(MONTHS[int(one) - 1] if one.isdigit() else one for one in text.split(":"))


def _year(text: str, year: int) -> bool:
    first, _, last = text.partition(":")
    return int(first) <= year <= int(last or first)


def resolved(text: str, length: int) -> int:
    return int(text) if int(text) > 0 else length + int(text) + 1


@settings(max_examples=300, deadline=None)
@given(parts(), times)
def test_a_time_lies_in_an_interval_when_the_definition_says(part: dict[str, Any], at_ms: int) -> None:
    assert contains(interval([part]), at_ms) is naive(part, at_ms)


@settings(max_examples=100, deadline=None)
@given(st.lists(parts(), min_size=1, max_size=2), times)
def test_nothing_changes_between_the_times_at_which_it_may(some: list[dict[str, Any]], at_ms: int) -> None:
    made = interval(some)
    until = next(changes([made], at_ms), at_ms + 180 * DAY)
    assert until > at_ms
    now = contains(made, at_ms)
    for moment in range(at_ms, until, max(1, (until - at_ms) // 50)):
        assert contains(made, moment) is now
    assert contains(made, until - 1) is now


@given(parts())
def test_what_is_written_reads_the_same(part: dict[str, Any]) -> None:
    made = interval([part])
    assert interval([written(one) for one in made.parts]) == made


OFFICE = interval(
    [
        {
            "weekdays": ["monday:friday"],
            "times": [{"start_time": "09:00", "end_time": "17:00"}],
            "location": "Europe/Paris",
        }
    ]
)
NIGHT = interval(
    [
        {"times": [{"start_time": "22:00", "end_time": "24:00"}]},
        {"times": [{"start_time": "00:00", "end_time": "06:00"}]},
    ]
)
HELD: dict[str, TimeInterval] = {"office": OFFICE, "night": NIGHT}


def test_a_route_that_is_active_in_office_hours_tells_nobody_on_a_weekend() -> None:
    saturday = at("2026-03-28T12:00", "Europe/Paris")
    found = inactive(HELD, (), ("office",), saturday)
    assert found is not None
    assert found.until_ms == at("2026-03-30T09:00", "Europe/Paris"), "nine on Monday, after an hour was skipped"
    assert found.detail == "its route is active only in 'office', until 2026-03-30T07:00:00.000Z"
    assert inactive(HELD, (), ("office",), at("2026-03-30T09:00", "Europe/Paris")) is None


def test_a_route_that_is_muted_at_night_tells_nobody_until_the_night_is_over() -> None:
    found = inactive(HELD, ("night",), (), at("2026-03-28T23:00"))
    assert found is not None
    assert (found.by, found.until_ms) == ("night", at("2026-03-29T06:00"))
    assert inactive(HELD, ("night",), (), at("2026-03-29T06:00")) is None
    both = inactive(HELD, ("night",), ("office",), at("2026-03-27T23:00"))
    assert both is not None
    assert both.until_ms == at("2026-03-30T07:00")


def test_an_interval_that_is_not_there_leaves_nobody_unpaged() -> None:
    assert inactive(HELD, ("gone",), (), SPRING) is None
    assert inactive(HELD, (), ("gone",), SPRING) is None
    assert inactive(HELD, (), ("office", "gone"), SPRING) is None


@pytest.mark.parametrize(
    ("part", "field", "reason"),
    [
        ({"weekdays": ["monday:sunday"]}, "weekdays[0]", "ends before it begins"),
        ({"weekdays": ["moonday"]}, "weekdays[0]", "must be one of sunday"),
        ({"days_of_month": ["0"]}, "days_of_month[0]", "from 1 to 31"),
        ({"days_of_month": ["-1:5"]}, "days_of_month[0]", "begins at the end of the month"),
        ({"days_of_month": ["5:1"]}, "days_of_month[0]", "ends before"),
        ({"months": ["13"]}, "months[0]", "must be one of january"),
        ({"years": ["1:2"]}, "years[0]", "a year from 1970"),
        ({"times": [{"start_time": "17:00", "end_time": "09:00"}]}, "times[0]", "a night has two"),
        ({"times": [{"start_time": "24:01", "end_time": "24:00"}]}, "times[0].start_time", "00:00 to 24:00"),
        ({"times": ["09:00"]}, "times[0]", "start_time and end_time"),
        ({"location": "Mars"}, "location", "IANA"),
        ({"weekday": ["monday"]}, "weekday", "is not known"),
        ({"weekdays": "monday"}, "weekdays", "must be a list"),
    ],
)
def test_what_is_wrong_with_an_interval_is_told_with_its_place(part: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(InvalidParameter, match=reason) as refused:
        interval([{}, part])
    assert refused.value.field == f"timeIntervals[1].{field}"


def test_an_interval_that_says_nothing_is_always() -> None:
    assert contains(interval([{}]), SPRING)
    assert next(changes([interval([{}])], SPRING + HOUR)) == SPRING + DAY
    assert MINUTE < HOUR


def test_an_interval_of_many_parts_that_never_holds_again_costs_little() -> None:
    part = {"times": [{"start_time": "09:00", "end_time": "17:00"}], "years": ["1970"]}
    made = interval([{**part, "location": zone} for zone in ("Europe/Paris", "UTC", "Asia/Kathmandu", "UTC") * 25])
    with cpu_at_most(0.1):
        assert list(changes([made], SPRING)) == []
        assert inactive({"never": made}, (), ("never",), SPRING) is not None


def test_a_change_is_found_behind_months_in_which_nothing_changes() -> None:
    part = {"times": [{"start_time": "09:00", "end_time": "17:00"}], "months": ["august"]}
    assert next(changes([interval([part])], SPRING)) == at("2026-08-01T09:00")


def test_the_lists_of_an_interval_have_only_so_many_entries_in_all() -> None:
    part = {"days_of_month": [str(at % 31 + 1) for at in range(100)], "months": ["august"]}
    with pytest.raises(InvalidParameter, match="have at most 500 entries, not 505"):
        interval([part] * 5)
    assert interval([part] * 4)
