"""The family indexes over a store that can be slow or away."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from vigie_contracts.series import Kind
from vigie_query.series import Series
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_summaries.families.catalogue import FamilyCatalogue


class Store:
    """Tenants with one series; those in `stuck` are answered when `release` is set, with an error."""

    def __init__(self, *stuck: str) -> None:
        self.stuck, self.release, self.calls = stuck, asyncio.Event(), 0

    async def next_ordinals(self, tenant: str) -> dict[int, int]:
        self.calls += 1
        if tenant in self.stuck:
            await self.release.wait()
            raise StoreUnavailable
        return {0: 1}

    async def since(self, tenant: str, partition: int, ordinal: int, below: int) -> AsyncIterator[list[Series]]:
        yield [Series(1, tenant, Kind.GAUGE, (), partition, ordinal, 0)]


def catalogue_over(store: Store, clock: ManualClock, limit: int = 100) -> FamilyCatalogue:
    return FamilyCatalogue(cast(SeriesCatalogue, store), clock, limit)


async def test_a_tenant_does_not_wait_for_another_ones_store() -> None:
    store = Store("slow")
    catalogue = catalogue_over(store, ManualClock())
    waiting = [asyncio.create_task(catalogue.of("slow")) for _ in range(5)]
    index = await asyncio.wait_for(catalogue.of("quick"), 10)
    assert index.size == 1
    store.release.set()
    answers: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 5
    assert store.calls == 2  # the five shared one time-out


async def test_an_index_is_extended_once_it_is_old_and_forgotten_beyond_the_limit() -> None:
    clock, store = ManualClock(), Store()
    catalogue = catalogue_over(store, clock, limit=1)
    first = await catalogue.of("a")
    assert await catalogue.of("a") is first
    assert store.calls == 1
    clock.advance(1)
    assert await catalogue.of("a") is first
    assert store.calls == 2
    await catalogue.of("b")
    clock.advance(1)
    assert await catalogue.of("a") is not first


async def test_failures_are_not_remembered() -> None:
    store = Store("t")
    store.release.set()
    catalogue = catalogue_over(store, ManualClock())
    with pytest.raises(StoreUnavailable):
        await catalogue.of("t")
    store.stuck = ()
    assert (await catalogue.of("t")).size == 1
