"""The shipped rules, made for tenants that have none yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.alerts.rules import RuleStore

log = logging.get(__name__)

ActiveTenants: TypeAlias = Callable[[], AsyncIterator[Sequence[TenantId]]]
"""All active tenants, some at a time. Raises StoreUnavailable."""
SHIP_EVERY_S: Final = 10.0


class Shipping:
    """Makes the shipped rules of each tenant that has not got them. `run` until `stop`."""

    def __init__(self, store: RuleStore, make: Callable[[TenantId], Awaitable[None]], tenants: ActiveTenants) -> None:
        self._store, self._make, self._tenants = store, make, tenants
        self._done: set[TenantId] = set()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Make no more."""
        self._stopping.set()

    async def run(self) -> None:
        """Look now, and every SHIP_EVERY_S: tenants are made at any time, by other services."""
        while not self._stopping.is_set():
            try:
                await self.once()
            except StoreUnavailable:
                log.warning("the shipped rules of new tenants have to wait: the store does not answer")
            with suppress(TimeoutError):
                async with asyncio.timeout(SHIP_EVERY_S):
                    await self._stopping.wait()

    async def once(self) -> None:
        """Raises StoreUnavailable."""
        async for some in self._tenants():
            unsure = [tenant for tenant in some if tenant not in self._done]
            if unsure:
                for tenant in await self._store.without_shipped(unsure):
                    await self._make(tenant)
                self._done.update(unsure)
