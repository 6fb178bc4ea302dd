"""The steps of a range query: the interval of time of each point."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from vigie_contracts.tiers import FINE

from vigie_query.errors import InvalidParameter, QueryLimitExceeded
from vigie_query.times import DAY, HOUR, MINUTE, SECOND

MAX_POINTS: Final = 2_000
"""Steps of one answer."""
DEFAULT_POINTS: Final = 300
"""A step that nobody asked for gives at most so many."""
NICE_STEPS: Final = (
    10 * SECOND, 20 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """`edges` (int64[s + 1], ms, ascending): step i is edges[i] <= t < edges[i + 1], named by its beginning."""

    edges: npt.NDArray[np.int64]
    step_ms: int
    """The usual length of a step; days of 23 or 25 hours exist in some zones."""

    @property
    def start(self) -> int:
        return int(self.edges[0])

    @property
    def end(self) -> int:
        return int(self.edges[-1])

    @property
    def steps(self) -> int:
        return len(self.edges) - 1

    def seconds(self, now_ms: int) -> npt.NDArray[np.float64]:
        """The length of each step in seconds; of the one that is not over, so much of it as has passed."""
        passed = np.minimum(self.edges[1:], now_ms) - self.edges[:-1]
        return np.maximum(passed, min(self.step_ms, FINE.width_ms)) / 1000


def single(from_ms: int, to_ms: int, at_least: int = FINE.width_ms) -> Grid:
    """One step for the whole range, rounded outwards: to `at_least`, and more for a long range so that it costs few
    windows. `at_least` is the width of the narrowest tier that still has the range."""
    length = to_ms - from_ms
    unit = max(at_least, FINE.width_ms if length <= 2 * HOUR else MINUTE if length <= 2 * DAY else HOUR)
    start = from_ms // unit * unit
    end = max(-(-to_ms // at_least) * at_least, start + at_least)
    return Grid(np.array((start, end), np.int64), end - start)


def stepped(from_ms: int, to_ms: int, step_ms: int, zone: ZoneInfo | None = None) -> Grid:
    """Steps that cover from..to, both rounded outwards.

    Steps are aligned to the epoch; with a zone to its midnights, and a step of whole days follows its calendar.
    Raises InvalidParameter for a step that windows cannot give, QueryLimitExceeded for too many; `planning.asked` also
    says which step to use instead.
    """
    if step_ms % FINE.width_ms:
        raise InvalidParameter("step", f"must be a multiple of {FINE.name}, the narrowest windows that are kept")
    count = (to_ms - from_ms) // step_ms + 2
    if count > MAX_POINTS + 2:
        raise QueryLimitExceeded(f"step: {count} points are more than the {MAX_POINTS} of one answer", "step")
    if zone is not None and step_ms % DAY == 0:
        return Grid(_calendar(from_ms, to_ms, step_ms // DAY, zone), step_ms)
    shift = _midnight(datetime.fromtimestamp(from_ms / 1000, zone).date(), zone) % step_ms if zone else 0
    first = (from_ms - shift) // step_ms * step_ms + shift
    last = first - (first - max(to_ms, first + 1)) // step_ms * step_ms
    return Grid(np.arange(first, last + 1, step_ms, dtype=np.int64), step_ms)


def default_step(from_ms: int, to_ms: int, at_least: int = 0) -> int:
    """The smallest nice step that gives at most DEFAULT_POINTS points, and is not below `at_least`."""
    wanted = max((to_ms - from_ms) / DEFAULT_POINTS, at_least)
    for step in NICE_STEPS:
        if step >= wanted:
            return step
    return -(-int(wanted) // (7 * DAY)) * 7 * DAY


def _calendar(from_ms: int, to_ms: int, days: int, zone: ZoneInfo) -> npt.NDArray[np.int64]:
    first = datetime.fromtimestamp(from_ms / 1000, zone).date()
    day = date.fromordinal(max(1, first.toordinal() // days * days))
    edges = [_midnight(day, zone)]
    while edges[-1] < to_ms or len(edges) < 2:
        day += timedelta(days=days)
        edges.append(_midnight(day, zone))
    return np.array(edges, np.int64)


def _midnight(day: date, zone: ZoneInfo) -> int:
    """Where midnight does not exist (some clocks go forward then), the moment the clocks go forward."""
    return round(datetime.combine(day, time(), zone).timestamp()) * 1000
