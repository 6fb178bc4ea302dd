"""Only the newest sample of each series up to a moment: mostly it lies in the last windows, and no others are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_query.planning import Plan, TierRange, joined
from vigie_windows import Cells

_FIRST: Final = 3
"""Windows up to the moment that are read first: the finest ones hold more than the last 20 s."""
_GROWTH: Final = 4
"""How many times as many windows each next part has."""


def parts(plan: Plan, at_ms: int) -> Iterator[Plan]:
    """The windows of a plan, the latest first; all that begin after `at_ms` are in the first part."""
    windows = [
        TierRange(piece.tier, start, start + piece.tier.width_ms)
        for piece in plan.pieces
        for start in range(piece.start, piece.end, piece.tier.width_ms)
    ]
    end, size = sum(window.start <= at_ms for window in windows), _FIRST
    last = len(windows)
    while last > 0:
        begin = max(0, end - size)
        yield Plan(plan.tier, tuple(joined(windows[begin:last])))
        last = end = begin
        size *= _GROWTH


def without(rows: npt.NDArray[np.int64], cells: Sequence[Cells], at_ms: int) -> npt.NDArray[np.int64]:
    """Those of the rows of which the cells have no sample up to the moment."""
    return np.setdiff1d(rows, np.concatenate([rows[:0], *(one.rows[one.last_ts <= at_ms] for one in cells)]))
