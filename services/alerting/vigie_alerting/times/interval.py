"""Named times: `weekdays`, `office hours`. As Alertmanager's time intervals, with its semantics. Pure."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

MAX_INTERVALS: Final = 200
"""Named ones of a tenant."""
MAX_PARTS: Final = 100
"""Of one of them."""
MINUTES_OF_DAY: Final = 24 * 60
_STEPS: Final = 200
"""Times at which something may change, that are tried to find when it does: half a year of midnights."""
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
    """Times after that one at which any of them may begin or end, ascending: midnights, and what they say of a day."""
    parts = [part for one in intervals for part in one.parts]
    at = at_ms
    for _ in range(_STEPS if parts else 0):
        at = min(_next(part, at) for part in parts)
        yield at


def _holds(part: Part, local: datetime) -> bool:
    minute = 60 * local.hour + local.minute
    if part.times and not any(first <= minute < end for first, end in part.times):
        return False
    if part.days_of_month and not any(_day_in(local, one) for one in part.days_of_month):
        return False
    weekday = (local.weekday() + 1) % 7
    return _in(part.months, local.month) and _in(part.weekdays, weekday) and _in(part.years, local.year)


def _in(ranges: Sequence[Range], value: int) -> bool:
    return not ranges or any(first <= value <= last for first, last in ranges)


def _day_in(local: datetime, days: Range) -> bool:
    length = calendar.monthrange(local.year, local.month)[1]
    first, last = (one if one > 0 else length + one + 1 for one in days)
    return first <= local.day <= last  # what reaches beyond a short month ends with it


def _local(part: Part, at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, zone(part.location))


def _next(part: Part, at_ms: int) -> int:
    """The next midnight, or time of day that it says."""
    local = _local(part, at_ms)
    day = local.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0, fold=0)
    minutes = sorted({minute for one in part.times for minute in one} | {MINUTES_OF_DAY})
    known = zone(part.location)
    for minute in minutes:
        moment = round((day + timedelta(minutes=minute)).replace(tzinfo=known).timestamp() * 1000)
        if moment > at_ms:
            return moment
    return at_ms + 60_000  # a midnight that the clock skipped, or that comes twice: look again in a minute


@lru_cache(256)
def zone(name: str) -> ZoneInfo:
    """UTC where there is no such zone any more: intervals are judged when they are written."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
