"""The table of fingerprints against a dict."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from vigie_windows.fingerprints import FingerprintTable

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
