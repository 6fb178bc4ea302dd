"""What is said of the numbers of reports."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vigie_storage.reports.totals import Spread

STEADY: Final = 0.05
"""The second half may differ from the first by this share, and the trend is stable."""


class Trend(StrEnum):
    INCREASING = "increasing"
    DECREASING = "decreasing"
    STABLE = "stable"


def trend(before: Spread, after: Spread) -> Trend:
    """Where the means go; stable when one of the two is empty."""
    first, second = before.mean, after.mean
    if first is None or second is None:
        return Trend.STABLE
    if second > first * (1 + STEADY):
        return Trend.INCREASING
    return Trend.DECREASING if second < first * (1 - STEADY) else Trend.STABLE


def plain(value: float | None) -> float | None:
    """A whole number without its fraction, as senders write it: 67, not 67.0."""
    return int(value) if value is not None and value == int(value) else value


def rounded(value: float | None) -> float | None:
    """To two decimals."""
    return None if value is None else plain(round(value, 2))
