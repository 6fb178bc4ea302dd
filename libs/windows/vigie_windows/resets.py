"""Resets of cumulative counters.

A counter that restarts falls, and what it shows after the fall is all new. Its increase over points ordered by
(timestamp, value) is therefore the sum over neighbours a, b of `b - a`, or of `b` where b < a. Where it does not fall
the sum telescopes, so first, last and the two points around every fall (the *turning points*) are all that is kept.

This is exact under any merge but in one case: points between two kept points are forgotten. When a sample arrives in
a later batch than its neighbours in time, and a reset beside it shows only against a forgotten neighbour, the reset
is not seen. Example: 1, 7, 5, 10 with the 7 late: 1, 5, 10 was kept as 1, 10, so 1, 7, 10 shows no reset, and the
increase is 9, not 16.
"""

import numpy as np

from vigie_windows.arrays import Floats, Int64s, run_starts, strictly_ascending

_RUN = 32
"""Mean length of ascending runs from which timsort wins (measured)."""

Points = tuple[Int64s, Int64s, Floats]
"""Cell (int64[k]), timestamp in ms (int64[k]), value (float64[k])."""


def step(before: Floats, after: Floats) -> Floats:
    """The increase of a cumulative counter from one value to the next."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(after >= before, after - before, after)


def turning_points(cell: Int64s, ts: Int64s, value: Floats, width_ms: int) -> Points:
    """The points around every fall inside a cell, sorted by (cell, ts, value), each once. Input in any order.

    `cell` must be below 2^31 and the points of one cell inside one window of `width_ms`.
    """
    packed = cell * width_ms + ts % width_ms
    if not strictly_ascending(packed):
        cell, ts, value = _sorted(packed, cell, ts, value)
    falls = (value[1:] < value[:-1]) & (cell[1:] == cell[:-1])
    turns = np.zeros(len(cell), np.bool_)
    if len(cell):
        turns[1:] = falls
        turns[:-1] |= falls
    return cell[turns], ts[turns], value[turns]


def _sorted(packed: Int64s, cell: Int64s, ts: Int64s, value: Floats) -> Points:
    # A few ascending runs (merging) suit timsort, samples in disorder (folding) the vectorised quicksort.
    falls = np.count_nonzero(packed[1:] < packed[:-1])
    order = np.argsort(packed, kind="stable" if falls * _RUN < len(packed) else None)
    packed, value = packed[order], value[order]
    tied = packed[1:] == packed[:-1]
    if (tied & (value[1:] != value[:-1])).any():
        # Rare: different values of one series at one timestamp, where the value decides.
        within = np.append(tied, False)
        within[1:] |= tied
        at = np.flatnonzero(within)
        inner = at[np.lexsort((value[at], packed[at]))]
        order[at], value[at] = order[inner], value[inner]
    kept = np.ones(len(order), np.bool_)
    kept[1:] = ~tied | (value[1:] != value[:-1])
    order = order[kept]
    return cell[order], ts[order], value[kept]


def inner_increase(first: Floats, last: Floats, turn_cell: Int64s, turn_value: Floats) -> Floats:
    """float64[n]: the increase along first, turning points, last of each of n cells."""
    grown = step(first, last)
    if not len(turn_cell):
        return grown
    begins = run_starts(turn_cell)
    ends = np.append(begins[1:], len(turn_cell)) - 1
    cell = turn_cell[begins]
    between = np.zeros(len(turn_cell))
    between[1:] = step(turn_value[:-1], turn_value[1:])
    between[begins] = step(first[cell], turn_value[begins])
    grown[cell] = np.add.reduceat(between, begins) + step(turn_value[ends], last[cell])
    return grown
