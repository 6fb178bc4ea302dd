"""The latest value and the running totals of every series of a partition: dense columns by local row.

They are exact because they move with the fine tier's offset: what is in MongoDB's `latest` belongs to that offset.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from vigie_contracts.latest import Buckets, Latest, pack
from vigie_contracts.tiers import CHUNK_SLOTS
from vigie_windows import Cells

from vigie_aggregator.samples.latest_buckets import LatestBuckets
from vigie_aggregator.samples.series_index import grown
from vigie_aggregator.samples.window_cache import Int64s, distinct


class LatestValues:
    """Columns by local row; `counts` is 0 for a row without any sample."""

    def __init__(self) -> None:
        self.timestamps = np.zeros(0, np.int64)
        self.values = np.zeros(0, np.float64)
        self.sums = np.zeros(0, np.float64)
        self.counts = np.zeros(0, np.int64)
        self.buckets = LatestBuckets()

    def restore(self, local_chunk: int, stored: Latest) -> None:
        """Take over what the store knows of one chunk."""
        self._reserve((local_chunk + 1) * CHUNK_SLOTS)
        rows = local_chunk * CHUNK_SLOTS + stored.slots.astype(np.int64)
        self.timestamps[rows], self.values[rows] = stored.timestamps, stored.values
        self.sums[rows], self.counts[rows] = stored.sums, stored.counts
        self.buckets.restore(local_chunk, stored.buckets)

    def add(self, cells: Cells) -> Int64s:
        """Count the samples of `cells`. Returns the rows that changed, ascending."""
        if not len(cells):
            return np.zeros(0, np.int64)
        rows = cells.rows
        changed = distinct(rows)
        self._reserve(int(changed[-1]) + 1)
        known = self.counts[rows] > 0
        newer = cells.last_ts > self.timestamps[rows]
        tied = (cells.last_ts == self.timestamps[rows]) & (cells.last >= self.values[rows])
        # A row's cells come in the order of their windows, and of repeated indices the last assignment stays.
        chosen = np.flatnonzero(~known | newer | tied)
        self.timestamps[rows[chosen]], self.values[rows[chosen]] = cells.last_ts[chosen], cells.last[chosen]
        np.add.at(self.counts, rows, cells.count)
        with np.errstate(over="ignore", invalid="ignore"):
            np.add.at(self.sums, rows, cells.sum)
        self.buckets.add(cells)
        return changed

    def packed(self, local_chunks: Sequence[int]) -> dict[int, bytes]:
        """The stored form of each chunk that has a value; the chunks ascending."""
        chunks = np.asarray(local_chunks, np.int64)
        chunks = chunks[chunks * CHUNK_SLOTS < len(self.counts)]
        rows = (chunks[:, np.newaxis] * CHUNK_SLOTS + np.arange(CHUNK_SLOTS)).ravel()
        rows = rows[rows < len(self.counts)]
        rows = rows[self.counts[rows] > 0]
        used, begins = np.unique(rows // CHUNK_SLOTS, return_index=True)
        bucket_rows, bounds, counts = self.buckets.of(rows)
        columns = Latest(
            (rows % CHUNK_SLOTS).astype(np.uint8),
            self.timestamps[rows],
            self.values[rows],
            self.sums[rows],
            self.counts[rows],
            Buckets((bucket_rows % CHUNK_SLOTS).astype(np.uint8), bounds, counts),
        )
        first_buckets = np.searchsorted(bucket_rows, used * CHUNK_SLOTS).tolist()
        data = pack(columns, [*begins.tolist(), len(rows)], [*first_buckets, len(bucket_rows)])
        return dict(zip(used.tolist(), data, strict=True))

    def _reserve(self, rows: int) -> None:
        self.timestamps, self.values = grown(self.timestamps, rows), grown(self.values, rows)
        self.sums, self.counts = grown(self.sums, rows), grown(self.counts, rows)
