"""Where the samples of a series go: fingerprint -> dense local row.

A row is `local chunk * 256 + slot`: the rows of one stored chunk are neighbours. Local chunks are numbered as met.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from vigie_contracts.tiers import CHUNK_SLOTS
from vigie_storage.series.placement import SeriesPlacement
from vigie_windows.fingerprints import FingerprintTable

from vigie_aggregator.samples.window_cache import Int64s

UInt64s = npt.NDArray[np.uint64]


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
