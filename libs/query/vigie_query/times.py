"""Parses and formats times and durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from vigie_query.errors import InvalidParameter

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

UNITS: Final = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
PERIODS: Final = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}

MAX_AHEAD_MS: Final = 366 * DAY
"""How far beyond now a time may be: enough for "the end of this year"; a far future leaves what a calendar can say."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION: Final = re.compile(r"(\d{1,15})(ms|s|m|h|d|w)\Z", re.ASCII)
_RELATIVE: Final = re.compile(r"now(?:([+-])(\w{2,18}))?\Z", re.ASCII)
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
    match = _DURATION.match(text)
    seconds = text if _MILLISECONDS.match(text) else None
    if match is None and seconds is None:
        raise InvalidParameter(field, "must be a number of seconds, or a number with a unit: 10s, 5m, 1h, 1d")
    duration = int(match[1]) * UNITS[match[2]] if match else int(text) * SECOND
    if not 0 < duration <= 10_000 * DAY:
        raise InvalidParameter(field, "must be more than zero and at most 10000d")
    return duration


def parse_time(text: str, field: str, now_ms: int) -> int:
    """Milliseconds since the epoch of what `_HOW` says."""
    if _MILLISECONDS.match(text):
        return _checked(int(text), field, now_ms)
    if match := _RELATIVE.match(text):
        distance = parse_duration(match[2], field) if match[2] else 0
        return _checked(now_ms - distance if match[1] == "-" else now_ms + distance, field, now_ms)
    if _RFC3339.match(text):
        try:
            moment = datetime.fromisoformat(text.upper())
            return _checked(round(moment.timestamp() * 1000), field, now_ms)
        except (ValueError, OverflowError):
            raise InvalidParameter(field, _HOW) from None
    raise InvalidParameter(field, _HOW)


def _checked(timestamp_ms: int, field: str, now_ms: int) -> int:
    if not 0 <= timestamp_ms <= now_ms + MAX_AHEAD_MS:
        raise InvalidParameter(field, "must be between 1970 and a year from now")
    return timestamp_ms


def parse_period(text: str) -> int:
    """Milliseconds of one of the named periods."""
    if text not in PERIODS:
        raise InvalidParameter("period", f"must be one of {', '.join(PERIODS)} (or give from and to)")
    return PERIODS[text]
