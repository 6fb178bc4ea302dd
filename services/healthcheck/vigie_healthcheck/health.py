"""What is known of a tenant's targets: each with its state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from vigie_contracts.targets import Target
from vigie_contracts.tenants import TenantId
from vigie_runtime.cache import TtlCache
from vigie_runtime.clock import Clock
from vigie_storage.health.states import HealthStates
from vigie_storage.health.targets import TargetStore, order

from vigie_healthcheck.known import Known
from vigie_healthcheck.targets.errors import TargetNotFound

_KEPT_S: Final = 1.0
_KEPT_TARGETS: Final = 20_000
"""Of all tenants together, some 3 kB each."""
_BATCH: Final = 1_000


class Health:
    """All methods raise StoreUnavailable."""

    def __init__(self, targets: TargetStore, states: HealthStates, clock: Clock) -> None:
        self.targets, self.states = targets, states
        self._all = TtlCache[Sequence[Known]](clock, _KEPT_S, _KEPT_TARGETS, lambda found: 1 + len(found))

    async def one(self, tenant: TenantId, name: str) -> Known:
        """By its name. Raises TargetNotFound."""
        found = await self.targets.by_name(tenant, name)
        if found is None:
            raise TargetNotFound(name)
        return (await self._known([found.target]))[0]

    async def all(self, tenant: TenantId) -> Sequence[Known]:
        """Every target in their order, as they were a second ago at most."""
        return await self._all.get(tenant, lambda: self._load(tenant))

    async def some(
        self,
        tenant: TenantId,
        query: Mapping[str, Any],
        most: int,
        after: str | None = None,
        wanted: Callable[[Known], bool] = lambda _: True,
    ) -> list[Known]:
        """The first `most` of those that the store finds and that are wanted, after a place in their order."""
        found: list[Known] = []
        batch = most
        while len(found) < most:
            page = await self.targets.page(tenant, query, batch, after)
            found += filter(wanted, await self._known([one.target for one in page]))
            if len(page) < batch:
                break
            after, batch = order(page[-1].target), _BATCH
        return found[:most]

    async def _load(self, tenant: TenantId) -> Sequence[Known]:
        return await self._known(await self.targets.all(tenant))

    async def _known(self, targets: Iterable[Target]) -> list[Known]:
        asked = list(targets)
        states = await self.states.some(one.id for one in asked) if asked else {}
        return [Known(one, states.get(one.id)) for one in asked]
