"""Numbers of reports, added up, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

STEADY: Final = 0.05
"""The second half may differ from the first by this share, and the trend is stable."""


class Trend(StrEnum):
    INCREASING = "increasing"
    DECREASING = "decreasing"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Spread:
    """Count, sum, least and greatest of the values of one number; adding two is exact but for the rounding of sums."""

    n: int = 0
    sum: float = 0.0
    min: float = math.inf
    max: float = -math.inf

    def __add__(self, other: Spread) -> Spread:
        return Spread(self.n + other.n, self.sum + other.sum, min(self.min, other.min), max(self.max, other.max))

    @property
    def mean(self) -> float | None:
        return self.sum / self.n if self.n else None

    @property
    def least(self) -> float | None:
        return self.min if self.n else None

    @property
    def greatest(self) -> float | None:
        return self.max if self.n else None


@dataclass(frozen=True, slots=True)
class Reports:
    """How many reports, and the spread of each of their numbers by its name."""

    count: int = 0
    spreads: Mapping[str, Spread] = field(default_factory=dict[str, Spread])

    def __add__(self, other: Reports) -> Reports:
        names = self.spreads.keys() | other.spreads.keys()
        return Reports(self.count + other.count, {name: self.of(name) + other.of(name) for name in names})

    def of(self, name: str) -> Spread:
        """Empty when no report had the number."""
        return self.spreads.get(name, Spread())


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
