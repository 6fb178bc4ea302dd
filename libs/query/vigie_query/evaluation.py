"""Evaluates functions over cells, by group of series and step of time. Pure numpy.

The definitions are in `functions.MEANING`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from vigie_windows import Cells, Kind, increase, sketch

from vigie_query import rounding
from vigie_query.functions import GROWTH, QUANTILES, Function
from vigie_query.grid import Grid

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_BUCKETS: Final = 2 * sketch.BUCKETS + 1
_DENSE_PER_BUCKET: Final = 8
_DENSE_ALWAYS: Final = 4_000_000


class Samples:
    """All that was read for one question: cells of several tiers whose windows do not overlap, in the steps of `grid`.

    Rows are the reader's numbers for series. Cells before the grid only serve as the point before a first increase.
    Columns are joined once, when they are first needed, and shared by all evaluations.
    """

    def __init__(self, cells: tuple[Cells, ...], grid: Grid, now_ms: int) -> None:
        self._cells, self.grid, self.now_ms = cells, grid, now_ms
        self._columns: dict[str, Any] = {}

    def evaluate(self, function: Function, group_of_row: Int64s, groups: int) -> Floats:
        """float64[groups, steps]; nan where there is no sample.

        group_of_row: int64[rows], the group 0..groups-1 that a row belongs to, or -1 for none.
        """
        return self.grouped(group_of_row, groups).run(function)

    def grouped(self, group_of_row: Int64s, groups: int) -> Evaluation:
        """For several functions of the same groups."""
        return Evaluation(self, group_of_row, groups)

    def column(self, name: str) -> Any:
        """The column of all cells, one after the other, with its own type."""
        if name not in self._columns:
            columns = [getattr(cells, name) for cells in self._cells]
            self._columns[name] = np.concatenate(columns) if columns else np.empty(0, np.int64)
        return self._columns[name]

    @cached_property
    def steps(self) -> Int64s:
        """The step of each cell; -1 outside the grid."""
        return self._step_of(self.column("starts"))

    @cached_property
    def widths(self) -> Int64s:
        """The width of each cell's window, ms."""
        return np.repeat([cells.width_ms for cells in self._cells], [len(cells) for cells in self._cells])

    @cached_property
    def growth(self) -> tuple[Int64s, Int64s, Floats]:
        """Row, step and increase of every counter cell in the grid, the step into its window included."""
        if not self._cells:
            nothing = np.empty(0, np.int64)
            return nothing, nothing, np.empty(0)
        rows, starts, grown = increase.per_window(*self._cells)
        steps = self._step_of(starts)
        inside = steps >= 0
        return rows[inside], steps[inside], grown[inside]

    @cached_property
    def sketches(self) -> tuple[Any, Any, Any]:
        """Cell (as a position in the columns), bucket and count of all sketches."""
        lengths = [len(cells) for cells in self._cells]
        offsets: list[int] = np.cumsum([0, *lengths[:-1]]).tolist() if lengths else []
        cell = [cells.sketch_cell + offset for cells, offset in zip(self._cells, offsets, strict=True)]
        cell = np.concatenate(cell) if cell else np.empty(0, np.int64)
        return cell, self.column("sketch_bucket"), self.column("sketch_count")

    def _step_of(self, starts: Int64s) -> Int64s:
        step = np.searchsorted(self.grid.edges, starts, side="right") - 1
        return np.where(starts < self.grid.end, step, -1)


class Evaluation:
    """Samples in groups and steps, ready for any function."""

    def __init__(self, samples: Samples, group_of_row: Int64s, groups: int) -> None:
        self._samples, self._group_of_row = samples, group_of_row
        self._steps = samples.grid.steps
        self._shape = (groups, self._steps)
        self._size = groups * self._steps
        group, step = group_of_row[samples.column("rows")], samples.steps
        self._square_of_cell = np.where((group >= 0) & (step >= 0), group * self._steps + step, -1)
        self._mine = np.flatnonzero(self._square_of_cell >= 0)
        self._square = self._square_of_cell[self._mine]
        self._count = _added(self._square, self._column("count").astype(np.float64), self._size)

    def run(self, function: Function) -> Floats:
        """See `Samples.evaluate`."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            values = self._values(function)
        return values.reshape(self._shape)

    def error_bound(self, function: Function) -> float | None:
        """The largest relative error of the numbers that `run` gives, steps without samples aside; None when nothing
        bounds it, or a number is beyond float64. Less than `rounding.NEGLIGIBLE` is 0."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if function in QUANTILES:
                errors = self._quantiles.error[:, list(QUANTILES).index(function)]
                return rounding.of_quantiles(errors[~np.isnan(errors)])
            # A rate is off by as much as the increase.
            values = self._values(Function.INCREASE if function is Function.RATE else function)
            errors = rounding.relative(values, self._errors(function))
        counted = self._count > 0
        if not np.isfinite(values[counted]).all():
            return None
        return rounding.largest(errors[counted])

    def _values(self, function: Function) -> Floats:
        match function:
            case Function.COUNT:
                return self._blank(self._count)
            case Function.AVG:
                average = _added(self._square, self._column("sum"), self._size) / self._count
                if np.isfinite(average[self._count > 0]).all():
                    return average
                return np.where(np.isfinite(average), average, self._blank(self._average(self._means.mean)))
            case Function.MIN:
                return self._blank(self._minima)
            case Function.MAX:
                return self._blank(self._maxima)
            case Function.LAST:
                return self._last()
            case Function.SUM:
                return self._blank(self._sums())
            case Function.INCREASE:
                return self._blank(self._increase())
            case Function.RATE:
                per_step = self._blank(self._increase()).reshape(self._shape)
                return (per_step / self._samples.grid.seconds(self._samples.now_ms)).ravel()
            case _:
                return self._quantiles.value[:, list(QUANTILES).index(function)]

    @cached_property
    def _minima(self) -> Floats:
        least = np.full(self._size, np.inf)
        np.minimum.at(least, self._square, self._column("min"))
        return least

    @cached_property
    def _maxima(self) -> Floats:
        greatest = np.full(self._size, -np.inf)
        np.maximum.at(greatest, self._square, self._column("max"))
        return greatest

    def _last(self) -> Floats:
        last = self._column("last")
        order = np.lexsort((last, self._column("last_ts")))
        result = np.full(self._size, np.nan)
        result[self._square[order]] = last[order]  # of repeated positions the last assignment stays
        return result

    def _sums(self) -> Floats:
        """Gauges by the mean of each series, histograms by their observations, counters by their increase."""
        total = self._growth()
        kind, added = self._column("kind"), self._column("sum")
        observed = kind == Kind.HISTOGRAM
        total += _added(self._square[observed], added[observed], self._size)
        gauge = kind == Kind.GAUGE
        if gauge.any():
            total += self._of_each_series(gauge, self._means.mean)
        return total

    def _of_each_series(self, chosen: Any, means: Floats) -> Floats:
        """Of what cells have on average, each series' average in the step, added over the series."""
        # A square of the (row, step) matrix: several windows of a series in one step share their mean.
        place = self._column("rows")[chosen] * self._steps + self._square[chosen] % self._steps
        places, inverse = np.unique(place, return_inverse=True)
        count = self._column("count")[chosen].astype(np.float64)
        weights = np.bincount(inverse, count)
        mean = _added(inverse, means[chosen] * count, len(places)) / weights
        if not np.isfinite(mean).all():
            mean = _added(inverse, means[chosen] * (count / weights[inverse]), len(places))
        rows, step = places // self._steps, places % self._steps
        return _added(self._group_of_row[rows] * self._steps + step, mean, self._size)

    @cached_property
    def _means(self) -> rounding.CellMeans:
        columns = [self._column(name) for name in ("sum", "min", "max")]
        return rounding.CellMeans(self._column("count").astype(np.float64), *columns)

    def _average(self, of_cells: Floats) -> Floats:
        """Of what cells have on average, without leaving float64."""
        weight = self._column("count") / self._count[self._square]
        return _added(self._square, of_cells * weight, self._size)

    def _errors(self, function: Function) -> Floats:
        """Of each square, how far its number may be off."""
        if function not in (Function.AVG, Function.SUM, *GROWTH):
            return np.zeros(self._size)
        means, kind, count = self._means, self._column("kind"), self._column("count").astype(np.float64)
        added = _added(self._square, means.magnitude * count, self._size)
        whole = (_added(self._square, means.fractional.astype(np.float64), self._size) == 0) & (added < rounding.WHOLE)
        operations = np.where(whole, 0.0, self._count * rounding.UNIT)
        if function is Function.AVG:
            return operations * self._average(means.magnitude) + self._average(means.unknown)
        errors = self._cumulative_errors()
        if function is Function.SUM:
            gauge, observed = kind == Kind.GAUGE, kind == Kind.HISTOGRAM
            errors += operations * _added(self._square[observed], (means.magnitude * count)[observed], self._size)
            errors += operations * self._of_each_series(gauge, means.magnitude)
            errors += self._of_each_series(gauge, means.unknown)
        delta = kind == Kind.COUNTER
        return errors + operations * _added(self._square[delta], (means.magnitude * count)[delta], self._size)

    def _cumulative_errors(self) -> Floats:
        """Values above 2^53 have been rounded before they came, which shows in the difference of two of them."""
        cumulative = self._column("kind") == Kind.CUMULATIVE
        if not cumulative.any():
            return np.zeros(self._size)
        greatest = np.maximum(np.abs(self._column("first")), np.abs(self._column("last")))
        greatest = np.where(cumulative & (greatest > rounding.WHOLE), greatest, 0.0)
        return _added(self._square, greatest * (4 * rounding.UNIT), self._size)

    def _increase(self) -> Floats:
        observed = self._column("kind") == Kind.HISTOGRAM
        counts = self._column("count")[observed].astype(np.float64)
        return self._growth() + _added(self._square[observed], counts, self._size)

    def _growth(self) -> Floats:
        """Of counters."""
        rows, steps, grown = self._samples.growth
        group = self._group_of_row[rows]
        mine = group >= 0
        return _added(group[mine] * self._steps + steps[mine], grown[mine], self._size)

    @cached_property
    def _quantiles(self) -> sketch.Quantiles:
        """[squares, quantiles]: all of them, because merging the sketches is what costs."""
        cell, bucket, count = self._samples.sketches
        square = self._square_of_cell[cell]
        mine = square >= 0
        if not mine.all():
            square, bucket, count = square[mine], bucket[mine], count[mine]
        # The grid must not be much larger than what goes into it.
        if self._size * _BUCKETS <= max(_DENSE_ALWAYS, _DENSE_PER_BUCKET * len(square)):
            square, bucket, count = _merged(square, bucket, count, self._size)
        qs = tuple(QUANTILES.values())
        return sketch.quantiles_by_group(square, bucket, count, qs, minimum=self._minima, maximum=self._maxima)

    def _blank(self, values: Floats) -> Floats:
        """nan where nothing was counted."""
        return np.where(self._count > 0, values, np.nan)

    def _column(self, name: str) -> Any:
        return self._samples.column(name)[self._mine]


def _merged(square: Any, bucket: Any, count: Any, size: int) -> tuple[Any, Any, Any]:
    """Equal buckets of a square added up: on a grid, which is many times faster than sorting millions of buckets."""
    place = square * _BUCKETS + (bucket + np.int64(sketch.BUCKETS))
    dense = np.bincount(place, count, size * _BUCKETS)
    used = np.flatnonzero(dense)
    buckets = (used % _BUCKETS - sketch.BUCKETS).astype(np.int32)
    return used // _BUCKETS, buckets, dense[used].astype(np.int64)


def _added(places: Int64s, values: Floats, size: int) -> Floats:
    """float64[size]: the sum of the values at each place. (`np.bincount` gives integers when there are none.)"""
    return np.bincount(places, values, size).astype(np.float64, copy=False)
