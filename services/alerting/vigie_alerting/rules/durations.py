"""Durations as Prometheus writes them: `5m`, `1h30m`, `0`."""

from __future__ import annotations

import re
from typing import Final

from vigie_query.times import UNITS

_YEAR: Final = 365 * UNITS["d"]
_DURATION: Final = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?\Z", re.ASCII
)
_LENGTHS: Final = (_YEAR, UNITS["w"], UNITS["d"], UNITS["h"], UNITS["m"], UNITS["s"], 1)
_MAX_CHARS: Final = 32


def parse_duration(text: str) -> int:
    """Milliseconds. Raises ValueError."""
    if text == "0":
        return 0
    found = _DURATION.match(text) if 0 < len(text) <= _MAX_CHARS else None
    if found is None:
        raise ValueError(f"{text[:_MAX_CHARS]!r} is no duration: write one such as 30s, 5m or 1h30m")
    return sum(int(count) * length for count, length in zip(found.groups(), _LENGTHS, strict=True) if count)


def duration(length_ms: int) -> str:
    """As `parse_duration` takes it, units from large to small: 90 s are `1m30s`."""
    if length_ms == 0:
        return "0s"
    made = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, length_ms = divmod(length_ms, UNITS[unit])
        made += f"{count}{unit}" if count else ""
    return made
