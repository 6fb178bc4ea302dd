"""The windows of one depth, in memory."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_windows import fold

from vigie_alerting.engine.horizon import Depth
from vigie_alerting.engine.recent import RecentWindows

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

NOBODYS: Final = -1


class Bank:
    """The windows of one depth, of the series that need it; in rows of its own, which go to others in the end."""

    def __init__(self, depth: Depth) -> None:
        self.recent = RecentWindows(depth.width_ms, depth.slots)
        self._row_of = np.full(0, NOBODYS, np.int64)
        self._uses = np.zeros(0, np.int64)
        """[rows]: how often watches show each; 0 of a free one."""

    @property
    def is_empty(self) -> bool:
        return not self._uses.any()

    def rows_of(self, homes: Ints) -> Ints:
        """The rows of series; NOBODYS for those without."""
        if not len(self._row_of):
            return np.full(len(homes), NOBODYS, np.int64)
        rows = self._row_of[np.clip(homes, 0, len(self._row_of) - 1)]
        return np.where((homes >= 0) & (homes < len(self._row_of)), rows, NOBODYS)

    def rows(self, homes: Ints, kinds: npt.NDArray[np.uint8], sketched: Bools) -> Ints:
        """The rows of these series (each once), given now to those that have none."""
        top = int(homes.max(initial=-1)) + 1
        if top > len(self._row_of):
            longer = np.full(max(2 * len(self._row_of), top, 64), NOBODYS, np.int64)
            longer[: len(self._row_of)] = self._row_of
            self._row_of = longer
        new = self._row_of[homes] == NOBODYS
        if new.any():
            self._row_of[homes[new]] = self._given(kinds[new], sketched[new])
        return self._row_of[homes]

    def use(self, rows: Ints) -> None:
        """A watch shows these, some of them perhaps several times."""
        self._uses += np.bincount(rows, minlength=len(self._uses))

    def give_back(self, homes: Ints, rows: Ints) -> None:
        """A watch that showed these rows, of these series, is gone: what nobody shows any more is forgotten."""
        self._uses -= np.bincount(rows, minlength=len(self._uses))
        free = self._uses[rows] == 0
        self._row_of[homes[free]] = NOBODYS
        self.recent.clear(np.unique(rows[free]))

    def add(self, homes: Ints, times: Ints, values: Floats) -> int:
        """Samples of these series; how many windows were too old to be taken."""
        rows = self.rows_of(homes)
        mine = rows >= 0
        if not mine.any():
            return 0
        kinds = self.recent.kinds
        return self.recent.add(fold(rows[mine], times[mine], values[mine], kinds, self.recent.width_ms))

    def _given(self, kinds: npt.NDArray[np.uint8], sketched: Bools) -> Ints:
        """Free rows, and as many new ones as are missing."""
        free = np.flatnonzero(self._uses == 0)[: len(kinds)]
        self.recent.renew(free, kinds[: len(free)], sketched[: len(free)])
        more = len(self.recent) + np.arange(len(kinds) - len(free))
        self.recent.grow(kinds[len(free) :], sketched[len(free) :])
        self._uses = np.concatenate([self._uses, np.zeros(len(more), np.int64)])
        return np.concatenate([free, more])
