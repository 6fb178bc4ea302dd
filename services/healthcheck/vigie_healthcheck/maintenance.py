"""When maintenance is: now, and next. Pure: time is a parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vigie_contracts.targets import Maintenance


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time of maintenance, from `starts_ms` to before `ends_ms`."""

    starts_ms: int
    ends_ms: int
    reason: str = ""

    def holds(self, at_ms: int) -> bool:
        return self.starts_ms <= at_ms < self.ends_ms


def current(planned: Sequence[Maintenance], at_ms: int) -> Occurrence | None:
    """The one that goes on; of several the one that ends last."""
    found = [one for plan in planned if (one := current_or_next(plan, at_ms)) is not None and one.holds(at_ms)]
    return max(found, key=lambda one: one.ends_ms, default=None)


def current_or_next(planned: Maintenance, at_ms: int) -> Occurrence | None:
    """The one that goes on, else the next; None: it is over."""
    return next((one for one in _occurrences(planned, at_ms) if one.ends_ms > at_ms), None)


def _occurrences(planned: Maintenance, at_ms: int) -> Iterator[Occurrence]:
    """The first one, and of repeated ones those around a time, ascending."""
    length = planned.ends_at - planned.starts_at
    yield Occurrence(planned.starts_at, planned.ends_at, planned.reason)
    days = 1 if planned.daily else 7 if planned.weekly else 0
    if not days or length <= 0:
        return
    zone = _zone(planned.time_zone)
    first = datetime.fromtimestamp(planned.starts_at / 1000, zone).replace(tzinfo=None)
    before = max(0, at_ms - planned.starts_at - length) // (days * 86_400_000)
    for count in range(max(1, before - 1), before + 4):  # a day of 23 hours may put it off by one
        begins = (first + timedelta(days=days * count)).replace(tzinfo=zone)
        starts = round(begins.timestamp() * 1000)
        yield Occurrence(starts, starts + length, planned.reason)


def _zone(name: str) -> ZoneInfo:
    """UTC where there is no such zone any more: definitions are judged when they are written."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
