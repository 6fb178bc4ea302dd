"""What is read of reports: numbers added up. Without I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Stretch = tuple[int, int]
"""[from, to), milliseconds since the epoch."""


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


@dataclass(frozen=True, slots=True)
class DayTotals:
    """What all tenants together reported on a day."""

    tenants: int
    """That reported."""
    active_users: Spread
    """`min` is not kept."""
    exercises: float
    """The sum of each tenant's greatest."""
    latency: Spread
    """`min` and `max` are not kept."""
    hours: int
    """Hours with a report, of all tenants together."""
    first_hours: int
    """The sum of the tenants' first hours with a report."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What latest reports are grouped by. Ages in milliseconds; `overloaded` and `strained` in per cent of CPU, memory
    or disk; `slow_ms` of the AI's answers; `failing` in errors."""

    silent_ms: int
    """Older latest reports are in no group."""
    recent_ms: int
    fresh_ms: int
    overloaded: float
    strained: float
    slow_ms: float
    failing: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What the thresholds say of a latest report."""

    recent: bool
    """At most `recent_ms` old."""
    fresh: bool
    """At most `fresh_ms` old."""
    overloaded: bool
    """CPU, memory or disk at `overloaded` or above."""
    strained: bool
    """CPU, memory or disk at `strained` or above, or `slow_ms`, or `failing`."""


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Tenants of which the same can be said: their latest reports, added up."""

    version: str | None
    facts: Facts
    tenants: int
    active_users: float
    exercises: float
    uptime: float
    latency: float
    """The sum of those that said it."""
    latencies: int
    """How many did."""
