"""The widths at which windows are kept, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SECOND_MS = 1_000
_HOUR_MS = 3_600 * _SECOND_MS
_DAY_MS = 24 * _HOUR_MS


@dataclass(frozen=True, slots=True)
class Tier:
    """One width of windows. `name` is its name in documents and answers."""

    name: str
    width_ms: int
    retention_ms: int

    def floor(self, timestamp_ms: int) -> int:
        """The start of the window that holds `timestamp_ms`; windows are aligned to the Unix epoch, UTC."""
        return timestamp_ms - timestamp_ms % self.width_ms


FINE: Final = Tier("10s", 10 * _SECOND_MS, 48 * _HOUR_MS)
MINUTE: Final = Tier("1m", 60 * _SECOND_MS, 30 * _DAY_MS)
HOUR: Final = Tier("1h", _HOUR_MS, 400 * _DAY_MS)

TIERS: Final = (FINE, MINUTE, HOUR)
"""Finest first. Each width is a multiple of the one before it, so cells widen exactly."""

CHUNK_SLOTS: Final = 256
"""Series of one tenant and partition that share a window document."""
