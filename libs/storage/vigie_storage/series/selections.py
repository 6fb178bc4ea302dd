"""What questions selected of the catalogue, kept while the tenant gets no new series."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from vigie_contracts.tenants import TenantId
from vigie_runtime.cache import TtlCache
from vigie_runtime.clock import Clock

from vigie_storage.series.catalogue import SeriesCatalogue

S = TypeVar("S")
COUNTED_TTL_S: Final = 0.25
"""Short: an answer kept by the route may be made of a selection of this age, and new series are awaited."""
_TENANTS: Final = 10_000
_KEPT_S: Final = 60.0
"""How long a selection that nobody asks for any more takes memory, at most."""
_SELECTED_SERIES: Final = 100_000
"""Weight of all kept selections, each series one: about 100 MB."""
_EMPTY_WEIGHS: Final = 100
"""As much as so many series: the key and its labels."""


class Selections(Generic[S]):
    """A selection once made is good until there are more series: they never change and never go."""

    def __init__(self, catalogue: SeriesCatalogue, clock: Clock, weight: Callable[[S], int]) -> None:
        """`weight`: of a selection, where a series of about 1 kB is 1."""
        self._catalogue = catalogue
        self._counted = TtlCache[frozenset[tuple[int, int]]](clock, COUNTED_TTL_S, _TENANTS)
        self._kept = TtlCache[S](clock, _KEPT_S, _SELECTED_SERIES, lambda found: weight(found) + _EMPTY_WEIGHS)

    async def get(self, tenant: TenantId, asked: Hashable, select: Callable[[], Awaitable[S]]) -> S:
        """What `select` gives for this question, with every series that was there COUNTED_TTL_S ago."""
        counted = await self._counted.get(tenant, lambda: self._count(tenant))
        return await self._kept.get((tenant, asked, counted), select)

    async def _count(self, tenant: TenantId) -> frozenset[tuple[int, int]]:
        return frozenset((await self._catalogue.next_ordinals(tenant)).items())
