"""What series that show running totals have reached, from the latest values."""

from __future__ import annotations

import numpy as np
from vigie_contracts.latest import BUCKET_BOUNDS
from vigie_contracts.tiers import CHUNK_SLOTS
from vigie_query.promql.cells import BUCKET, COUNT, Shown
from vigie_query.promql.samples import Floats
from vigie_query.series import Selection

from vigie_storage.latest import Chunks


def totals_of(shown: Shown, selection: Selection, latest: Chunks) -> Floats:
    """[series]: as `/metrics` shows them; nan where nothing is known."""
    size = len(selection.chunks) * CHUNK_SLOTS
    sums, counts = np.full(size, np.nan), np.full(size, np.nan)
    bucketed = bool((shown.parts >= BUCKET).any())
    below = np.zeros((size if bucketed else 0, len(BUCKET_BOUNDS)))
    for chunk, number in selection.chunks.items():
        if (one := latest.get(chunk)) is None:
            continue
        at = number * CHUNK_SLOTS + one.slots.astype(np.int64)
        sums[at], counts[at] = one.sums, one.counts
        if bucketed:
            below[number * CHUNK_SLOTS + one.buckets.slots.astype(np.int64), one.buckets.bounds] = one.buckets.counts
    totals = np.where(shown.parts == COUNT, counts[shown.rows], sums[shown.rows])
    if bucketed:
        bounded = np.flatnonzero((shown.parts >= BUCKET) & (shown.parts < BUCKET + len(BUCKET_BOUNDS)))
        rows = shown.rows[bounded]
        totals[bounded] = below.cumsum(axis=1)[rows, shown.parts[bounded] - BUCKET] + 0 * counts[rows]
        every = np.flatnonzero(shown.parts == BUCKET + len(BUCKET_BOUNDS))
        totals[every] = counts[shown.rows[every]]
    return totals
