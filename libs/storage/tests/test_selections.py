"""What is kept of the catalogue is as good as the catalogue."""

from __future__ import annotations

from typing import cast

from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import ManualClock
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.selections import COUNTED_TTL_S, Selections

ONE, OTHER = TenantId("one"), TenantId("other")


class Catalogue:
    """Series of tenants, all in one partition; and how often it was asked."""

    def __init__(self) -> None:
        self.series: dict[TenantId, list[str]] = {ONE: ["a"], OTHER: ["b"]}
        self.counted = self.selected = 0

    async def next_ordinals(self, tenant: TenantId) -> dict[int, int]:
        self.counted += 1
        return {0: len(self.series[tenant])}

    async def select(self, tenant: TenantId) -> list[str]:
        self.selected += 1
        return list(self.series[tenant])


async def test_a_new_series_is_selected_as_soon_as_it_is_counted_and_nothing_is_read_until_then() -> None:
    catalogue, clock = Catalogue(), ManualClock()
    selections = Selections[list[str]](cast(SeriesCatalogue, catalogue), clock, len)

    async def ask(tenant: TenantId) -> list[str]:
        return await selections.get(tenant, "all", lambda: catalogue.select(tenant))

    first = await ask(ONE)
    for _ in range(20):
        clock.advance(COUNTED_TTL_S)
        assert await ask(ONE) is first
    assert (catalogue.selected, catalogue.counted) == (1, 21)
    catalogue.series[ONE].append("c")
    clock.advance(COUNTED_TTL_S)
    assert await ask(ONE) == ["a", "c"]
    assert await ask(OTHER) == ["b"], "another tenant asks the same"


async def test_who_asks_at_once_shares_one_look() -> None:
    catalogue, clock = Catalogue(), ManualClock()
    selections = Selections[list[str]](cast(SeriesCatalogue, catalogue), clock, len)
    for what in ("x", "y", "x"):
        await selections.get(ONE, what, lambda: catalogue.select(ONE))
    assert (catalogue.selected, catalogue.counted) == (2, 1)
