"""Where the samples of a series go: fingerprint -> dense local row.

A row is `local chunk * 256 + slot`: the rows of one stored chunk are neighbours. Local chunks are numbered as met.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from vigie_contracts.tiers import CHUNK_SLOTS
from vigie_storage.series.placement import SeriesPlacement

from vigie_aggregator.samples.window_cache import Int64s

UInt64s = npt.NDArray[np.uint64]

_FIRST_CAPACITY: Final = 1024
_EMPTY: Final = -1


class FingerprintTable:
    """uint64 -> row for whole arrays: open addressing in numpy. Fingerprints are hashes, so their bits are the hash."""

    def __init__(self) -> None:
        self._size = 0
        self._allocate(_FIRST_CAPACITY)

    def __len__(self) -> int:
        return self._size

    def find(self, fingerprints: UInt64s) -> Int64s:
        """int64[n]: the row of each, -1 where unknown."""
        place = self._home(fingerprints)
        rows = self._rows[place]
        # A home taken by another fingerprint: look on, place by place, for the few that are left.
        left = np.flatnonzero((self._keys[place] != fingerprints) & (rows != _EMPTY))
        place = place[left]
        while len(left):
            place = (place + 1) & self._mask
            rows[left] = self._rows[place]
            on = (self._keys[place] != fingerprints[left]) & (rows[left] != _EMPTY)
            left, place = left[on], place[on]
        return rows.astype(np.int64)

    def add(self, fingerprints: UInt64s, rows: Int64s) -> None:
        """Remember rows of distinct fingerprints that are not in the table."""
        self._size += len(fingerprints)
        if self._size * 2 > len(self._keys):
            self._grow()
        self._insert(fingerprints, rows.astype(np.int32))

    def _home(self, fingerprints: UInt64s) -> Int64s:
        # High bits: the low ones of a partition's fingerprints are alike (partition = fingerprint % partitions).
        return (fingerprints >> self._shift).astype(np.int64)

    def _allocate(self, capacity: int) -> None:
        self._keys = np.zeros(capacity, np.uint64)
        self._rows = np.full(capacity, _EMPTY, np.int32)
        self._mask = capacity - 1
        self._shift = np.uint64(64 - self._mask.bit_length())

    def _grow(self) -> None:
        used = self._rows != _EMPTY
        keys, rows = self._keys[used], self._rows[used]
        capacity = len(self._keys)
        while self._size * 2 > capacity:
            capacity *= 2
        self._allocate(capacity)
        self._insert(keys, rows)

    def _insert(self, fingerprints: UInt64s, rows: npt.NDArray[np.int32]) -> None:
        place = self._home(fingerprints)
        while len(fingerprints):
            free = np.flatnonzero(self._rows[place] == _EMPTY)
            self._keys[place[free]] = fingerprints[free]
            self._rows[place[free]] = rows[free]
            # Of several that wanted one place, the last got it; the others go on to the next.
            beaten = (self._rows[place] != rows) | (self._keys[place] != fingerprints)
            fingerprints, rows, place = fingerprints[beaten], rows[beaten], (place[beaten] + 1) & self._mask


class SeriesIndex:
    """The rows of one partition. Bounded by the catalogue; grows only by series that the catalogue knows."""

    def __init__(self) -> None:
        self._table = FingerprintTable()
        self._local: dict[tuple[str, int], int] = {}
        self.chunks: list[tuple[str, int]] = []
        """Tenant and chunk of each local chunk."""
        self.kinds = np.zeros(0, np.uint8)
        """uint8[rows]: the kind of each row."""
        self.fingerprints = np.zeros(0, np.uint64)
        """uint64[rows]; 0 for a row that no sample has named yet."""

    def __len__(self) -> int:
        return len(self._table)

    @property
    def rows(self) -> int:
        """Rows of all local chunks, used or not."""
        return len(self.chunks) * CHUNK_SLOTS

    def find(self, fingerprints: UInt64s) -> Int64s:
        """int64[n]: the row of each fingerprint, -1 where it is unknown."""
        return self._table.find(fingerprints)

    def add(self, new: SeriesPlacement) -> None:
        """Learn the placements of series of this partition that were not known before."""
        stored = new.ordinals // CHUNK_SLOTS
        used = np.flatnonzero(np.bincount(stored))
        local = np.zeros(int(used[-1]) + 1, np.int64)
        local[used] = [self.chunk(new.tenant, chunk) for chunk in used.tolist()]
        rows = local[stored] * CHUNK_SLOTS + new.ordinals % CHUNK_SLOTS
        self._table.add(new.fingerprints, rows)
        self.fingerprints[rows] = new.fingerprints
        self.kinds[rows] = new.kind

    def chunk(self, tenant: str, chunk: int) -> int:
        """The local number of a stored chunk, given now if it has none."""
        local = self._local.get((tenant, chunk))
        if local is None:
            local = self._local[tenant, chunk] = len(self.chunks)
            self.chunks.append((tenant, chunk))
            self.kinds = grown(self.kinds, self.rows)
            self.fingerprints = grown(self.fingerprints, self.rows)
        return local


def grown(column: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """The column, at least `length` long: doubled and filled with zeros when it was shorter."""
    if len(column) >= length:
        return column
    longer = np.zeros(max(length, 2 * len(column)), column.dtype)
    longer[: len(column)] = column
    return longer
