"""Timestamps of samples: what senders write, as milliseconds, within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt
from vigie_contracts import limits

from vigie_publishing.errors import ItemError, Reason

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""An RFC 3339 string with its offset."""
Timestamp = int | Instant | None
"""Milliseconds since the epoch, RFC 3339, or absent: the gateway's clock."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FAR: Final = 1 << 62
# A number that would be right in another unit, in milliseconds per unit of that number.
_UNITS: Final = (("seconds", 1000, 1), ("microseconds", 1, 1000), ("nanoseconds", 1, 1_000_000))


def to_ms(stamp: int | datetime | None, now_ms: int) -> int:
    """Milliseconds; a number of any size is pulled into 64 bits, far outside every bound."""
    if stamp is None:
        return now_ms
    if isinstance(stamp, datetime):
        since = stamp - _EPOCH
        return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    return max(-_FAR, min(stamp, _FAR))


def column(stamps: Sequence[int | datetime | None], now_ms: int) -> npt.NDArray[np.int64]:
    """`to_ms` of every item, fast when all are numbers or all are absent."""
    if stamps.count(None) == len(stamps):
        return np.full(len(stamps), now_ms, np.int64)
    try:
        return np.array(stamps, np.int64)
    except (TypeError, OverflowError):
        return np.fromiter((to_ms(stamp, now_ms) for stamp in stamps), np.int64, len(stamps))


def bounds(now_ms: int, max_age_ms: int = limits.MAX_AGE_MS) -> tuple[int, int]:
    """The oldest and the newest timestamp that are taken."""
    return now_ms - max_age_ms, now_ms + limits.MAX_FUTURE_SKEW_MS


def check(ms: int, now_ms: int, field: str = "timestamp", max_age_ms: int = limits.MAX_AGE_MS) -> ItemError | None:
    """None when `ms` is within bounds."""
    oldest, newest = bounds(now_ms, max_age_ms)
    if oldest <= ms <= newest:
        return None
    return ItemError(Reason.TIMESTAMP, field, _complaint(ms, oldest, newest))


def _complaint(ms: int, oldest: int, newest: int) -> str:
    for unit, times, per in _UNITS:
        if oldest <= ms * times // per <= newest:
            return f"{ms} looks like {unit}; it must be milliseconds since 1970, or an RFC 3339 string"
    if ms > newest:
        return (
            f"{_said(ms)} is in the future: more than {limits.MAX_FUTURE_SKEW_MS // 60_000} minutes "
            f"ahead of this server's clock"
        )
    days = (newest - limits.MAX_FUTURE_SKEW_MS - oldest) // 86_400_000
    return f"{_said(ms)} is too old: more than {days} days ago"


def _said(ms: int) -> str:
    if abs(ms) >= _FAR:
        return "the number"
    try:
        return f"{ms} ({datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec='milliseconds')})"
    except (OverflowError, ValueError, OSError):
        return str(ms)
