"""How the observations of every histogram of a partition are distributed, since they are counted: by the bounds of
`vigie_contracts.latest`. Like the latest values, the counts move with the fine tier's offset."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_contracts.latest import BUCKET_BOUNDS, Buckets
from vigie_contracts.tiers import CHUNK_SLOTS
from vigie_windows import Cells, Kind, sketch
from vigie_windows.arrays import run_starts

from vigie_aggregator.samples.series_index import grown
from vigie_aggregator.samples.window_cache import Int64s, distinct

_BOUNDS: Final = len(BUCKET_BOUNDS)
_BOUND_OF: Final = sketch.bound_places(BUCKET_BOUNDS)
"""By bucket of the sketch, from the lowest on: the first bound that is not below it, _BOUNDS when all are."""


class LatestBuckets:
    """Only rows of histograms have a place here: 240 bytes for each, which most series do not need."""

    def __init__(self) -> None:
        self._places = np.zeros(0, np.int32)
        """By row: its place + 1, 0 for none."""
        self._used = 0
        self._counts = np.zeros(0, np.int64)
        """By place * _BOUNDS + bound."""

    def restore(self, local_chunk: int, stored: Buckets) -> None:
        """Take over what the store knows of one chunk."""
        if len(stored):
            rows = local_chunk * CHUNK_SLOTS + stored.slots.astype(np.int64)
            at = self._at(rows, stored.bounds.astype(np.int64))
            self._counts[at] = stored.counts

    def add(self, cells: Cells) -> None:
        """Count the observations of `cells`."""
        if not (cells.kind == Kind.HISTOGRAM).any():
            return
        bound = _BOUND_OF[cells.sketch_bucket + sketch.BUCKETS]
        # The sketches are sorted by cell and bucket, so that what lies below one bound stands together.
        starts = run_starts(cells.sketch_cell * (_BOUNDS + 1) + bound)
        counts = np.add.reduceat(cells.sketch_count, starts)
        cell, bound = cells.sketch_cell[starts], bound[starts]
        chosen = (cells.kind[cell] == Kind.HISTOGRAM) & (bound < _BOUNDS)
        at = self._at(cells.rows[cell[chosen]], bound[chosen])
        np.add.at(self._counts, at, counts[chosen])

    def of(self, rows: Int64s) -> tuple[Int64s, npt.NDArray[np.uint8], Int64s]:
        """Row, bound and count of each bucket of these (ascending) rows that has observations, by row, then bound."""
        places = self._places[rows[rows < len(self._places)]]
        counts = self._counts.reshape(-1, _BOUNDS)[places[places > 0] - 1]
        at, bounds = np.nonzero(counts)
        return rows[: len(places)][places > 0][at], bounds.astype(np.uint8), counts[at, bounds]

    def _at(self, rows: Int64s, bounds: Int64s) -> Int64s:
        """Where the counts of these rows and bounds are; rows that are met for the first time get their place."""
        known = distinct(rows)
        if len(known):
            self._places = grown(self._places, int(known[-1]) + 1)
        new = known[self._places[known] == 0]
        self._places[new] = np.arange(self._used + 1, self._used + len(new) + 1)
        self._used += len(new)
        self._counts = grown(self._counts, self._used * _BOUNDS)
        return (self._places[rows].astype(np.int64) - 1) * _BOUNDS + bounds
