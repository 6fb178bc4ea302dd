"""How a batch of reports is divided into transactions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from vigie_aggregator.reports.consumer import shares


@pytest.mark.parametrize(
    ("sizes", "shared"),
    [([], []), ([9], [[9]]), ([3, 4, 3, 1], [[3, 4, 3], [1]]), ([1, 11, 2, 8], [[1], [11], [2, 8]])],
)
def test_shares_keep_the_order_and_the_bound(sizes: list[int], shared: list[list[int]]) -> None:
    batch: Any = [SimpleNamespace(document=SimpleNamespace(raw=b"x" * size)) for size in sizes]
    assert [[len(report.document.raw) for report in share] for share in shares(batch, 10)] == shared
