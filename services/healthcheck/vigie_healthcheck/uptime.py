"""Uptime: how much of a time a target answered, as far as anybody knows.

A time is cut into steps. A step with checks counts with its whole length, divided by the share of its checks that were
good; one without any counts neither as up nor as down.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import floor
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from vigie_query.grid import NICE_STEPS, Grid
from vigie_query.times import DAY, HOUR, MINUTE

Floats = npt.NDArray[np.float64]


class Window(StrEnum):
    """The time up to now."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"

    @property
    def length_ms(self) -> int:
        return _LENGTHS[self]


_LENGTHS: Final = {Window.DAY: DAY, Window.WEEK: 7 * DAY, Window.MONTH: 30 * DAY, Window.QUARTER: 90 * DAY}
_STEPS: Final = {Window.DAY: 5 * MINUTE, Window.WEEK: HOUR, Window.MONTH: HOUR, Window.QUARTER: 2 * HOUR}


@dataclass(frozen=True, slots=True)
class Uptime:
    """`percent` of the time that is known; None when nothing is. Never rounded up: 100 means always."""

    percent: float | None
    up_s: float
    down_s: float
    unknown_s: float
    """Seconds without an answer: nobody asked, or the prober itself was at fault."""

    @classmethod
    def of(cls, shares: Floats, lengths_s: Floats) -> Self:
        """shares: of each step, how much of it was good, 0 to 1; nan where nothing is known."""
        known = ~np.isnan(shares)
        up = float((shares[known] * lengths_s[known]).sum())
        all_ = float(lengths_s[known].sum())
        return cls(percent(up, all_) if all_ else None, up, all_ - up, float(lengths_s[~known].sum()))


UNKNOWN: Final = Uptime(None, 0.0, 0.0, 0.0)


def step_for(window: Window, interval_ms: int) -> int:
    """The steps of a window for a target that is asked so often: each has a check or two when all is well."""
    wanted = max(_STEPS[window], 2 * interval_ms)
    return next(step for step in (*NICE_STEPS, 2 * interval_ms) if step >= wanted)


def lengths_s(grid: Grid, from_ms: int, to_ms: int) -> Floats:
    """The seconds of each step that lie between the two times."""
    begins, ends = np.maximum(grid.edges[:-1], from_ms), np.minimum(grid.edges[1:], to_ms)
    return np.maximum(ends - begins, 0).astype(np.float64) / 1000


def without_open_end(shares: Floats, lengths: Floats, grid: Grid, to_ms: int) -> Floats:
    """The lengths; 0 for a last step that goes on and has no check yet: it may still get one."""
    if grid.end <= to_ms or not np.isnan(shares[-1]):
        return lengths
    return np.append(lengths[:-1], 0.0)


def percent(up: float, all_: float) -> float:
    """Rounded down to four digits after the point, so that 100 means always."""
    # The sum of shares like 29/30 may end a hair below the whole.
    return 100.0 if up >= all_ * (1 - 1e-12) else floor(up / all_ * 1e6) / 1e4
