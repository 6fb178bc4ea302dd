"""What PromQL shows while samples come, and where it is put together."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from vigie_contracts.series import Kind, Labels
from vigie_contracts.tenants import TenantId
from vigie_query.planning import Plan
from vigie_query.series import Selection
from vigie_query.times import MINUTE, SECOND
from vigie_storage.promql import selection
from vigie_windows import Cells

from .test_promql_reader import NOW, STORED, Double, ask, every, key, over, points


async def test_a_total_counts_what_was_sent_ahead_of_its_time_when_it_comes() -> None:
    sent = {NOW - MINUTE: 1.0, NOW + 5 * MINUTE: 100.0}
    reader = over(Double.of({key("ahead", Kind.COUNTER): sent}))
    assert list(points(await ask(reader, "ahead", NOW)).values()) == [[1.0]]
    assert list(points(await ask(reader, "ahead", NOW + 6 * MINUTE)).values()) == [[101.0]]


@dataclass
class Busy(Double):
    """Samples come while windows are read."""

    commits: int = 3

    async def read(
        self, _tenant: TenantId, selection: Selection, plan: Plan, _columns: Any, rows: npt.NDArray[np.int64]
    ) -> tuple[Cells, ...]:
        if self.commits:
            self.commits -= 1
            next(iter(self.samples.values()))[NOW - 4 * SECOND - self.commits] = 1000.0
        return await super().read(_tenant, selection, plan, _columns, rows)


async def test_a_total_is_that_of_its_time_while_more_is_counted() -> None:
    orders = {key("orders", Kind.COUNTER, shop=str(shop)): every(10, [1.0] * 30) for shop in range(4)}
    found = points(await ask(over(Busy.of(orders)), "orders", NOW - MINUTE))
    assert list(found.values()) == [[24.0]] * 4


async def test_very_many_series_are_not_put_together_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def labelled(*of: Any) -> Labels:
        threads.append(threading.get_ident())
        return labels(*of)

    labels = selection.labels_of
    monkeypatch.setattr(selection, "labels_of", labelled)
    await ask(over(Double.of(STORED)), "orders")
    assert threads
    assert threading.get_ident() not in threads
