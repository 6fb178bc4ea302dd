"""The shipped rules, made for tenants that have none yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.claiming import Claiming
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.alerts.rules import RuleStore

log = logging.get(__name__)

ActiveTenants: TypeAlias = Callable[[], AsyncIterator[Sequence[TenantId]]]
"""All active tenants, some at a time. Raises StoreUnavailable."""
SHIP_EVERY_S: Final = 10.0
"""Tenants are made at any time, by other services."""


class Shipping:
    """Makes the shipped rules of each tenant that has not got them. `run` until `stop`."""

    def __init__(self, store: RuleStore, make: Callable[[TenantId], Awaitable[None]], tenants: ActiveTenants) -> None:
        self._store, self._make, self._tenants = store, make, tenants
        self._done: set[TenantId] = set()
        looking = Claiming(self._look, SHIP_EVERY_S, Backoff(SHIP_EVERY_S, SHIP_EVERY_S, jitter=0))
        self.run, self.stop = looking.run, looking.stop

    async def _look(self) -> None:
        try:
            await self.once()
        except StoreUnavailable:
            log.warning("the shipped rules of new tenants have to wait: the store does not answer")
            raise

    async def once(self) -> None:
        """Raises StoreUnavailable."""
        async for some in self._tenants():
            unsure = [tenant for tenant in some if tenant not in self._done]
            if unsure:
                for tenant in await self._store.without_shipped(unsure):
                    await self._make(tenant)
                self._done.update(unsure)
