"""The rows of series, looked up by fingerprint for whole arrays."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from vigie_windows.arrays import Int64s

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
