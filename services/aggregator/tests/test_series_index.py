"""The rows of series."""

from __future__ import annotations

import numpy as np
from vigie_aggregator.samples.series_index import SeriesIndex
from vigie_storage.series.placement import SeriesPlacement


def test_rows_of_a_stored_chunk_are_neighbours() -> None:
    rows = SeriesIndex()
    for tenant, kind, placements in (("acme", 1, {1: 0}), ("beta", 0, {2: 0}), ("acme", 3, {4: 256, 3: 255})):
        fingerprints, ordinals = np.array(list(placements), np.uint64), np.array(list(placements.values()), np.int64)
        rows.add(SeriesPlacement(tenant, 0, kind, fingerprints, ordinals))
    assert rows.find(np.array([1, 3, 2, 4, 5], np.uint64)).tolist() == [0, 255, 256, 512, -1]
    assert rows.chunks == [("acme", 0), ("beta", 0), ("acme", 1)]
    assert rows.kinds[[0, 255, 256, 512]].tolist() == [1, 3, 0, 3]
    assert rows.fingerprints[[0, 255]].tolist() == [1, 3]
