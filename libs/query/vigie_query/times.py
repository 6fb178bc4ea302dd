"""Parses and formats times and durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from vigie_contracts.problems import shortened

from vigie_query.errors import InvalidParameter

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

UNITS: Final = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
PERIODS: Final = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}

_LONGEST: Final = 10_000 * DAY
MAX_AHEAD_MS: Final = 366 * DAY
"""How far beyond now a time may be: enough for "the end of this year"; a far future leaves what a calendar can say."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_DIGITS: Final = 15
_DURATION: Final = re.compile(r"(-?)(\d+)([A-Za-z]*)\Z", re.ASCII)
_RELATIVE: Final = re.compile(r"now(?:([+-])(\w+))?\Z", re.ASCII)
_MILLISECONDS: Final = re.compile(r"\d{1,15}\Z", re.ASCII)
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
_HOW: Final = "must be milliseconds since 1970, an RFC 3339 time (2026-01-31T12:00:00Z), or relative: now, now-1h"


def iso(timestamp_ms: int) -> str:
    """`2026-01-31T12:00:00.000Z`."""
    moment = datetime.fromtimestamp(timestamp_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{timestamp_ms % 1000:03d}Z"


def iso_of(moment: datetime) -> str:
    """The same of a moment with a zone; what is less than a millisecond is cut off."""
    return iso((moment - _EPOCH) // timedelta(milliseconds=1))


def duration(length_ms: int) -> str:
    """`90s`, `5m`, `36h`, `2d`: as `parse_duration` takes it, in the largest unit that gives a whole number."""
    unit = next(name for name in ("d", "h", "m", "s", "ms") if length_ms % UNITS[name] == 0)
    return f"{length_ms // UNITS[unit]}{unit}"


def parse_duration(text: str, field: str) -> int:
    """Milliseconds of `90`, `90s`, `15m`, `1h`, `7d`; a bare number means seconds. Always positive."""
    return _length(text, field, "must be a number of seconds, or one number with one unit: 10s, 5m, 1h, 1d")


def _length(text: str, field: str, how: str) -> int:
    match = _DURATION.match(text)
    if match is None:
        raise InvalidParameter(field, how)
    sign, digits, unit = match.groups()
    if (unit or "s") not in UNITS:
        raise InvalidParameter(field, f"{shortened(unit)} is not a unit of time: take one of {', '.join(UNITS)}")
    length = int(digits) * UNITS[unit or "s"] if len(digits) <= _MAX_DIGITS else _LONGEST + 1
    if sign or length == 0:
        raise InvalidParameter(field, "must be more than zero")
    if length > _LONGEST:
        raise InvalidParameter(field, f"is too long: must be at most {duration(_LONGEST)}")
    return length


def parse_time(text: str, field: str, now_ms: int) -> int:
    """Milliseconds since the epoch of what `_HOW` says."""
    if _MILLISECONDS.match(text):
        return _checked(int(text), field, now_ms)
    if match := _RELATIVE.match(text):
        distance = _length(match[2], field, _HOW) if match[2] else 0
        return _checked(now_ms - distance if match[1] == "-" else now_ms + distance, field, now_ms)
    if (moment := rfc3339_ms(text)) is not None:
        return _checked(moment, field, now_ms)
    raise InvalidParameter(field, _HOW)


def rfc3339_ms(text: str) -> int | None:
    """Milliseconds since the epoch of an RFC 3339 time; None when the text is none."""
    if not _RFC3339.match(text):
        return None
    try:
        return round(datetime.fromisoformat(text.upper()).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _checked(timestamp_ms: int, field: str, now_ms: int) -> int:
    if not 0 <= timestamp_ms <= now_ms + MAX_AHEAD_MS:
        raise InvalidParameter(field, "must be between 1970 and a year from now")
    return timestamp_ms


def parse_period(text: str) -> int:
    """Milliseconds of one of the named periods."""
    if text not in PERIODS:
        raise InvalidParameter("period", f"must be one of {', '.join(PERIODS)} (or give from and to)")
    return PERIODS[text]
