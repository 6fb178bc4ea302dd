"""The family indexes of the tenants, kept in memory and extended when series appear."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryLimitExceeded
from vigie_runtime.cache import TtlCache
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.mongo import TooSlow
from vigie_storage.series.catalogue import SeriesCatalogue

from vigie_summaries.families.families import FamilyIndex

_TTL_S = 0.25
_CHECKED = 256
"""Tenants that were looked at within `_TTL_S`, at most."""
_QUESTION_S = 1.0
"""How long MongoDB may take to say how many series there are."""
_EXTENSION_S = 0.5
"""How long it may take to tell the new ones to whoever knows the others; the rest follows with the next question."""


class FamilyCatalogue:
    """Bounded by the series of all tenants together; the tenants that were not asked for longest are forgotten."""

    def __init__(
        self, series: SeriesCatalogue, clock: Clock, limit: int, size_changed: Callable[[int], None] = lambda _n: None
    ) -> None:
        self._series, self._clock, self._limit, self._size_changed = series, clock, limit, size_changed
        self._known: OrderedDict[str, FamilyIndex] = OrderedDict()
        # One reads for all who ask about a tenant meanwhile, and nobody waits for another tenant.
        self._checked = TtlCache[FamilyIndex](clock, _TTL_S, _CHECKED)

    async def of(self, tenant: TenantId) -> FamilyIndex:
        """All series of the tenant, at most `_TTL_S` late; while MongoDB does not answer those that are known, with
        their age. Raises QueryLimitExceeded above the limit, StoreUnavailable when none are known."""
        return await self._checked.get(tenant, lambda: self._refreshed(tenant))

    def knows(self, tenant: TenantId) -> bool:
        """Whether series of the tenant are in memory, so that only new ones are read."""
        return tenant in self._known

    async def _refreshed(self, tenant: TenantId) -> FamilyIndex:
        known = self._known.get(tenant)
        asked = self._clock.monotonic()
        try:
            index = await self._extended(tenant, known)
        except (StoreUnavailable, TooSlow, TimeoutError) as e:
            if known is None:
                raise StoreUnavailable from e
            known.age_s = asked - known.complete_at
            return known
        index.age_s, index.complete_at = 0.0, asked
        self._known[tenant] = index
        self._known.move_to_end(tenant)
        self._forget()
        return index

    async def _extended(self, tenant: TenantId, index: FamilyIndex | None) -> FamilyIndex:
        async with asyncio.timeout(_QUESTION_S):
            following = await self._series.next_ordinals(tenant)
            # Partitions that were divided have ordinals of which nobody lives there.
            total = await self._series.total(tenant) if sum(following.values()) > self._limit else 0
        if total > self._limit:
            raise QueryLimitExceeded(
                f"the tenant has {total} series, more than the {self._limit} that one answer lists: use /api/series "
                "and /api/query_range, or raise VIGIE_API_MAX_EXPOSED_SERIES"
            )
        if index is None or any(index.known.get(partition, 0) > count for partition, count in following.items()):
            return await self._read(tenant, FamilyIndex(), following)  # new, or another database than before
        async with asyncio.timeout(_EXTENSION_S):
            return await self._read(tenant, index, following)

    async def _read(self, tenant: TenantId, index: FamilyIndex, following: dict[int, int]) -> FamilyIndex:
        for partition, count in sorted(following.items()):
            known = index.known.get(partition, 0)
            if count > known:
                async for batch in self._series.since(tenant, partition, known, count):
                    index.add(batch)
        return index

    def _forget(self) -> None:
        size = sum(index.size for index in self._known.values())
        while size > self._limit and len(self._known) > 1:
            _, index = self._known.popitem(last=False)
            size -= index.size
        self._size_changed(size)
