"""How far a number may be from what exact arithmetic gives: float64 rounds, cancels and overflows.

Per cell, from its count, sum, least and greatest value; what has not been read is nan, and values are then taken to
have one sign. Numbers are exact where all values are whole and stay below 2^53.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_windows import sketch

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NEGLIGIBLE: Final = 1e-9
"""A smaller relative error counts as none: that of adding ten million numbers."""
UNIT: Final = 2.0**-53
"""Relative error of one operation."""
WHOLE: Final = 2.0**53
"""Up to here float64 has every whole number."""


class CellMeans:
    """The mean of each cell, and what is not known of it."""

    def __init__(self, count: Floats, total: Floats, least: Floats, greatest: Floats) -> None:
        self._count, self._total, self._least, self._greatest = count, total, least, greatest

    @cached_property
    def mean(self) -> Floats:
        """The sum over the count; where the sum is beyond float64, the middle of what least and greatest leave."""
        return np.where(np.isfinite(self._total), self._total / self._count, self._least / 2 + self._greatest / 2)

    @cached_property
    def unknown(self) -> Floats:
        """How far the mean may be from there: nothing but where the sum is beyond float64."""
        half = (self._greatest / 2 - self._least / 2) * (1 - 2 / self._count)
        return np.where(np.isfinite(self._total), 0.0, np.maximum(half, 0.0))

    @cached_property
    def magnitude(self) -> Floats:
        """At least the mean of the absolute values."""
        mixed = (self._least < 0) & (self._greatest > 0)
        return np.where(mixed, np.maximum(-self._least, self._greatest), np.abs(self.mean))

    @cached_property
    def fractional(self) -> Bools:
        """Whether a cell shows a value that is not whole."""
        known = (self._total, self._least, self._greatest)
        return np.logical_or.reduce([np.isfinite(column) & (column != np.trunc(column)) for column in known])


def relative(values: Floats, errors: Floats) -> Floats:
    """Of each number, its error relative to it: 0 without error, infinite for a zero with one."""
    return np.divide(errors, np.abs(values), out=np.where(errors > 0, np.inf, 0.0), where=values != 0)


def largest(errors: Floats, at_least: float = 0.0) -> float | None:
    """The bound of several relative errors; None when nothing bounds them."""
    worst = float(errors.max(initial=at_least))
    if not np.isfinite(worst):
        return None
    return worst if worst > NEGLIGIBLE else 0.0


def of_quantiles(errors: Floats) -> float | None:
    """The same for percentiles, whose sketch promises no less."""
    return largest(errors, sketch.ALPHA)
