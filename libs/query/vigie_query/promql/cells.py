"""From the cells of windows to samples, as PromQL shows them.

A cell becomes one sample at the time of its newest: it belongs to the range in which that lies, so that adjacent ranges
count nothing twice. What was sampled just when a window begins belongs to the range that ends there: where the cell
holds more, that sample stands for itself.

Counters of increments, and what is derived of histograms (`Part`), show running totals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from vigie_contracts.latest import BUCKET_BOUNDS
from vigie_contracts.series import Kind, Labels
from vigie_windows import Cells, sketch

from vigie_query.promql.samples import WHOLE, Bools, Columns, Floats, Ints, Samples, Sketches, spread

VALUE: Final = 0
"""Part of a stored series: itself."""
SUM: Final = 1
"""Of a histogram: the sum of its observations."""
COUNT: Final = 2
"""Of a histogram: how many observations it has."""
BUCKET: Final = 3
"""Of a histogram, this and the place of a bound in BUCKET_BOUNDS (the last one is +Inf): how many lie at or below."""
_BOUNDS: Final = len(BUCKET_BOUNDS) + 1
_BOUND_OF: Final = sketch.bound_places(BUCKET_BOUNDS)
_MUCH: Final = 2.0**20
"""So many times a number may be taken away again: numpy's long floats have 11 bits more than others, and those may be
wrong by this much of them."""
_SPLIT_BITS: Final = 16
"""numpy sorts integers of so many bits in linear time."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The series to show, each a part of a stored one."""

    labels: Sequence[Labels]
    """With the metric's name under `__name__`."""
    rows: Ints
    """[series]: the row of the stored one in the cells."""
    kinds: npt.NDArray[np.uint8]
    """[series]: of the stored one."""
    parts: Ints
    """[series]"""

    @property
    def incremental(self) -> Bools:
        """[series]: which show running totals."""
        return (self.kinds == Kind.COUNTER) | (self.parts != VALUE)

    def slice(self, begin: int, end: int) -> Shown:
        """The series begin..end - 1."""
        return Shown(self.labels[begin:end], self.rows[begin:end], self.kinds[begin:end], self.parts[begin:end])


def samples_of(cells: Sequence[Cells], shown: Shown, totals: Floats | None = None) -> Samples:
    """The samples of the series in cells of any tiers whose windows do not overlap.

    totals: [series], of those that show running totals what they had reached after the last cell; by default, and where
    it is nan, they begin at 0 with the first one. Columns that the cells were read without are nan in the answer.
    """
    rows, position = np.unique(shown.rows, return_inverse=True)
    stored = _split(_joined(cells, rows))
    begins = np.searchsorted(stored.position, np.arange(len(rows) + 1))
    sizes = np.diff(begins)[position]
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    incremental = shown.incremental
    below = _below(stored) if (shown.parts >= BUCKET).any() else None
    if (shown.parts != VALUE).all():
        stored = replace(stored, sketches=None)
    grown = _grown(stored, below, begins[position], shown, sizes) if incremental.any() else None
    if not np.array_equal(position, np.arange(len(rows))):  # else each is shown once, and in this order
        stored = stored.at(spread(begins[position], sizes))
    columns, values = stored.columns, stored.last
    if grown is not None:
        columns, values = _running(stored, grown, shown, bounds, totals)
    kinds = np.where(incremental, np.uint8(Kind.COUNTER), shown.kinds).astype(np.uint8)
    return Samples(shown.labels, bounds, stored.times, values, columns, kinds, stored.sketches)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Cells of all tiers in the order of series and time."""

    position: Ints
    """Of the series of each cell among those read."""
    starts: Ints
    times: Ints
    last: Floats
    columns: Columns | None
    """None where every cell has one sample only."""
    sketches: Sketches | None

    def own_columns(self) -> Columns:
        if self.columns is not None:
            return self.columns
        ones, nothing = np.ones(len(self.times), np.int64), np.zeros(len(self.times))
        return Columns(
            ones, self.last, self.last, self.last, self.last, self.times, nothing, nothing.astype(np.int64), nothing
        )

    def at(self, places: Ints) -> _Stored:
        sketches = None if self.sketches is None else self.sketches.at(places, len(self.times))
        return _Stored(
            self.position[places], self.starts[places], self.times[places], self.last[places],
            None if self.columns is None else self.columns.at(places), sketches,
        )  # fmt: skip


def _joined(cells: Sequence[Cells], rows: Ints) -> _Stored:
    """The cells of these rows (ascending)."""
    position_of = np.full(max([int(rows.max(initial=-1)), *(int(one.rows.max(initial=-1)) for one in cells)]) + 1, -1)
    position_of[rows] = np.arange(len(rows))
    read: list[tuple[Ints, Cells]] = []
    for one in cells:
        position = position_of[one.rows]
        wanted = position >= 0
        if not wanted.any():
            continue
        read.append((position, one) if wanted.all() else (position[wanted], one.select(wanted)))
    read.sort(key=lambda pair: (pair[1].width_ms, int(pair[1].key[0])))
    if not read:
        none = np.empty(0, np.int64)
        return _Stored(none, none, none, np.empty(0), None, None)

    def joined(of: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(one, of) for _, one in read])

    position, starts = np.concatenate([position for position, _ in read]), joined("starts")
    last, times, count = joined("last"), joined("last_ts"), joined("count")
    columns: Columns | None = None
    if (count > 1).any():
        resets, lost = (np.concatenate(column) for column in zip(*(_resets(one) for _, one in read), strict=True))
        columns = Columns(
            count, joined("sum"), joined("min"), joined("max"), joined("first"), joined("first_ts"),
            np.zeros(len(count)), resets, lost,
        )  # fmt: skip
    stored = _Stored(position, starts, times, last, columns, _sketches([one for _, one in read]))
    return _ordered(stored)


def _ordered(stored: _Stored) -> _Stored:
    """By position, then start. The cells of one series mostly come in order."""
    position = stored.position
    if (position[1:] < position[:-1]).any():
        order = np.argsort((position & 0xFFFF).astype(np.uint16), kind="stable")
        if position.max() >> _SPLIT_BITS:
            order = order[np.argsort((position[order] >> _SPLIT_BITS).astype(np.uint16), kind="stable")]
        stored = stored.at(order)
    position, starts = stored.position, stored.starts
    if ((starts[1:] <= starts[:-1]) & (position[1:] == position[:-1])).any():
        return stored.at(np.lexsort((starts, position)))
    return stored


def _resets(cells: Cells) -> tuple[Ints, Floats]:
    """How often each counter began anew inside its cell, and the sum of the values after which it did: both points of a
    fall are turning points."""
    cell, value = cells.turn_cell, cells.turn_value
    fell = (cell[1:] == cell[:-1]) & (value[1:] < value[:-1])
    at, before = cell[1:][fell], value[:-1][fell]
    return np.bincount(at, minlength=len(cells)), np.bincount(at, before, len(cells)).astype(np.float64)


def _sketches(cells: Sequence[Cells]) -> Sketches | None:
    if not any(len(one.sketch_cell) for one in cells):
        return None
    offsets = np.cumsum([0, *(len(one) for one in cells)])
    sample = np.concatenate([one.sketch_cell + offset for one, offset in zip(cells, offsets, strict=False)])
    return Sketches(
        sample,
        np.concatenate([one.sketch_bucket for one in cells]),
        np.concatenate([one.sketch_count for one in cells]),
    )


def _split(stored: _Stored) -> _Stored:
    """With a sample of their own for those at which their windows begin."""
    columns = stored.columns
    if columns is None:
        return stored
    both = (columns.first_ms == stored.starts) & (stored.times > stored.starts) & np.isfinite(columns.first)
    if not both.any():
        return stored
    twice = np.repeat(np.arange(len(both)), 1 + both)
    moved = np.cumsum(1 + both) - 1
    rest = moved[both]
    head = rest - 1
    split = stored.at(twice) if stored.sketches is None else replace(stored, sketches=None).at(twice)
    of, first = split.own_columns(), columns.first[both]
    split.times[head], split.last[head] = columns.first_ms[both], first
    of.count[head] = 1
    of.count[rest] -= 1
    of.sum[rest] -= first
    for column in (of.sum, of.min, of.max):
        column[head] = first
    of.resets[head], of.before_resets[head] = 0, 0
    # Of two, the other one is known as well.
    pair = rest[of.count[rest] == 1]
    for column in (of.sum, of.min, of.max, of.first):
        column[pair] = split.last[pair]
    of.first_ms[pair] = split.times[pair]
    of.resets[pair], of.before_resets[pair] = 0, 0
    return replace(split, sketches=_without(stored.sketches, np.flatnonzero(both), first, moved))


def _without(sketches: Sketches | None, cells: Ints, first: Floats, moved: Ints) -> Sketches | None:
    """The sketches after a value of each of `cells` went into a sample of its own; moved: the new place of each cell's
    rest, just before which that is."""
    if sketches is None:
        return None
    codes = sketch.codes(sketches.sample, sketches.bucket)
    wanted = sketch.codes(cells, sketch.buckets_of(first))
    at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    known = codes[at] == wanted
    count = sketches.count.copy()
    count[at[known]] -= 1
    sample = np.concatenate([moved[sketches.sample], moved[cells[known]] - 1])
    bucket = np.concatenate([sketches.bucket, sketches.bucket[at[known]]])
    count = np.concatenate([count, np.ones(int(known.sum()), np.int64)])
    order = np.flatnonzero(count > 0)
    order = order[np.argsort(sketch.codes(sample[order], bucket[order]), kind="stable")]
    return Sketches(sample[order], bucket[order], count[order])


def _grown(stored: _Stored, below: Ints | None, begins: Ints, shown: Shown, sizes: Ints) -> Floats:
    """By how much each sample to show grew its running total. begins: where the cells of each series are; below: see
    `_below`."""
    places, part = spread(begins, sizes), np.repeat(shown.parts, sizes)
    added = stored.last if stored.columns is None else stored.columns.sum
    grown = np.where(np.repeat(shown.incremental, sizes), added[places], 0.0)
    if (counts := part == COUNT).any():
        grown[counts] = stored.own_columns().count[places[counts]]
    if below is not None:
        buckets = np.flatnonzero(part >= BUCKET)
        grown[buckets] = below[places[buckets], part[buckets] - BUCKET]
    return grown


def _running(
    stored: _Stored, grown: Floats, shown: Shown, bounds: Ints, totals: Floats | None
) -> tuple[Columns, Floats]:
    """Columns and values where some of the series show running totals."""
    sizes = np.diff(bounds)
    columns, last = stored.own_columns(), stored.last
    value = _added_up(grown, bounds, totals)
    incremental = np.repeat(shown.incremental, sizes)
    if stored.columns is None:
        value = value if incremental.all() else np.where(incremental, value, last)
        return replace(columns, sum=value, min=value, max=value, first=value, increase=grown), value
    part = np.repeat(shown.parts, sizes)
    oldest = np.where(part == COUNT, 1.0, np.where(part >= BUCKET, 0.0, columns.first))
    first = value - grown + np.where(columns.count == 1, grown, oldest)

    def either(running: npt.NDArray[Any], own: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return running if incremental.all() else np.where(incremental, running, own)

    return Columns(
        columns.count,
        either((first + value) / 2 * columns.count, columns.sum),
        either(np.minimum(first, value), columns.min),
        either(np.maximum(first, value), columns.max),
        either(first, columns.first),
        columns.first_ms,
        grown,
        either(np.zeros_like(columns.resets), columns.resets),
        either(np.zeros_like(value), columns.before_resets),
    ), either(value, last)


def _added_up(grown: Floats, bounds: Ints, totals: Floats | None) -> Floats:
    """The running total at each sample. totals: see `samples_of`."""
    sizes = np.diff(bounds)
    # In longer floats: what is before a series is subtracted again.
    upto = np.concatenate([[0], np.cumsum(grown, dtype=np.longdouble)])
    begins, ends = upto[bounds[:-1]], upto[bounds[1:]]
    own = upto[1:] - np.repeat(begins, sizes)
    with np.errstate(over="ignore"):
        exact = bool(np.abs(grown).sum() < WHOLE) and np.array_equal(grown, np.rint(grown))
    if not exact:
        # Of a series that is small beside all before it, too little would be left.
        small = (np.abs(ends - begins) * _MUCH < np.maximum(np.abs(begins), np.abs(ends))) & (sizes > 0)
        for row in np.flatnonzero(small).tolist():
            some = slice(*bounds[row : row + 2].tolist())
            own[some] = np.cumsum(grown[some], dtype=np.longdouble)
    if totals is not None:
        reached = own[np.maximum(bounds[1:] - 1, 0)] if len(own) else np.zeros(len(sizes))
        own = own + np.repeat(np.where(np.isnan(totals), 0, totals - reached), sizes)
    with np.errstate(over="ignore"):
        return own.astype(np.float64)


def _below(stored: _Stored) -> npt.NDArray[np.int64]:
    """[cells, bounds]: of each sketch, how many observations lie at or below each bound."""
    cells = len(stored.times)
    counted = np.zeros(cells * _BOUNDS)
    if (sketches := stored.sketches) is not None:
        place = sketches.sample * _BOUNDS + _BOUND_OF[sketches.bucket + sketch.BUCKETS]
        counted = np.bincount(place, sketches.count, cells * _BOUNDS)
    below = counted.reshape(cells, _BOUNDS).astype(np.int64).cumsum(axis=1)
    below[:, -1] = stored.own_columns().count
    return below
