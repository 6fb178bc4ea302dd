"""Health of a node by its latest report: the thresholds, and the one place that decides."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vigie_query.times import DAY, HOUR, MINUTE
from vigie_storage.reports.totals import Facts, Thresholds

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


THRESHOLDS: Final = Thresholds(
    silent_ms=SILENT_MS,
    recent_ms=RECENT_MS,
    fresh_ms=FRESH_MS,
    overloaded=OVERLOADED,
    strained=STRAINED,
    slow_ms=SLOW_MS,
    failing=FAILING,
)


def health_of(facts: Facts) -> Health:
    """What is said of nodes whose latest report is at most `SILENT_MS` old."""
    if facts.overloaded or not facts.recent:
        return Health.CRITICAL
    return Health.WARNING if facts.strained or not facts.fresh else Health.HEALTHY
