"""How much counters grew over time, across windows.

A window knows its inner increase. The step from the last sample of a row's previous window to the first of the next
is added here, with the rule for resets, and belongs to the later window, also across a gap of missing windows, when
the two samples are at most MAX_GAP_MS apart. Beyond that, and in the first window of a row, there is nothing before:
the window counts its inner increase only (like Prometheus without extrapolation).
So an increase depends on the samples of its own time and of MAX_GAP_MS before, never on where a question begins: pass
the windows before the range too. Windows outside the range serve as the point before, no more.
"""

import numpy as np

from vigie_windows.arrays import Floats, Int64s
from vigie_windows.cells import Cells
from vigie_windows.errors import IncompatibleError
from vigie_windows.kinds import Kind
from vigie_windows.resets import step

MAX_GAP_MS = 25 * 3_600_000
"""Up to so far apart, two samples of a cumulative counter have an increase between them: a counter that is sent once a
day has one, with an hour for the clocks that change. Not less than the widest window, inside which gaps do not show."""


def per_window(*cells: Cells) -> tuple[Int64s, Int64s, Floats]:
    """Row, window start in ms and increase (with the step into the window) of every counter cell, by (row, start)."""
    if not cells:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, np.empty(0)
    row, start, end, kind, first_ts, first, last_ts, last, grown = (
        np.concatenate(columns) for columns in zip(*(_columns(c) for c in cells), strict=True)
    )
    order = np.lexsort((start, row))
    order = order[(kind[order] == Kind.CUMULATIVE) | (kind[order] == Kind.COUNTER)]
    row, start, end, kind = row[order], start[order], end[order], kind[order]
    first_ts, first, last_ts, last, grown = first_ts[order], first[order], last_ts[order], last[order], grown[order]
    same = row[1:] == row[:-1]
    if (same & (start[1:] < end[:-1])).any():
        raise IncompatibleError("windows of one row overlap")
    joined = same & (kind[1:] == Kind.CUMULATIVE) & (first_ts[1:] - last_ts[:-1] <= MAX_GAP_MS)
    grown[1:] += np.where(joined, step(last[:-1], first[1:]), 0.0)
    return row, start, grown


def unpreceded(*cells: Cells, start_ms: int, known_since_ms: int) -> Int64s:
    """The rows of cumulative counters whose first sample since `start_ms` has its predecessor, if any, before the time
    that the cells are of, which begins at `known_since_ms`. Needs the column `first`."""
    cumulative = [one.kind == Kind.CUMULATIVE for one in cells]
    if not any(mask.any() for mask in cumulative):
        return np.empty(0, np.int64)
    row = np.concatenate([one.rows[mask] for one, mask in zip(cells, cumulative, strict=True)])
    first_ts = np.concatenate([one.first_ts[mask] for one, mask in zip(cells, cumulative, strict=True)])
    rows, place = np.unique(row, return_inverse=True)
    earliest = np.full(len(rows), np.iinfo(np.int64).max)
    np.minimum.at(earliest, place, first_ts)
    return rows[(earliest >= start_ms) & (earliest - MAX_GAP_MS < known_since_ms)]


def _columns(cells: Cells) -> tuple[Int64s, Int64s, Int64s, Int64s, Int64s, Floats, Int64s, Floats, Floats]:
    kind = cells.kind.astype(np.int64)
    ends = cells.starts + cells.width_ms
    first, last = (cells.first_ts, cells.first), (cells.last_ts, cells.last)
    return cells.rows, cells.starts, ends, kind, *first, *last, cells.increase()
