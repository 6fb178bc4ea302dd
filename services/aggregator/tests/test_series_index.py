"""The row map against a dict."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from vigie_aggregator.samples.series_index import FingerprintTable, SeriesIndex
from vigie_storage.series.placement import SeriesPlacement

# Few high bits, so that homes collide.
fingerprints = st.one_of(st.integers(0, (1 << 64) - 1), st.integers(0, 50), st.integers(0, 50).map(lambda n: n << 58))


@given(st.lists(st.lists(fingerprints, max_size=600, unique=True), max_size=6), st.lists(fingerprints, max_size=50))
def test_table_finds_what_was_added_and_nothing_else(adds: list[list[int]], asked: list[int]) -> None:
    table, known = FingerprintTable(), dict[int, int]()
    for add in adds:
        new = [fp for fp in add if fp not in known]
        rows = list(range(len(known), len(known) + len(new)))
        table.add(np.array(new, np.uint64), np.array(rows, np.int64))
        known |= dict(zip(new, rows, strict=True))
    every = [*known, *asked]
    assert table.find(np.array(every, np.uint64)).tolist() == [known.get(fp, -1) for fp in every]
    assert len(table) == len(known)


def test_rows_of_a_stored_chunk_are_neighbours() -> None:
    rows = SeriesIndex()
    for tenant, kind, placements in (("acme", 1, {1: 0}), ("beta", 0, {2: 0}), ("acme", 3, {4: 256, 3: 255})):
        fingerprints, ordinals = np.array(list(placements), np.uint64), np.array(list(placements.values()), np.int64)
        rows.add(SeriesPlacement(tenant, 0, kind, fingerprints, ordinals))
    assert rows.find(np.array([1, 3, 2, 4, 5], np.uint64)).tolist() == [0, 255, 256, 512, -1]
    assert rows.chunks == [("acme", 0), ("beta", 0), ("acme", 1)]
    assert rows.kinds[[0, 255, 256, 512]].tolist() == [1, 3, 0, 3]
    assert rows.fingerprints[[0, 255]].tolist() == [1, 3]
