"""What is kept of committed windows."""

from __future__ import annotations

import numpy as np
from vigie_aggregator.samples.window_cache import WindowCache, groups_of
from vigie_contracts.series import Kind
from vigie_windows import Cells, fold

WIDTH = 10_000
NOW = 1_700_000_000_000


def _cells(*timestamps: int) -> Cells:
    kinds = np.full(1, Kind.GAUGE, np.uint8)
    return fold(np.zeros(len(timestamps), np.int64), np.array(timestamps), np.ones(len(timestamps)), kinds, WIDTH)


def test_window_of_a_clock_that_is_ahead_does_not_push_out_the_current_ones() -> None:
    cache, current = WindowCache(WIDTH), _cells(NOW)
    cache.put(current, 1 << 20, NOW)
    ahead = _cells(NOW + 600_000)
    cache.take(groups_of(ahead))
    cache.put(ahead, 1 << 20, NOW)
    assert not len(cache.missing(groups_of(current)))


def test_old_windows_are_let_go() -> None:
    cache, old = WindowCache(WIDTH), _cells(NOW - 600_000)
    cache.put(old, 1 << 20, NOW)
    recent = _cells(NOW)
    cache.take(groups_of(recent))
    cache.put(recent, 1 << 20, NOW)
    assert len(cache.missing(groups_of(old))) == 1
