"""Time intervals as they are written in Alertmanager's configuration: `monday:friday`, `09:00`, `-3:-1`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vigie_contracts.problems import shortened
from vigie_query.errors import InvalidParameter

from vigie_alerting.times.interval import MAX_ENTRIES, MAX_PARTS, MINUTES_OF_DAY, Part, Range, TimeInterval

WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_CLOCK: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)\Z", re.ASCII)
_NUMBER: Final = re.compile(r"-?\d{1,4}\Z", re.ASCII)
_KEYS: Final = frozenset({"times", "weekdays", "days_of_month", "months", "years", "location"})


def interval(parts: Sequence[Any], field: str = "timeIntervals", comment: str = "") -> TimeInterval:
    """From the list `time_intervals` of a named interval: mappings as Alertmanager's YAML has them. Raises
    InvalidParameter, with the place that is wrong."""
    if not 1 <= len(parts) <= MAX_PARTS:
        raise InvalidParameter(field, f"a time interval has 1 to {MAX_PARTS} parts, not {len(parts)}")
    made = TimeInterval(tuple(_part(one, f"{field}[{at}]") for at, one in enumerate(parts)), comment)
    lists = (all_ for one in made.parts for all_ in (one.times, one.weekdays, one.days_of_month, one.months, one.years))
    if (count := sum(map(len, lists))) > MAX_ENTRIES:
        raise InvalidParameter(field, f"the lists of a time interval have at most {MAX_ENTRIES} entries, not {count:,}")
    return made


def written(part: Part) -> dict[str, Any]:
    """As `interval` reads it; what it does not say is left out."""
    found: dict[str, Any] = {}
    if part.times:
        found["times"] = [{"start_time": _clock(first), "end_time": _clock(end)} for first, end in part.times]
    for name, ranges, show in (
        ("weekdays", part.weekdays, lambda day: WEEKDAYS[day]),
        ("days_of_month", part.days_of_month, str),
        ("months", part.months, lambda month: MONTHS[month - 1]),
        ("years", part.years, str),
    ):
        if ranges:
            found[name] = [show(first) if first == last else f"{show(first)}:{show(last)}" for first, last in ranges]
    return found | ({} if part.location == "UTC" else {"location": part.location})


def _part(value: Any, field: str) -> Part:
    if not isinstance(value, Mapping):
        raise InvalidParameter(field, "must say times, weekdays, days_of_month, months, years or location")
    said: Mapping[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
    if unknown := sorted(set(said) - _KEYS):
        raise InvalidParameter(
            f"{field}.{shortened(unknown[0])}", f"is not known: there are {', '.join(sorted(_KEYS))}"
        )
    return Part(
        times=tuple(_time(one, f"{field}.times[{at}]") for at, one in enumerate(_list(said, "times", field))),
        weekdays=_ranges(said, "weekdays", field, _named(WEEKDAYS, 0)),
        days_of_month=_ranges(said, "days_of_month", field, _day_of_month),
        months=_ranges(said, "months", field, _named(MONTHS, 1)),
        years=_ranges(said, "years", field, _number(1970, 9_998, "a year")),
        location=_location(said.get("location") or "UTC", f"{field}.location"),
    )


def _list(said: Mapping[str, Any], name: str, field: str) -> Sequence[Any]:
    found = said.get(name) or ()
    if not isinstance(found, list | tuple) or len(found) > MAX_PARTS:  # pyright: ignore[reportUnknownArgumentType]
        raise InvalidParameter(f"{field}.{name}", f"must be a list of at most {MAX_PARTS}")
    return found  # pyright: ignore[reportUnknownVariableType]


def _ranges(said: Mapping[str, Any], name: str, field: str, read: Callable[[str, str], int]) -> tuple[Range, ...]:
    return tuple(_range(str(one), f"{field}.{name}[{at}]", read) for at, one in enumerate(_list(said, name, field)))


def _range(text: str, field: str, read: Callable[[str, str], int]) -> Range:
    begin, colon, end = text.strip().lower().partition(":")
    first = read(begin.strip(), field)
    last = read(end.strip(), field) if colon else first
    if first < 0 < last:
        raise InvalidParameter(field, f"{shortened(text)!r} begins at the end of the month and ends at its beginning")
    if (first < 0) is (last < 0) and first > last:
        raise InvalidParameter(field, f"{shortened(text)!r} ends before it begins; a week goes from Sunday to Saturday")
    return first, last


def _time(value: Any, field: str) -> Range:
    if not isinstance(value, Mapping):
        raise InvalidParameter(field, "must say start_time and end_time")
    said: Mapping[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
    first, end = (_minute(said.get(name), f"{field}.{name}") for name in ("start_time", "end_time"))
    if first >= end:
        raise InvalidParameter(field, "start_time must be before end_time; a night has two: to 24:00, and from 00:00")
    return first, end


def _minute(value: Any, field: str) -> int:
    match = _CLOCK.match(str(value))
    minute = MINUTES_OF_DAY + 1 if match is None else 60 * int(match[1]) + int(match[2])
    if minute > MINUTES_OF_DAY:
        raise InvalidParameter(field, f"must be from 00:00 to 24:00, but is {shortened(str(value))!r}")
    return minute


def _named(names: Sequence[str], first: int) -> Callable[[str, str], int]:
    """By name; months by their number too."""

    def read(text: str, field: str) -> int:
        if text in names:
            return names.index(text) + first
        if first and _NUMBER.match(text) and first <= int(text) < first + len(names):
            return int(text)
        raise InvalidParameter(field, f"must be one of {', '.join(names)}, but is {shortened(text)!r}")

    return read


def _number(least: int, most: int, what: str) -> Callable[[str, str], int]:
    def read(text: str, field: str) -> int:
        if not _NUMBER.match(text) or not least <= int(text) <= most:
            raise InvalidParameter(field, f"must be {what} from {least} to {most}, but is {shortened(text)!r}")
        return int(text)

    return read


def _day_of_month(text: str, field: str) -> int:
    if not _NUMBER.match(text) or not 1 <= abs(int(text)) <= 31:
        raise InvalidParameter(
            field, f"must be a day from 1 to 31, or -31 to -1 from the end, but is {shortened(text)!r}"
        )
    return int(text)


def _location(value: Any, field: str) -> str:
    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidParameter(field, "must be the IANA name of a time zone: Europe/Paris, UTC") from None


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
