"""The total of a gauge over its series at every moment of a range: how many users all services have together.

A series has the values of its windows, and after each of them the last one, until its next window or until it is stale.
In a stretch of time without a change the total is the sum of the series' means, its greatest value that of their
maxima: so the mean is never above the greatest value, nor is the newest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_query.evaluation import Samples
from vigie_query.times import MINUTE

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

STALE_MS: Final = 5 * MINUTE
"""A series without a sample for so long has no value."""
_SQUARES: Final = 1_000_000
"""Groups and stretches of time that are added up at once."""


@dataclass(frozen=True, slots=True)
class Total:
    """Over the range; `last` is that of the newest moment with a value."""

    avg: float
    max: float
    last: float


@dataclass(frozen=True, slots=True)
class _Stretches:
    """n stretches of time (ms, `end` excluded) in which a series, and so its group, has these values."""

    group: Int64s
    begin: Int64s
    end: Int64s
    mean: Floats
    greatest: Floats
    last: Floats

    def select(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> _Stretches:
        return _Stretches(*(getattr(self, name)[chosen] for name in self.__slots__))


def totals(samples: Samples, group_of_row: Int64s, groups: int) -> list[Total | None]:
    """Of each group; None without a sample. `group_of_row` as for `Samples.evaluate`; rows are of gauges."""
    found: list[Total | None] = [None] * groups
    stretches = _stretches(samples, group_of_row)
    if not len(stretches.group):
        return found
    edges = np.unique(np.concatenate((stretches.begin, stretches.end)))
    stretches = stretches.select(np.argsort(stretches.group, kind="stable"))
    per_block = max(1, _SQUARES // len(edges))
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, groups, per_block):
            size = min(per_block, groups - first)
            own = slice(*np.searchsorted(stretches.group, (first, first + size)))
            block = stretches.select(np.arange(int(own.start), int(own.stop), dtype=np.int64))
            for group, total in _block(block, first, size, edges):
                found[group] = total
    return found


def _stretches(samples: Samples, group_of_row: Int64s) -> _Stretches:
    """A window is one stretch, and what follows it another."""
    mine = np.flatnonzero((group_of_row[samples.column("rows")] >= 0) & (samples.steps >= 0))
    row, start = samples.column("rows")[mine], samples.column("starts")[mine]
    order = np.lexsort((start, row))
    mine, row, start = mine[order], row[order], start[order]
    if not len(mine):
        nothing = np.empty(0, np.int64)
        return _Stretches(nothing, nothing, nothing, np.empty(0), np.empty(0), np.empty(0))
    # What is not over has no value yet; what senders' clocks put ahead of ours is the newest there is.
    horizon = max(min(samples.grid.end, samples.now_ms), int(start.max()) + 1)
    end = start + samples.widths[mine]
    carried = end + STALE_MS
    carried[:-1] = np.where(row[1:] == row[:-1], np.minimum(carried[:-1], start[1:]), carried[:-1])
    last, greatest = samples.column("last")[mine], samples.column("max")[mine]
    mean = np.minimum(samples.column("sum")[mine] / samples.column("count")[mine], greatest)
    whole = _Stretches(
        group=np.tile(group_of_row[row], 2),
        begin=np.concatenate((start, end)),
        end=np.minimum(np.concatenate((end, carried)), horizon),
        mean=np.concatenate((mean, last)),
        greatest=np.concatenate((greatest, last)),
        last=np.concatenate((last, last)),
    )
    return whole.select(whole.begin < whole.end)


def _block(stretches: _Stretches, first: int, size: int, edges: Int64s) -> Iterator[tuple[int, Total]]:
    """The totals of the groups first..first + size - 1. edges: all moments at which something changes, ascending."""
    moments = len(edges) - 1
    begin = np.searchsorted(edges, stretches.begin)
    lengths = np.searchsorted(edges, stretches.end) - begin
    each = np.repeat(np.arange(len(lengths)), lengths)
    moment = begin[each] + np.arange(len(each)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = (stretches.group[each] - first) * moments + moment

    def added(values: Floats) -> Floats:
        found = np.bincount(place, values[each], size * moments)
        return found.astype(np.float64, copy=False).reshape(size, moments)

    present = np.bincount(place, minlength=size * moments).reshape(size, moments) > 0
    mean, greatest, last = added(stretches.mean), added(stretches.greatest), added(stretches.last)
    seconds = np.diff(edges) / 1000
    for group in np.flatnonzero(present.any(1)).tolist():
        known = np.flatnonzero(present[group])
        peak = float(greatest[group, known].max())
        average = float(np.average(mean[group, known], weights=seconds[known]))
        yield first + group, Total(min(average, peak), peak, float(last[group, known[-1]]))
