"""Named times: `weekdays`, `office hours`. As Alertmanager's time intervals, with its semantics. Pure."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from heapq import merge
from itertools import groupby, islice
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

MAX_INTERVALS: Final = 200
"""Named ones of a tenant."""
MAX_PARTS: Final = 100
"""Of one of them."""
MAX_ENTRIES: Final = 500
"""Of the lists of all parts of one of them."""
MINUTES_OF_DAY: Final = 24 * 60
_STEPS: Final = 200
"""Times at which something may change, that are tried to find when it does."""
_DAYS: Final = 184
"""That are looked at for them: half a year."""
_DAY: Final = timedelta(days=1)
Range: TypeAlias = tuple[int, int]
"""From the first to the last, both included; of times, to before the last."""


class Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """All that is said must hold; what is empty always does. Of each list one range must."""

    times: tuple[Range, ...] = ()
    """Minutes of the day."""
    weekdays: tuple[Range, ...] = ()
    """Sunday is 0, Saturday 6."""
    days_of_month: tuple[Range, ...] = ()
    """From 1; negative ones count from the end, -1 is the last day."""
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    location: str = "UTC"
    """IANA: whose clock and calendar."""


class TimeInterval(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Holds whenever one of its parts does. Stored by its name."""

    parts: tuple[Part, ...]
    comment: str = ""


def contains(interval: TimeInterval, at_ms: int) -> bool:
    """Whether the time lies in it."""
    return any(_holds(part, _local(part, at_ms)) for part in interval.parts)


def changes(intervals: Sequence[TimeInterval], at_ms: int) -> Iterator[int]:
    """Times after that one at which any of them may begin or end, ascending, in the half year from then on: what they
    say of the days on which they hold."""
    by_clock: dict[str, list[Part]] = {}
    for part in (part for one in intervals for part in one.parts):
        by_clock.setdefault(part.location, []).append(part)
    found = merge(*(_moments(zone(name), parts, at_ms) for name, parts in by_clock.items()))
    yield from islice((at for at, _ in groupby(found)), _STEPS)


def _holds(part: Part, local: datetime) -> bool:
    minute = 60 * local.hour + local.minute
    if part.times and not any(first <= minute < end for first, end in part.times):
        return False
    return _is_day(part, local.date())


def _is_day(part: Part, day: date) -> bool:
    return (
        _in(part.years, day.year)
        and _in(part.months, day.month)
        and _in(part.weekdays, (day.weekday() + 1) % 7)
        and (not part.days_of_month or _in_month(part.days_of_month, day))
    )


def _in(ranges: Sequence[Range], value: int) -> bool:
    return not ranges or any(first <= value <= last for first, last in ranges)


def _in_month(ranges: Sequence[Range], day: date) -> bool:
    """What reaches beyond a short month ends with it."""
    end = calendar.monthrange(day.year, day.month)[1] + 1
    return any(
        (first if first > 0 else end + first) <= day.day <= (last if last > 0 else end + last) for first, last in ranges
    )


def _local(part: Part, at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, zone(part.location))


def _moments(known: ZoneInfo, parts: Sequence[Part], at_ms: int) -> Iterator[int]:
    """Those of parts that go by one clock, from the day before on: its last hour may come twice."""
    day = datetime.fromtimestamp(at_ms / 1000, known).date() - _DAY
    for _ in range(_DAYS):
        minutes = {
            minute
            for part in parts
            if _is_day(part, day)
            for one in part.times or ((0, MINUTES_OF_DAY),)
            for minute in one
        }
        yield from sorted(moment for one in minutes if (moment := _moment(known, day, one)) > at_ms)
        day += _DAY


def _moment(known: ZoneInfo, day: date, minute: int) -> int:
    wall = datetime.combine(day, time(), known) + timedelta(minutes=minute)
    return round(wall.timestamp() * 1000)


@lru_cache(256)
def zone(name: str) -> ZoneInfo:
    """UTC where there is no such zone any more: intervals are judged when they are written."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
