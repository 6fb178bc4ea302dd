"""The windows of many steps are found alike, whether samples are counted or windows are looked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_query.promql import windows
from vigie_query.promql.samples import Samples

series = st.lists(st.lists(st.integers(0, 60), unique=True, max_size=20), min_size=1, max_size=6)
steps = st.lists(st.integers(-5, 70), min_size=1, max_size=12)


@given(series, steps, st.integers(1, 30), st.sampled_from([0, 2, 1_000]), st.sampled_from([1, 8, 1 << 16]))
def test_each_window_has_the_samples_after_its_start_up_to_its_end(
    of_series: list[list[int]], ends: list[int], range_ms: int, many: int, search: int
) -> None:
    ordered = [sorted(one) for one in of_series]
    times = np.array([at for one in ordered for at in one], np.int64)
    bounds = np.cumsum([0, *map(len, ordered)])
    samples = Samples([(("n", str(at)),) for at in range(len(ordered))], bounds, times, times * 1.0)
    at = np.array(ends, np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "MANY", many)
        patch.setattr(windows, "SEARCH", search)
        found = windows.cut(samples, at - range_ms, at)
    for row, own in enumerate(ordered):
        for step, end in enumerate(ends):
            inside = times[found.low[row, step] : found.high[row, step]].tolist()
            assert inside == [one for one in own if end - range_ms < one <= end]
