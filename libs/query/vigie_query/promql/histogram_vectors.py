"""Histograms as values of a vector: the sketches of many series at many steps, as columns.

Histograms are linear, so a sum over series only gives their buckets other row numbers, and a bucket that is in the
windows of many steps is kept once with the steps that have it. They are spread out a bounded block at a time, where a
function needs the buckets of each step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from vigie_windows import sketch
from vigie_windows.arrays import Bools, Floats, Int32s
from vigie_windows.arrays import Int64s as Ints

from vigie_query.errors import QueryLimitExceeded

BLOCK: Final = 1 << 21
"""Numbers that are spread out at a time."""
MAX_ENTRIES: Final = 5_000_000
"""Buckets that the histograms of a vector may have, over all series and steps, where each step keeps its own."""
COLUMNS: Final = ("row", "begin", "end", "bucket", "weight")
STATISTICS: Final = ("present", "factor", "count", "sum", "min", "max")


@dataclass(frozen=True, slots=True)
class Entries:
    """Entry k adds weight[k] to bucket[k] of the histograms of row[k] at the steps begin[k] to end[k] - 1.

    Weights are whole (int64), so that adding and taking away along the steps leaves nothing behind; or any numbers
    (float64), and then each entry is of one step.
    """

    row: Ints
    begin: Ints
    end: Ints
    bucket: Int32s
    """As `vigie_windows.sketch` numbers them."""
    weight: npt.NDArray[Any]

    @property
    def fractional(self) -> bool:
        """Whether weights are any numbers."""
        return self.weight.dtype == np.float64

    def only(self, chosen: Bools | Ints | slice) -> Entries:
        return replace(self, **{name: getattr(self, name)[chosen] for name in COLUMNS})

    def by_row(self) -> Entries:
        """In the order of the rows."""
        ordered = bool(np.all(self.row[1:] >= self.row[:-1]))
        return self if ordered else self.only(np.argsort(self.row, kind="stable"))


_NOTHING: Final = np.zeros(0, np.int64)
NO_ENTRIES: Final = Entries(_NOTHING, _NOTHING, _NOTHING, np.zeros(0, np.int32), _NOTHING)


class Block(NamedTuple):
    """The buckets of some rows at some steps."""

    rows: slice
    steps: slice
    buckets: Int32s
    """Ascending: those that any of them has."""
    weights: Floats
    """[rows, steps, buckets], without the factors of the histograms."""


@dataclass(frozen=True, slots=True)
class Histograms:
    """The histograms of a vector: at each place [series, steps] one, or none where `present` is false."""

    present: Bools
    factor: Floats
    """What all weights of a histogram are times."""
    count: Floats
    sum: Floats
    min: Floats
    """Of the observations, exact; +Inf where there are none."""
    max: Floats
    entries: Entries
    """None is at a place where `present` is false."""

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Histograms:
        """None at any of the places."""
        nothing, zero = np.zeros(shape, np.bool_), np.zeros(shape)
        return cls(nothing, zero + 1, zero, zero, zero + np.inf, zero - np.inf, NO_ENTRIES)

    def rows(self, picked: Ints) -> Histograms:
        """These rows, in this order; a row may come more than once."""
        entries = self.entries.by_row()
        begins = np.searchsorted(entries.row, picked)
        counts = np.searchsorted(entries.row, picked, side="right") - begins
        row = np.repeat(np.arange(len(picked), dtype=np.int64), counts)
        places = np.repeat(begins - (np.cumsum(counts) - counts), counts) + np.arange(len(row))
        columns = {name: getattr(self, name)[picked] for name in STATISTICS}
        return Histograms(**columns, entries=replace(entries.only(places), row=row))

    def where(self, wanted: Bools) -> Histograms:
        """Only at these places."""
        gone = self.present & ~wanted
        if not gone.any():
            return self
        present = self.present & wanted
        reduced: Bools = np.logical_or.reduce(gone, axis=1)
        if present[reduced].any():
            entries = self.by_step()
            entries = entries.only(present[entries.row, entries.begin])
        else:  # whole rows
            entries = self.entries.only(~reduced[self.entries.row])
        return replace(self, present=present, entries=entries)

    def merged(self, numbers: Sequence[int] | Ints, count: int) -> Histograms:
        """The sums of the rows that have the same number, 0 to count - 1, each of which some row has."""
        factor = _only_factor(self)
        if factor is None:
            return _without_factors(self).merged(numbers, count)
        group = np.asarray(numbers, np.int64)
        order = np.argsort(group, kind="stable")
        begins = np.searchsorted(group[order], np.arange(count))

        def over(function: np.ufunc, values: Floats, nothing: float) -> Floats:
            if not count:
                return values
            with np.errstate(all="ignore"):
                return function.reduceat(np.where(self.present, values, nothing)[order], begins, axis=0)

        return Histograms(
            over(np.add, self.present.astype(np.float64), 0.0) > 0,
            np.full((count, self.present.shape[1]), factor),
            over(np.add, self.count, 0.0),
            over(np.add, self.sum, 0.0),
            over(np.minimum, self.min, np.inf),
            over(np.maximum, self.max, -np.inf),
            replace(self.entries, row=group[self.entries.row]),
        )

    def scaled(self, factors: Floats | float) -> Histograms:
        """Times a number, or one per place. The extremes stay: they are of the observations."""
        with np.errstate(all="ignore"):
            columns = self.factor * factors, self.count * factors, self.sum * factors
        return Histograms(self.present, *columns, self.min, self.max, self.entries)

    def plus(self, other: Histograms) -> Histograms:
        """The sums, at the places where both have a histogram."""
        present = self.present & other.present
        first, second = self.where(present), other.where(present)
        factor = _only_factor(first)
        if factor is None or factor != _only_factor(second):
            first, second, factor = _without_factors(first), _without_factors(second), 1.0
        mine, theirs = _alike(first, second)
        with np.errstate(all="ignore"):
            return Histograms(
                present,
                np.full(present.shape, factor),
                self.count + other.count,
                self.sum + other.sum,
                np.minimum(self.min, other.min),
                np.maximum(self.max, other.max),
                _appended(mine, theirs),
            )

    def or_else(self, other: Histograms) -> Histograms:
        """These, and the other's at places where these have none."""
        rows = np.tile(np.arange(len(self.present)), 2)
        return self.above(other.where(~self.present)).merged(rows, len(self.present))

    def above(self, other: Histograms) -> Histograms:
        """These rows and then the other's."""
        mine, theirs = _alike(self, other)
        below = replace(theirs, row=theirs.row + len(self.present))
        columns = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in STATISTICS}
        return Histograms(**columns, entries=_appended(mine, below))

    def blocks(self) -> Iterator[Block]:
        """The buckets of all places; blocks that would be empty are left out."""
        entries, (rows, steps) = self.entries, self.present.shape
        if not len(entries.row):
            return
        height = max(1, BLOCK // ((steps + 1) * len(_used(entries.bucket)[0])))
        if height >= rows:
            yield from _spread(entries, slice(0, rows), steps)
            return
        entries = entries.by_row()
        tops = range(0, rows, height)
        bounds = np.append(np.searchsorted(entries.row, tops), len(entries.row))
        for top, first, last in zip(tops, bounds[:-1], bounds[1:], strict=True):
            if last > first:
                yield from _spread(entries.only(slice(first, last)), slice(top, min(top + height, rows)), steps)

    def by_step(self) -> Entries:
        """Each entry of one step."""
        if self.entries.fractional:
            return self.entries
        parts: list[Entries] = []
        size = 0
        for block in self.blocks():
            row, step, bucket = np.nonzero(block.weights)
            size += len(row)
            check_size(size)
            weight = block.weights[row, step, bucket].astype(np.int64)
            step += block.steps.start
            parts.append(Entries(row + block.rows.start, step, step + 1, block.buckets[bucket], weight))
        if not parts:
            return NO_ENTRIES
        return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS})

    def fractions(self) -> Entries:
        """Each entry of one step, with the factor in its weight."""
        entries = self.by_step()
        with np.errstate(all="ignore"):
            return replace(entries, weight=entries.weight * self.factor[entries.row, entries.begin])


def _without_factors(histograms: Histograms) -> Histograms:
    """The same, with the factors in the weights."""
    return replace(histograms, factor=np.ones(histograms.factor.shape), entries=histograms.fractions())


def _only_factor(histograms: Histograms) -> float | None:
    """The one that all have; None when there are several."""
    factors = histograms.factor[histograms.present]
    if not len(factors):
        return 1.0
    return float(factors[0]) if (factors == factors[0]).all() else None


def check_size(entries: int) -> None:
    """Raises QueryLimitExceeded for more than MAX_ENTRIES."""
    if entries > MAX_ENTRIES:
        raise QueryLimitExceeded(
            f"the query would compute more than {MAX_ENTRIES:,} buckets of histograms at once: "
            "select fewer series, a shorter range or a longer step, or aggregate first",
            "query",
        )


def _used(bucket: Int32s) -> tuple[Int32s, Ints]:
    """The different buckets, ascending, and the place of each bucket among them, by its number + sketch.BUCKETS."""
    used = np.zeros(2 * sketch.BUCKETS + 1, np.bool_)
    used[bucket + sketch.BUCKETS] = True
    return (np.flatnonzero(used) - sketch.BUCKETS).astype(np.int32), np.cumsum(used) - 1


def _spread(entries: Entries, rows: slice, steps: int) -> Iterator[Block]:
    """All steps at once, or as many as a block takes."""
    buckets, places = _used(entries.bucket)
    height = rows.stop - rows.start
    width = max(1, BLOCK // (height * len(buckets)) - 1)
    for first in range(0, steps, width):
        last = min(first + width, steps)
        part = entries
        if width < steps:
            part = entries.only((entries.begin < last) & (entries.end > first))
        # One step more than there are, for entries that are there until the end.
        shape = height, last - first + 1, len(buckets)
        place = (part.row - rows.start) * (shape[1] * shape[2]) + places[part.bucket + sketch.BUCKETS]
        weight = part.weight.astype(np.float64)
        weights = _added(place + (np.maximum(part.begin, first) - first) * shape[2], weight, shape)
        if not part.fractional:
            weights -= _added(place + (np.minimum(part.end, last) - first) * shape[2], weight, shape)
            np.add.accumulate(weights, axis=1, out=weights)
        yield Block(rows, slice(first, last), buckets, weights[:, :-1])


def _added(places: Ints, weights: Floats, shape: tuple[int, int, int]) -> Floats:
    return np.bincount(places, weights, shape[0] * shape[1] * shape[2]).reshape(shape).astype(np.float64, copy=False)


def _alike(one: Histograms, other: Histograms) -> tuple[Entries, Entries]:
    """The entries of both, of one kind."""
    mine, theirs = one.entries, other.entries
    if mine.fractional == theirs.fractional:
        return mine, theirs
    mine, theirs = one.by_step(), other.by_step()
    return replace(mine, weight=mine.weight * 1.0), replace(theirs, weight=theirs.weight * 1.0)


def _appended(one: Entries, other: Entries) -> Entries:
    return replace(one, **{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in COLUMNS})
