"""Samples of many series as columns, and the values of many series at the steps of a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Labels

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

STALE_BITS: Final = 0x7FF0000000000002
STALE: Final = float(np.array([STALE_BITS], np.uint64).view(np.float64)[0])
"""The NaN by which a series says that it ended. Only its bits tell it from other NaNs."""


def is_stale(values: Floats) -> Bools:
    """Which values are the stale marker."""
    return np.ascontiguousarray(values).view(np.uint64) == STALE_BITS


@dataclass(frozen=True)
class Samples:
    """Series i has the samples bounds[i] to bounds[i + 1], oldest first, at most one per millisecond."""

    labels: Sequence[Labels]
    """With the metric's name under `__name__`."""
    bounds: Ints
    """[series + 1]"""
    times: Ints
    """Unix milliseconds."""
    values: Floats

    @cached_property
    def first_ms(self) -> int:
        return int(self.times.min())

    @cached_property
    def span_ms(self) -> int:
        return int(self.times.max()) - self.first_ms

    @cached_property
    def keys(self) -> Ints:
        """Series and time in one ascending number: series i has those from i * (span_ms + 2)."""
        rows = np.arange(len(self.labels), dtype=np.int64) * (self.span_ms + 2)
        return np.repeat(rows, np.diff(self.bounds)) + (self.times - self.first_ms)

    @cached_property
    def falls(self) -> Ints:
        """How many samples up to each are less than the one before them. Differences within a series have a meaning."""
        return self._counted(self.values[1:] < self.values[:-1])

    @cached_property
    def changes(self) -> Ints:
        """How many samples up to each differ from the one before them. Differences within a series have a meaning."""
        before, after = self.values[:-1], self.values[1:]
        return self._counted((before != after) & ~(np.isnan(before) & np.isnan(after)))

    def _counted(self, marked: Bools) -> Ints:
        """marked: of each sample but the first."""
        counted = np.zeros(len(self.values), np.int64)
        np.cumsum(marked, out=counted[1:])
        return counted

    def rows(self, chosen: Sequence[int] | Ints) -> Samples:
        """Some of the series."""
        picked = np.asarray(chosen, np.int64)
        return self.cut(picked, self.bounds[picked], self.bounds[picked + 1])

    def cut(self, chosen: Ints, begins: Ints, ends: Ints) -> Samples:
        """Some of the series, each with its samples at positions begins..ends - 1 only."""
        bounds = np.concatenate([[0], np.cumsum(ends - begins)]).astype(np.int64)
        places = np.repeat(begins - bounds[:-1], ends - begins) + np.arange(bounds[-1], dtype=np.int64)
        return Samples([self.labels[int(row)] for row in chosen], bounds, self.times[places], self.values[places])

    def without_stale(self) -> Samples:
        """Without the stale markers, which are no values."""
        stale = is_stale(self.values)
        if not stale.any():
            return self
        gone = np.concatenate([[0], np.cumsum(stale)])
        return replace(
            self, bounds=self.bounds - gone[self.bounds], times=self.times[~stale], values=self.values[~stale]
        )


EMPTY: Final = Samples((), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Vector:
    """One value per series and step, or none where `present` is false."""

    labels: list[Labels]
    values: Floats
    """[series, steps]"""
    present: Bools
    """[series, steps]"""

    def with_values(self, values: Floats) -> Vector:
        return Vector(self.labels, values, self.present)

    def rows(self, chosen: Sequence[int] | Bools | Ints) -> Vector:
        """Some of the series."""
        picked = np.flatnonzero(chosen) if isinstance(chosen, np.ndarray) and chosen.dtype == bool else chosen
        return Vector([self.labels[int(i)] for i in picked], self.values[picked], self.present[picked])

    def compact(self) -> Vector:
        """Without the series that have no value at any step."""
        filled: Bools = np.logical_or.reduce(self.present, axis=1)
        return self if np.all(filled) else self.rows(filled)


def no_series(steps: int) -> Vector:
    """The empty vector."""
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), np.bool_))
