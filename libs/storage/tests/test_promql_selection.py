"""What is kept of the selections of PromQL."""

from __future__ import annotations

import gc
import itertools
import tracemalloc

import numpy as np
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.parsing import parse
from vigie_query.promql.plan import Selector
from vigie_query.promql.samples import Samples
from vigie_query.series import Series
from vigie_runtime.clock import ManualClock
from vigie_runtime.expressions import Expressions
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.series.filter import Filter

SERIES = 2_000
BYTES = 1_000
"""Of one series in the weight of what is kept."""


class Catalogue:
    async def next_ordinals(self, _tenant: TenantId) -> dict[int, int]:
        return {0: SERIES}

    async def find(self, _tenant: TenantId, _wanted: Filter, _limit: int, _what: str) -> list[Series]:
        return [
            Series(
                i * 7_919, "requests", Kind.CUMULATIVE,
                (("instance", f"10.0.{i // 250}.{i % 250}:8000"), ("pod", f"p{i}"), ("service", f"booking-{i % 20}")),
                i % 12, i // 12, 0,
            )
            for i in range(SERIES)
        ]  # fmt: skip


async def test_what_is_remembered_of_labels_is_in_the_weight_of_a_selection() -> None:
    gc.collect()
    tracemalloc.start()
    selectors = SelectorReader(Catalogue(), Expressions(), ManualClock(), SERIES)  # pyright: ignore[reportArgumentType]
    node = parse("requests")
    assert isinstance(node, Selector)
    kept = await selectors.select(TenantId("acme"), node.matchers)
    size = len(kept.shown.rows)
    samples = Samples(kept.shown.labels, np.arange(size + 1), np.zeros(size, np.int64), np.ones(size))
    at = np.zeros(1, np.int64)
    for names in itertools.combinations(("instance", "pod", "service", "zone"), 2):
        for of, how in itertools.product(("requests", "requests + 1", "abs(requests)"), ("by", "without")):
            Evaluation({node: samples}, 0, 0).vector(parse(f"sum {how} ({','.join(names)}) ({of})"), at)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < kept.weight * BYTES
