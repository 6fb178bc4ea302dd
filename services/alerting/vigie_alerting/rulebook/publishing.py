"""Rules to the log `vigie.rules.v1`: what is stored and not published yet, by whichever replica is free.

A change is stored first. Whoever made it wakes the publisher of its process; what a crash left is found by the others.
The same task makes the shipped rules of tenants that have none yet.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.clock import Clock
from vigie_runtime.errors import BufferFull, BusUnavailable, StoreUnavailable
from vigie_storage.alerts.rules import LEASE_S, RuleStore, Unpublished

from vigie_alerting.claiming import Claiming

log = logging.get(__name__)

Publish: TypeAlias = Callable[[bytes, bytes | None], Awaitable[None]]
"""Key and value of a record; returns when it is acknowledged. Raises BusUnavailable, BufferFull."""
POLL_S: Final = 1.0
MOST: Final = 500
LATEST_START_S: Final = LEASE_S / 3
"""A process that stood still for so long since the claim does not begin to publish."""
_AWAY: Final = Backoff(0.2, 5.0)


class RulePublisher:
    """For one event loop. `run` until `stop`; `wake` it when a rule was changed."""

    def __init__(self, store: RuleStore, publish: Publish, clock: Clock) -> None:
        self._store, self._publish, self._clock = store, publish, clock
        self._claiming = Claiming(self.publish_some, POLL_S, _AWAY)
        self.wake, self.stop, self.run = self._claiming.wake, self._claiming.stop, self._claiming.run

    async def publish_some(self) -> int:
        """Publish what is due, at most MOST; how much that was. Raises StoreUnavailable."""
        claimed_at = self._clock.monotonic()
        claimed = await self._store.claim(secrets.token_hex(12), MOST)
        if not claimed:
            return 0
        if self._clock.monotonic() - claimed_at > LATEST_START_S:
            await self._store.release(claimed)
            return 0
        outcomes = await asyncio.gather(*map(self._one, claimed))
        done = [one for one, sent in zip(claimed, outcomes, strict=True) if sent]
        await self._store.published(done)
        await self._store.release([one for one, sent in zip(claimed, outcomes, strict=True) if not sent])
        return len(done)

    async def _one(self, change: Unpublished) -> bool:
        try:
            await self._publish(change.id.encode(), change.value)
        except (BusUnavailable, BufferFull) as e:
            log.warning("a rule was not published, and is tried again", rule=change.id, reason=str(e))
            return False
        return True


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
