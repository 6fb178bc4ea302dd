"""How a node is, by its latest report: the thresholds, and the one place that decides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vigie_query.times import DAY, HOUR, MINUTE

FRESH_MS: Final = 15 * MINUTE
RECENT_MS: Final = HOUR
SILENT_MS: Final = DAY
"""A tenant whose latest report is older has no data."""
OVERLOADED: Final = 95
STRAINED: Final = 85
"""Per cent of CPU, memory or disk."""
SLOW_MS: Final = 1_000
"""Of the AI's answers."""
FAILING: Final = 10
"""Errors."""


class Health(StrEnum):
    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the thresholds say of a report that is at most `SILENT_MS` old."""

    recent: bool
    """At most `RECENT_MS` old."""
    fresh: bool
    """At most `FRESH_MS` old."""
    overloaded: bool
    """CPU, memory or disk at `OVERLOADED` or above."""
    strained: bool
    """CPU, memory or disk at `STRAINED` or above, or `SLOW_MS`, or `FAILING`."""

    @property
    def health(self) -> Health:
        if self.overloaded or not self.recent:
            return Health.CRITICAL
        return Health.WARNING if self.strained or not self.fresh else Health.HEALTHY
