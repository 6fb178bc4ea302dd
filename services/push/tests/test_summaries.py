"""Summaries, tick by tick, over doubles of what computes them."""

import asyncio
from typing import Any

from vigie_contracts.tenants import TenantId
from vigie_push.sources.summaries import SummaryBoard, SummarySource
from vigie_runtime.clock import SystemClock

from .kit import ACME, RIVAL
from .sinks import Noting


class _Answer:
    def model_dump_json(self) -> str:
        return "{}"


class _Summaries:
    """Fails for one tenant."""

    async def system(self, tenant: TenantId, _time_range: object) -> _Answer:
        if tenant == RIVAL:
            raise ZeroDivisionError
        return _Answer()


async def test_a_bug_with_one_tenant_is_not_the_end_of_the_others() -> None:
    made: Any = _Summaries()
    sink = Noting()
    source = SummarySource("system", SummaryBoard(lambda: made, 0.02, SystemClock()), sink)
    await source.follow(ACME)
    await source.follow(RIVAL)
    running = asyncio.create_task(source.run())
    await sink.until(records=2)
    source.stop()
    await running
    assert {tenant for _, tenant, _ in sink.records} == {ACME}
