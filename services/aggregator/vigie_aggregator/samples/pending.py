"""What has been read and not yet committed."""

from __future__ import annotations

from typing import Final

import numpy as np
from vigie_contracts.tiers import Tier
from vigie_windows import Cells, merge, widen

from vigie_aggregator.samples.window_cache import distinct, groups_of

_COMPACT_PIECES: Final = 8
_COMPACT_BYTES: Final = 8 << 20
"""So many pieces with so many bytes are merged into one: bounds memory, and happens rarely."""


class Pending:
    """Cells of one width, gathered in pieces."""

    def __init__(self, width_ms: int) -> None:
        self._width_ms = width_ms
        self._reset()

    def _reset(self) -> None:
        self._pieces: list[Cells] = []
        self._compact_at = _COMPACT_BYTES
        self.samples = 0
        self.groups = np.empty(0, np.int64)
        """The chunk-windows touched, ascending, as key >> 8."""
        self.nbytes = 0
        self.oldest: int | None = None
        """Start in ms of the oldest window that was added, before it was widened."""

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, cells: Cells, samples: int = 0, oldest: int | None = None) -> Cells:
        """Gather cells of this width, or of a finer one, and return them in this width (as they are when there are
        none). `oldest`: of the finest cells that these were made of; None when these are the finest."""
        if not len(cells):
            return cells
        self.samples += samples
        self.oldest = oldest_of(self.oldest, int(cells.starts.min()) if oldest is None else oldest)
        wide = widen(cells, self._width_ms)
        self._append(wide)
        if len(self._pieces) >= _COMPACT_PIECES and self.nbytes >= self._compact_at:
            merged = merge(*self._pieces)
            self._pieces, self.nbytes = [], 0
            self._append(merged)
            self._compact_at = max(_COMPACT_BYTES, 2 * merged.nbytes)
        return wide

    def take(self) -> Cells:
        """Everything gathered, merged; nothing is left."""
        merged = merge(Cells.empty(self._width_ms), *self._pieces)
        self._reset()
        return merged

    def _append(self, cells: Cells) -> None:
        self._pieces.append(cells)
        self.groups = distinct(np.concatenate((self.groups, groups_of(cells))))
        self.nbytes += cells.nbytes


class Lagging:
    """What a coarse tier has not been given yet."""

    def __init__(self, tier: Tier, dirty_since: int | None) -> None:
        """dirty_since: what the store says; it holds until the log is read up to the fine tier again (`caught_up`)."""
        self.tier = tier
        self.cells = Pending(tier.width_ms)
        self._stored = dirty_since

    @property
    def dirty_since(self) -> int | None:
        """Start in ms of the oldest fine window that this tier lacks; None when it lacks none."""
        return oldest_of(self._stored, self.cells.oldest)

    def caught_up(self) -> None:
        """Everything the fine tier has was read again: what this tier lacks is known exactly."""
        self._stored = None


def oldest_of(*starts: int | None) -> int | None:
    """The smallest of the starts that are known."""
    return min((start for start in starts if start is not None), default=None)
