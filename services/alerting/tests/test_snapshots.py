"""What a replica holds of tenants: loaded once, dropped when it changes, never older than a change that is known."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import pairwise

from vigie_alerting.snapshots import Snapshots, Watch
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import ManualClock
from vigie_storage.alerts.configuration import Changed, Kind

from tests.kit.wait import eventually

ACME, RIVAL = TenantId("acme"), TenantId("rival")


class Source:
    """A store that answers when it is let."""

    def __init__(self) -> None:
        self.value, self.loads = 0, 0
        self.open = asyncio.Event()
        self.open.set()

    async def load(self, _tenant: TenantId) -> int:
        self.loads += 1
        found = self.value
        await self.open.wait()
        return found

    async def asked(self, times: int) -> None:
        await eventually(lambda: self.loads == times)


async def test_who_asks_at_the_same_time_shares_one_load() -> None:
    source = Source()
    held = Snapshots(source.load, "test")
    assert await asyncio.gather(*(held.of(ACME) for _ in range(5))) == [0] * 5
    assert await held.of(ACME) == 0
    assert source.loads == 1


async def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    source = Source()
    held = Snapshots(source.load, "test")
    source.open.clear()
    early = asyncio.create_task(held.of(ACME))
    await source.asked(1)
    source.value = 1
    held.drop(ACME)
    late = asyncio.create_task(held.of(ACME))
    await source.asked(2)
    source.open.set()
    assert (await early, await late) == (0, 1)
    assert await held.of(ACME) == 1
    assert source.loads == 2


async def test_a_change_of_one_tenant_costs_no_other_its_load() -> None:
    source = Source()
    held = Snapshots(source.load, "test")
    source.open.clear()
    loading = asyncio.create_task(held.of(ACME))
    await source.asked(1)
    held.drop(RIVAL)
    source.open.set()
    assert [await loading, await held.of(ACME)] == [0, 0]
    assert source.loads == 1


async def test_a_load_that_fails_is_not_kept() -> None:
    fails = [OSError("away"), None]

    async def load(_tenant: TenantId) -> int:
        if error := fails.pop(0):
            raise error
        return 7

    held = Snapshots(load, "test")
    assert isinstance((await asyncio.gather(held.of(ACME), return_exceptions=True))[0], OSError)
    assert await held.of(ACME) == 7


async def test_a_watch_drops_what_changed_of_whom_and_everything_when_it_is_too_much() -> None:
    answers: list[list[Changed] | None] = []
    asked: list[datetime] = []

    async def changed_since(moment: datetime) -> list[Changed] | None:
        asked.append(moment)
        return answers.pop(0)

    clock = ManualClock()
    watch, routes, both = Watch(changed_since, clock), Source(), Source()
    of_routes, of_both = watch.hold(routes.load, Kind.ROUTES), watch.hold(both.load, Kind.ROUTES, Kind.SILENCE)

    async def ask() -> tuple[int, int]:
        for tenant in (ACME, RIVAL):
            await of_routes.of(tenant)
            await of_both.of(tenant)
        return routes.loads, both.loads

    assert await ask() == (2, 2)
    change = Changed(ACME, Kind.SILENCE, "s", 1)
    for answer, loads in (
        ([change], (2, 3)), ([change], (2, 3)), ([], (2, 3)), ([Changed(ACME, Kind.ROUTES, "routes", 1)], (3, 4)),
        (None, (5, 6)),
    ):  # fmt: skip
        answers.append(answer)
        clock.advance(1.0)
        await watch.once()
        assert await ask() == loads
    assert all(later > earlier for earlier, later in pairwise(asked[1:]))
