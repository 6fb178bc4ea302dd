"""Samples of many series as columns, and the values of many series at the steps of a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Kind, Labels

from vigie_query.promql.histogram_vectors import Histograms
from vigie_query.promql.label_sets import listed

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

STALE_BITS: Final = 0x7FF0000000000002
STALE: Final = float(np.array([STALE_BITS], np.uint64).view(np.float64)[0])
"""The NaN by which a series says that it ended. Only its bits tell it from other NaNs."""
WHOLE: Final = 2.0**53
"""Whole numbers up to this are added without rounding."""


def is_stale(values: Floats) -> Bools:
    """Which values are the stale marker."""
    return np.ascontiguousarray(values).view(np.uint64) == STALE_BITS


@dataclass(frozen=True, slots=True)
class Columns:
    """What is known of samples that stand for several (`Samples.column`), beside the newest value and its time.

    A column that nobody needs may hold anything."""

    count: Ints
    sum: Floats
    min: Floats
    max: Floats
    first: Floats
    """The oldest value."""
    first_ms: Ints
    increase: Floats
    """Of a counter of increments: what it grew by in all, from before the oldest of them."""
    resets: Ints
    """Of a cumulative counter: how often it began anew inside."""
    before_resets: Floats
    """The sum of the values after which it began anew inside."""

    @property
    def inner_changes(self) -> Bools:
        """Which samples stand for several that are not all equal: as far as is known, for one change."""
        return self.min < self.max

    def at(self, places: Ints) -> Columns:
        return Columns(*(getattr(self, field.name)[places] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Sketches:
    """The distributions of samples that stand for several: buckets as in `vigie_windows.sketch`, sorted by sample."""

    sample: Ints
    """Its position."""
    bucket: npt.NDArray[np.int32]
    count: Ints

    def at(self, places: Ints, samples: int) -> Sketches:
        """Of the samples at these positions; `samples` is how many there are."""
        begins = np.searchsorted(self.sample, np.arange(samples + 1))
        sizes = np.diff(begins)[places]
        items = spread(begins[places], sizes)
        return Sketches(np.repeat(np.arange(len(places), dtype=np.int64), sizes), self.bucket[items], self.count[items])


def spread(begins: Ints, sizes: Ints) -> Ints:
    """The positions begins[i] to begins[i] + sizes[i] of all i, one after the other."""
    before = np.cumsum(sizes) - sizes
    return np.repeat(begins - before, sizes) + np.arange(int(sizes.sum()), dtype=np.int64)


@dataclass(frozen=True)
class Samples:
    """Series i has the samples bounds[i] to bounds[i + 1], oldest first, at most one per millisecond."""

    labels: Sequence[Labels]
    """With the metric's name under `__name__`."""
    bounds: Ints
    """[series + 1]"""
    times: Ints
    """Unix milliseconds; where a sample stands for several, of the newest."""
    values: Floats
    """The newest value; of counters of increments the total up to it."""
    columns: Columns | None = None
    """None where every sample stands for itself only."""
    kinds: npt.NDArray[np.uint8] | None = None
    """[series]: numbers of `Kind`; None where all are taken as their values show."""
    sketches: Sketches | None = None
    """Of gauges and histograms, when they were read."""

    @cached_property
    def first_ms(self) -> int:
        return int(self.times.min())

    @cached_property
    def last_ms(self) -> int:
        return int(self.times.max())

    @property
    def span_ms(self) -> int:
        return self.last_ms - self.first_ms

    @cached_property
    def keys(self) -> Ints:
        """Series and time in one ascending number: series i has those from i * (span_ms + 2)."""
        rows = np.arange(len(self.labels), dtype=np.int64) * (self.span_ms + 2)
        return np.repeat(rows, np.diff(self.bounds)) + (self.times - self.first_ms)

    @cached_property
    def incremental(self) -> Bools:
        """[series]: which are counters of increments."""
        if self.kinds is None:
            return np.zeros(len(self.labels), np.bool_)
        return self.kinds == Kind.COUNTER

    @cached_property
    def histogram(self) -> Bools:
        """[series]: which are histograms."""
        if self.kinds is None:
            return np.zeros(len(self.labels), np.bool_)
        return self.kinds == Kind.HISTOGRAM

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of `Columns`; what it is when every sample stands for itself is said here and nowhere else."""
        if self.columns is not None:
            return getattr(self.columns, name)
        match name:
            case "count":
                return np.ones(len(self.times), np.int64)
            case "first_ms":
                return self.times
            case "increase" | "resets" | "before_resets":
                return np.zeros(len(self.times))
            case _:
                return self.values

    @cached_property
    def falls(self) -> Ints:
        """How many samples up to each begin below the one before them, and how often counters fell inside them.
        Differences within a series have a meaning."""
        counted = self._counted(self.column("first")[1:] < self.values[:-1])
        return counted if self.columns is None else counted + np.cumsum(self.columns.resets)

    @cached_property
    def changes(self) -> Ints:
        """How many samples up to each differ from the one before them. Differences within a series have a meaning."""
        before, after = self.values[:-1], self.column("first")[1:]
        counted = self._counted((before != after) & ~(np.isnan(before) & np.isnan(after)))
        return counted if self.columns is None else counted + np.cumsum(self.columns.inner_changes)

    @cached_property
    def held(self) -> Ints:
        """[samples + 1]: for how many samples those before each stand. Differences have a meaning."""
        return np.concatenate([[0], np.cumsum(self.column("count"))])

    @cached_property
    def grown(self) -> Floats | None:
        """[samples + 1]: the sum of `increase` before each; None where differences of it would not be exact."""
        increase = self.column("increase")
        with np.errstate(all="ignore"):
            if not (np.abs(increase).sum() < WHOLE and np.array_equal(increase, np.rint(increase))):
                return None
        return np.concatenate([[0.0], np.cumsum(increase)])

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
        sizes = ends - begins
        bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        kinds = None if self.kinds is None else self.kinds[chosen]
        return self._at([self.labels[int(row)] for row in chosen], kinds, bounds, spread(begins, sizes))

    @cached_property
    def _ends(self) -> bool:
        """Whether a series says that it ended: rules look at the same samples again and again."""
        return bool(is_stale(self.values).any())

    def without_stale(self) -> Samples:
        """Without the stale markers, which are no values."""
        if not self._ends:
            return self
        stale = is_stale(self.values)
        gone = np.concatenate([[0], np.cumsum(stale)])
        return self._at(self.labels, self.kinds, self.bounds - gone[self.bounds], np.flatnonzero(~stale))

    def _at(self, labels: Sequence[Labels], kinds: npt.NDArray[np.uint8] | None, bounds: Ints, places: Ints) -> Samples:
        columns = None if self.columns is None else self.columns.at(places)
        sketches = None if self.sketches is None else self.sketches.at(places, len(self.times))
        return Samples(labels, bounds, self.times[places], self.values[places], columns, kinds, sketches)


def joined(parts: Sequence[Samples]) -> Samples:
    """All series of all parts."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return EMPTY
    before = np.cumsum([0, *(len(part.times) for part in parts)])
    offsets = list(zip(parts, before.tolist(), strict=False))
    columns = sketches = None
    if any(part.columns is not None for part in parts):
        names = (field.name for field in fields(Columns))
        columns = Columns(*(np.concatenate([part.column(name) for part in parts]) for name in names))
    if any(part.sketches is not None for part in parts):
        own = [(part.sketches, offset) for part, offset in offsets if part.sketches is not None]
        sketches = Sketches(
            np.concatenate([one.sample + offset for one, offset in own]),
            np.concatenate([one.bucket for one, _ in own]),
            np.concatenate([one.count for one, _ in own]),
        )
    kinds = [part.kinds for part in parts if part.kinds is not None]
    return Samples(
        [labels for part in parts for labels in part.labels],
        np.concatenate([np.zeros(1, np.int64), *(part.bounds[1:] + offset for part, offset in offsets)]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
        columns,
        np.concatenate(kinds) if kinds else None,
        sketches,
    )


EMPTY: Final = Samples((), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Vector:
    """One value per series and step, a number or a histogram, or none where `present` is false."""

    labels: list[Labels]
    values: Floats
    """[series, steps]"""
    present: Bools
    """[series, steps]"""
    histograms: Histograms | None = None
    """Where one is present, `values` means nothing. None: there is none."""

    @property
    def size(self) -> int:
        """Numbers in it, about."""
        histograms = self.histograms
        return self.values.size if histograms is None else 6 * self.values.size + 4 * len(histograms.entries.row)

    @property
    def floats(self) -> Bools:
        """[series, steps]: where there is a number."""
        return self.present if self.histograms is None else self.present & ~self.histograms.present

    def only_floats(self) -> Vector:
        """Without the histograms."""
        return self if self.histograms is None else Vector(self.labels, self.values, self.floats)

    def with_values(self, values: Floats) -> Vector:
        """What was computed from the numbers; histograms are left out."""
        return Vector(self.labels, values, self.floats)

    def under(self, labels: Sequence[Labels]) -> Vector:
        """The same values under other labels."""
        return Vector(listed(labels), self.values, self.present, self.histograms)

    def where(self, wanted: Bools) -> Vector:
        """Only the values at these places."""
        histograms = None if self.histograms is None else self.histograms.where(wanted)
        return Vector(self.labels, self.values, self.present & wanted, histograms)

    def rows(self, chosen: Sequence[int] | Bools | Ints) -> Vector:
        """Some of the series."""
        picked = np.flatnonzero(chosen) if isinstance(chosen, np.ndarray) and chosen.dtype == bool else chosen
        histograms = None if self.histograms is None else self.histograms.rows(np.asarray(picked, np.int64))
        return Vector([self.labels[int(i)] for i in picked], self.values[picked], self.present[picked], histograms)

    def compact(self) -> Vector:
        """Without the series that have no value at any step."""
        filled: Bools = np.logical_or.reduce(self.present, axis=1)
        return self if np.all(filled) else self.rows(filled)


def no_series(steps: int) -> Vector:
    """The empty vector."""
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), np.bool_))
