"""How much counters grew over time, across windows.

A window knows its inner increase. The step from the last sample of a row's previous window to the first of the next
is added here, with the rule for resets, and belongs to the later window, also across a gap of missing windows. The
first window of a row has nothing before it: it counts its inner increase only (like Prometheus without extrapolation).
To have the step into the first window of a range, pass the windows before it too: windows outside the range serve as
the point before, no more.
"""

from dataclasses import dataclass

import numpy as np

from vigie_windows.arrays import Floats, Int64s, run_starts
from vigie_windows.cells import Cells
from vigie_windows.errors import IncompatibleError
from vigie_windows.kinds import Kind
from vigie_windows.resets import step


@dataclass(frozen=True, slots=True, eq=False)
class Increase:
    """The increase of r rows in s steps."""

    rows: Int64s
    """int64[r], ascending."""
    values: Floats
    """float64[r, s]; nan where a row has no window in a step."""


def over_windows(*cells: Cells, start_ms: int, end_ms: int, step_ms: int) -> Increase:
    """Increase of every counter row per step of `step_ms` from `start_ms` up to `end_ms` (exclusive).

    A window belongs to the step that contains its start; the last step may be cut short by `end_ms`. Cells may have
    different widths (a coarse tier continued by a finer one), but the windows of one row must not overlap:
    IncompatibleError. Rows that are no counters, or have no window in the range, are left out. The caller bounds
    rows x steps.
    """
    if step_ms <= 0:
        raise ValueError(f"step_ms must be positive, not {step_ms}")
    steps = max(0, -((start_ms - end_ms) // step_ms))
    rows, starts, grown = per_window(*cells)
    inside = (starts >= start_ms) & (starts < end_ms)
    rows, starts, grown = rows[inside], starts[inside], grown[inside]
    begins = run_starts(rows)
    place = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(rows))))
    square = place * steps + (starts - start_ms) // step_ms
    size = len(begins) * steps
    values: Floats = np.bincount(square, grown, size).astype(np.float64, copy=False)
    values[np.bincount(square, minlength=size) == 0] = np.nan
    return Increase(rows[begins], values.reshape(len(begins), steps))


def per_window(*cells: Cells) -> tuple[Int64s, Int64s, Floats]:
    """Row, window start in ms and increase (with the step into the window) of every counter cell, by (row, start)."""
    if not cells:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, np.empty(0)
    row, start, end, kind, first, last, grown = (
        np.concatenate(columns) for columns in zip(*(_columns(c) for c in cells), strict=True)
    )
    order = np.lexsort((start, row))
    order = order[(kind[order] == Kind.CUMULATIVE) | (kind[order] == Kind.COUNTER)]
    row, start, end, kind = row[order], start[order], end[order], kind[order]
    first, last, grown = first[order], last[order], grown[order]
    same = row[1:] == row[:-1]
    if (same & (start[1:] < end[:-1])).any():
        raise IncompatibleError("windows of one row overlap")
    joined = same & (kind[1:] == Kind.CUMULATIVE)
    grown[1:] += np.where(joined, step(last[:-1], first[1:]), 0.0)
    return row, start, grown


def _columns(cells: Cells) -> tuple[Int64s, Int64s, Int64s, Int64s, Floats, Floats, Floats]:
    kind = cells.kind.astype(np.int64)
    ends = cells.starts + cells.width_ms
    return cells.rows, cells.starts, ends, kind, cells.first, cells.last, cells.increase()
