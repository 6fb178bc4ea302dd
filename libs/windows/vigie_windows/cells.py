"""Cells: what is known of each row in each window, as sorted columns."""

from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vigie_windows import keys
from vigie_windows.arrays import Bools, Bytes, Floats, Int32s, Int64s, run_starts
from vigie_windows.kinds import Kind
from vigie_windows.resets import inner_increase


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """n cells of one window width, sorted by `key`, each key once. Columns are never changed after construction.

    A row is a dense number that the caller gives to a series (chunk * 256 + slot); it means nothing outside the caller.
    `sketch_*` holds m buckets sorted by (cell, bucket), `turn_*` k turning points sorted by (cell, ts, value);
    both name their cell by its position 0..n-1.
    """

    width_ms: int
    key: Int64s
    kind: Bytes
    count: Int64s
    sum: Floats
    min: Floats
    max: Floats
    first_ts: Int64s
    first: Floats
    """The value at `first_ts` (the smallest, if there are several)."""
    last_ts: Int64s
    last: Floats
    """The value at `last_ts` (the largest, if there are several)."""
    sketch_cell: Int64s
    sketch_bucket: Int32s
    sketch_count: Int64s
    turn_cell: Int64s
    turn_ts: Int64s
    turn_value: Floats

    @classmethod
    def empty(cls, width_ms: int) -> "Cells":
        """No cells of this width."""
        ints, floats, nothing = np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.int32)
        return cls(
            width_ms,
            key=ints,
            kind=np.empty(0, np.uint8),
            count=ints,
            sum=floats,
            min=floats,
            max=floats,
            first_ts=ints,
            first=floats,
            last_ts=ints,
            last=floats,
            sketch_cell=ints,
            sketch_bucket=nothing,
            sketch_count=ints,
            turn_cell=ints,
            turn_ts=ints,
            turn_value=floats,
        )

    def __len__(self) -> int:
        return len(self.key)

    @property
    def chunks(self) -> Int64s:
        """int64[n]: row // 256."""
        return keys.chunks_of(self.key)

    @property
    def slots(self) -> Int64s:
        """int64[n]: row % 256."""
        return keys.slots_of(self.key)

    @property
    def rows(self) -> Int64s:
        """int64[n]: the caller's row numbers."""
        return keys.rows_of(self.key)

    @property
    def starts(self) -> Int64s:
        """int64[n]: window starts in ms."""
        return keys.windows_of(self.key) * self.width_ms

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns."""
        columns = (getattr(self, field.name) for field in fields(self) if field.name != "width_ms")
        return sum(cast("NDArray[np.generic]", column).nbytes for column in columns)

    def increase(self) -> Floats:
        """float64[n]: how much each counter grew between the samples of its own window; 0 for other kinds.

        Delta counters: the sum. Cumulative counters: the growth from first to last sample with resets taken into
        account; the step from the window before is `vigie_windows.increase`'s to add.
        """
        grown = inner_increase(self.first, self.last, self.turn_cell, self.turn_value)
        return np.where(self.kind == Kind.CUMULATIVE, grown, np.where(self.kind == Kind.COUNTER, self.sum, 0.0))

    def select(self, mask: Bools) -> "Cells":
        """The cells where `mask` (bool[n]) is true."""
        place = np.cumsum(mask) - 1
        kept = np.flatnonzero(mask)
        buckets, turns = mask[self.sketch_cell], mask[self.turn_cell]
        # Columns that were not read are one and the same.
        chosen = {id(column): column for column in self._per_cell()}
        chosen = {number: column[kept] for number, column in chosen.items()}
        return Cells(
            self.width_ms,
            *(chosen[id(column)] for column in self._per_cell()),
            sketch_cell=place[self.sketch_cell[buckets]],
            sketch_bucket=self.sketch_bucket[buckets],
            sketch_count=self.sketch_count[buckets],
            turn_cell=place[self.turn_cell[turns]],
            turn_ts=self.turn_ts[turns],
            turn_value=self.turn_value[turns],
        )

    def copy(self) -> "Cells":
        """The same cells in memory of their own, for keeping a small part of something large."""
        return self.select(np.ones(len(self), np.bool_))

    def slice(self, begin: int, end: int) -> "Cells":
        """The cells at positions begin..end-1. Columns are views, which keep the whole in memory: see `copy`."""
        b0, b1 = np.searchsorted(self.sketch_cell, (begin, end))
        t0, t1 = np.searchsorted(self.turn_cell, (begin, end))
        return Cells(
            self.width_ms,
            *(column[begin:end] for column in self._per_cell()),
            sketch_cell=self.sketch_cell[b0:b1] - begin,
            sketch_bucket=self.sketch_bucket[b0:b1],
            sketch_count=self.sketch_count[b0:b1],
            turn_cell=self.turn_cell[t0:t1] - begin,
            turn_ts=self.turn_ts[t0:t1],
            turn_value=self.turn_value[t0:t1],
        )

    def group_bounds(self) -> Int64s:
        """int64[g + 1]: positions at which the g chunk-windows begin, and n."""
        return np.append(run_starts(self.key >> keys.SLOT_BITS), len(self))

    def _per_cell(self) -> tuple[NDArray[Any], ...]:
        return (
            self.key,
            self.kind,
            self.count,
            self.sum,
            self.min,
            self.max,
            self.first_ts,
            self.first,
            self.last_ts,
            self.last,
        )
