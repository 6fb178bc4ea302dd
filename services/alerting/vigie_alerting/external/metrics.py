"""Metrics of alerts that come from outside."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vigie_runtime.metrics import Counter


class Became(StrEnum):
    """What became of an alert that was posted."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    """It says nothing new, or that something is over that nobody knows."""
    REFUSED = "refused"
    """Its labels break a rule, or too many fire already."""


POSTED: Final = Counter(
    "vigie_alerting_posted_alerts_total",
    "alerts",
    "Alerts that others sent, by Alertmanager's API",
    {"outcome": Became},
)
EXTERNAL_METRICS: Final = (POSTED,)
