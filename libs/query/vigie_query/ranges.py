"""The time range of a request."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vigie_query.errors import InvalidParameter
from vigie_query.times import parse_period, parse_time


@dataclass(frozen=True, slots=True)
class TimeRange:
    """`period` is its name, when it was asked for by name."""

    from_ms: int
    to_ms: int
    period: str | None


def parse_range(period: str | None, from_: str | None, to: str | None, default: str, now_ms: int) -> TimeRange:
    """from and to, or a period up to now. `to` is now by default; `from` a default period before `to`."""
    if from_ is None and to is None:
        name = period or default
        return TimeRange(now_ms - parse_period(name), now_ms, name)
    if period is not None:
        raise InvalidParameter("period", "cannot be given together with from or to")
    end = now_ms if to is None else parse_time(to, "to", now_ms)
    start = end - parse_period(default) if from_ is None else parse_time(from_, "from", now_ms)
    if start >= end:
        raise InvalidParameter("from", "must be before to" if to is not None else "must be in the past")
    return TimeRange(max(start, 0), end, None)


def parse_zone(name: str | None) -> ZoneInfo | None:
    """The time zone of an IANA name (`Europe/Paris`); None for UTC."""
    if name is None or name == "UTC":
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidParameter("timezone", "must be the IANA name of a time zone: Europe/Paris, UTC") from None
