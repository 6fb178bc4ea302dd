"""Calendar days of a time zone, as instants: where a local day begins and ends, and which hour of it an instant is.

A day has 24 hours, 23 or 25 when clocks change, and parts of an hour where they change by less. Hours are counted from
the start of the day, so an hour that clocks show twice is two.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from vigie_contracts.problems import shortened
from vigie_contracts.tiers import HOUR

END_MS: Final = 253_370_764_800_000
"""The start of the year 9999. What a message says of 1970 to 9998 can be stored: its days, in any zone, begin and end
in years that dates can name. No gateway takes anything nearly as far off, but a record may come from elsewhere."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_DAY: Final = timedelta(days=1)
_ONE_MS: Final = timedelta(milliseconds=1)


class UnknownZoneError(ValueError):
    """No time zone has this name. The text is a sentence for people."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{shortened(name)!r} is no time zone that this machine knows; names look like Europe/Paris or UTC"
        )


@dataclass(frozen=True, slots=True)
class Day:
    """`name` is YYYY-MM-DD; the day is [start_ms, end_ms), milliseconds since the Unix epoch."""

    name: str
    start_ms: int
    end_ms: int

    @property
    def hours(self) -> int:
        """How many hours the day has, a begun one included."""
        return -(-(self.end_ms - self.start_ms) // HOUR.width_ms)

    def hour(self, ms: int) -> int:
        """Which hour of the day an instant of it is in, from 0."""
        return (ms - self.start_ms) // HOUR.width_ms

    def hours_begun(self, now_ms: int) -> int:
        """How many hours of the day have begun: none before the day, all of them after it."""
        return min(max(self.hour(now_ms) + 1, 0), self.hours)


def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises UnknownZoneError."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # a path, a directory of zones, no such name
        raise UnknownZoneError(name) from None


def day_of(zone_name: str, ms: int) -> Day:
    """The day of that zone in which an instant lies. Raises UnknownZoneError."""
    tz = zone(zone_name)
    local = to_datetime(ms).astimezone(tz).date()
    found = _day(tz, local)
    # Where clocks went back over midnight, a date came twice: the instants belong to the first day that held them.
    while ms < found.start_ms:
        found = _day(tz, local := local - _ONE_DAY)
    while ms >= found.end_ms:
        found = _day(tz, local := local + _ONE_DAY)
    return found


def day_named(zone_name: str, day: str) -> Day:
    """The day that is written YYYY-MM-DD. Raises UnknownZoneError, and ValueError for what is no date."""
    return _day(zone(zone_name), date.fromisoformat(day))


def day_before(zone_name: str, day: Day) -> Day:
    """The day that ends where `day` starts."""
    return day_of(zone_name, day.start_ms - 1)


def to_datetime(ms: int) -> datetime:
    """Milliseconds since the Unix epoch as an instant in UTC: exact, where dividing by 1000 may round.

    Raises OverflowError outside of the years 1 to 9999: `ms` that somebody sent is compared with END_MS before."""
    return _EPOCH + ms * _ONE_MS


def to_ms(instant: datetime) -> int:
    """Milliseconds since the Unix epoch; parts of one are cut off. `instant` knows its zone."""
    return (instant - _EPOCH) // _ONE_MS


@lru_cache(maxsize=4096)
def _day(tz: ZoneInfo, day: date) -> Day:
    return Day(day.isoformat(), _start(tz, day), _start(tz, day + _ONE_DAY))


def _start(tz: ZoneInfo, day: date) -> int:
    """The first instant at which the zone's clocks show this date, or a later one where they skipped it."""
    first, second = (
        to_ms(datetime(day.year, day.month, day.day, fold=fold, tzinfo=tz).astimezone(UTC)) for fold in (0, 1)
    )
    if first <= second:  # midnight came once, or twice: then the first one counts
        return first
    # Clocks jumped over midnight, between `second` and `first`: somewhere there is the first instant after the jump.
    instants = range(second, first, 1000)
    at = bisect_left(instants, True, key=lambda ms: to_datetime(ms).astimezone(tz).date() >= day)
    return instants[at] if at < len(instants) else first
