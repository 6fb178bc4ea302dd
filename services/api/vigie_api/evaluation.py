"""From cells to numbers: one function, groups of series, steps of time. Pure numpy.

The definitions are in `functions.MEANING`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from vigie_windows import Cells, Kind, increase, sketch

from vigie_api.functions import QUANTILES, Function
from vigie_api.grid import Grid

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """All that was read for one question: cells of several tiers whose windows do not overlap, in the steps of `grid`.

    Rows are the reader's numbers for series. Cells before the grid only serve as the point before a first increase.
    """

    cells: tuple[Cells, ...]
    grid: Grid
    now_ms: int

    def evaluate(self, function: Function, group_of_row: Int64s, groups: int) -> Floats:
        """float64[groups, steps]; nan where there is no sample.

        group_of_row: int64[rows], the group 0..groups-1 that a row belongs to, or -1 for none.
        """
        return self.grouped(group_of_row, groups).run(function)

    def grouped(self, group_of_row: Int64s, groups: int) -> Evaluation:
        """For several functions of the same groups."""
        return Evaluation(self, group_of_row, groups)


class Evaluation:
    """Samples in groups and steps, ready for any function."""

    def __init__(self, samples: Samples, group_of_row: Int64s, groups: int) -> None:
        self._grid, self._now_ms = samples.grid, samples.now_ms
        self._group_of_row = group_of_row
        self._shape = (groups, samples.grid.steps)
        self._size = groups * samples.grid.steps
        self._mine = [_of_rows(cells, group_of_row) for cells in samples.cells]
        self._chosen = [self._in_grid(cells) for cells in self._mine]
        self._square = self._squares(self._joined("rows"), self._joined("starts"))
        self._count = np.bincount(self._square, self._joined("count"), self._size)

    def run(self, function: Function) -> Floats:
        """See `Samples.evaluate`."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            values = self._values(function)
        return values.reshape(self._shape)

    def _values(self, function: Function) -> Floats:
        match function:
            case Function.COUNT:
                return self._blank(self._count.astype(np.float64))
            case Function.AVG:
                return _added(self._square, self._joined("sum"), self._size) / self._count
            case Function.MIN:
                return self._blank(self._minima())
            case Function.MAX:
                return self._blank(self._maxima())
            case Function.LAST:
                return self._last()
            case Function.SUM:
                return self._blank(self._sums())
            case Function.INCREASE:
                return self._blank(self._increase())
            case Function.RATE:
                per_step = self._blank(self._increase()).reshape(self._shape)
                return (per_step / self._grid.seconds(self._now_ms)).ravel()
            case _:
                return self._quantile(QUANTILES[function])

    def _minima(self) -> Floats:
        least = np.full(self._size, np.inf)
        np.minimum.at(least, self._square, self._joined("min"))
        return least

    def _maxima(self) -> Floats:
        greatest = np.full(self._size, -np.inf)
        np.maximum.at(greatest, self._square, self._joined("max"))
        return greatest

    def _last(self) -> Floats:
        last = self._joined("last")
        order = np.lexsort((last, self._joined("last_ts")))
        result = np.full(self._size, np.nan)
        result[self._square[order]] = last[order]  # of repeated positions the last assignment stays
        return result

    def _sums(self) -> Floats:
        """Gauges by the mean of each series, histograms by their observations, counters by their increase."""
        total = self._growth()
        kind = self._joined("kind")
        observed = kind == Kind.HISTOGRAM
        total += _added(self._square[observed], self._joined("sum")[observed], self._size)
        gauge = kind == Kind.GAUGE
        if gauge.any():
            # A cell of the (row, step) matrix: several windows of a series in one step share their mean.
            place = self._joined("rows")[gauge] * self._grid.steps + self._square[gauge] % self._grid.steps
            places, inverse = np.unique(place, return_inverse=True)
            mean = np.bincount(inverse, self._joined("sum")[gauge]) / np.bincount(inverse, self._joined("count")[gauge])
            rows, step = places // self._grid.steps, places % self._grid.steps
            total += _added(self._group_of_row[rows] * self._grid.steps + step, mean, self._size)
        return total

    def _increase(self) -> Floats:
        observed = self._joined("kind") == Kind.HISTOGRAM
        counts = self._joined("count")[observed].astype(np.float64)
        return self._growth() + _added(self._square[observed], counts, self._size)

    def _growth(self) -> Floats:
        """Of counters, the step into each window included."""
        if not self._mine:
            return np.zeros(self._size)
        rows, starts, grown = increase.per_window(*self._mine)
        inside = (starts >= self._grid.start) & (starts < self._grid.end)
        return _added(self._squares(rows[inside], starts[inside]), grown[inside], self._size)

    def _quantile(self, q: float) -> Floats:
        if not self._chosen:
            return np.full(self._size, np.nan)
        squares = np.split(self._square, np.cumsum([len(cells) for cells in self._chosen])[:-1])
        of_bucket = [square[cells.sketch_cell] for square, cells in zip(squares, self._chosen, strict=True)]
        return sketch.quantiles_by_group(
            np.concatenate(of_bucket),
            np.concatenate([cells.sketch_bucket for cells in self._chosen]),
            np.concatenate([cells.sketch_count for cells in self._chosen]),
            (q,),
            minimum=self._minima(),
            maximum=self._maxima(),
        )[:, 0]

    def _blank(self, values: Floats) -> Floats:
        """nan where nothing was counted."""
        return np.where(self._count > 0, values, np.nan)

    def _squares(self, rows: Int64s, starts: Int64s) -> Int64s:
        step = np.searchsorted(self._grid.edges, starts, side="right") - 1
        return self._group_of_row[rows] * self._grid.steps + step

    def _in_grid(self, cells: Cells) -> Cells:
        starts = cells.starts
        inside = (starts >= self._grid.start) & (starts < self._grid.end)
        return cells if inside.all() else cells.select(inside)

    def _joined(self, name: str) -> Any:
        """The column of all cells in the grid, with its own type."""
        columns: list[Any] = [getattr(cells, name) for cells in self._chosen]
        return np.concatenate(columns) if columns else np.empty(0, np.int64)


def _of_rows(cells: Cells, group_of_row: Int64s) -> Cells:
    mine = group_of_row[cells.rows] >= 0
    return cells if mine.all() else cells.select(mine)


def _added(places: Int64s, values: Floats, size: int) -> Floats:
    """float64[size]: the sum of the values at each place. (`np.bincount` gives integers when there are none.)"""
    return np.bincount(places, values, size).astype(np.float64, copy=False)
