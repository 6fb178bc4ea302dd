"""The committed state of the windows that are still being written, so that most commits read nothing."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from vigie_windows import Cells, merge

Int64s = npt.NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.uint64)

SLOT_BITS = 8
_WINDOW = (1 << 32) - 1


def distinct(numbers: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Each once, ascending. `np.unique` hashes, which costs several times as much when most are distinct."""
    ordered = np.sort(numbers)
    return ordered[np.append(np.ones(min(1, len(ordered)), np.bool_), ordered[1:] != ordered[:-1])]


def groups_of(cells: Cells) -> Int64s:
    """int64[g]: the chunk-windows of the cells, ascending, as key >> 8."""
    return cells.key[cells.group_bounds()[:-1]] >> SLOT_BITS if len(cells) else np.empty(0, np.int64)


def widened(groups: Int64s, factor: int) -> Int64s:
    """The chunk-windows that are `factor` times as wide and hold these."""
    window = groups & _WINDOW
    return distinct(groups - window + window // factor)


class WindowCache:
    """Whole chunk-windows of one tier, as stored. Only recent windows are kept, and none beyond the bound."""

    def __init__(self, width_ms: int) -> None:
        self._width_ms = width_ms
        self._cells = Cells.empty(width_ms)
        self._rest = self._cells

    @property
    def nbytes(self) -> int:
        return self._cells.nbytes

    def missing(self, groups: Int64s) -> Int64s:
        """Those of the (ascending) groups that must be read from the store."""
        return np.setdiff1d(groups, groups_of(self._cells), assume_unique=True)

    def take(self, groups: Int64s) -> Cells:
        """The cells of the groups that are kept here. They are out until `put` gives their successors back."""
        wanted = np.isin(self._cells.key >> SLOT_BITS, groups)
        self._rest = self._cells.select(~wanted)
        return self._cells.select(wanted)

    def put(self, committed: Cells, max_bytes: int, now_ms: int) -> None:
        """Keep what was just committed, and what `take` left, as far as it is recent and fits."""
        rest = self._rest
        if len(committed):
            # A sender whose clock is ahead must not push out what everybody else is still writing.
            since = min(int(committed.starts.max()), now_ms) - self._width_ms
            committed, rest = self._since(committed, since), self._since(rest, since)
        self._cells = merge(Cells.empty(self._width_ms), rest, committed)
        if self._cells.nbytes > max_bytes:
            self._cells = committed if committed.nbytes <= max_bytes else Cells.empty(self._width_ms)
        self._rest = Cells.empty(self._width_ms)

    def _since(self, cells: Cells, start_ms: int) -> Cells:
        recent = cells.starts >= start_ms
        return cells if recent.all() else cells.select(recent)
