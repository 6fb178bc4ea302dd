"""What a replica holds of the configuration of tenants: loaded when it is first asked for, dropped when it changes.

Deciding about an alert costs a look into a dictionary. Replicas ask every POLL_S what was changed; whoever changes
something drops it at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Generic, TypeVar

from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.cache import SingleFlight
from vigie_runtime.claiming import Claiming
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.alerts.configuration import Changed, Kind

log = logging.get(__name__)
T = TypeVar("T")

POLL_S: Final = 1.0
_OVERLAP: Final = timedelta(seconds=30)
"""A change is seen when its transaction ends, and clocks of replicas differ."""
_HELD: Final = 10_000
"""Tenants."""


class Snapshots(Generic[T]):
    """Made by `Watch.hold`. For one event loop."""

    def __init__(self, load: Callable[[TenantId], Awaitable[T]], name: str) -> None:
        self._load = load
        self._flights = SingleFlight[T](name)
        self._held: OrderedDict[TenantId, T] = OrderedDict()
        self._loading: dict[TenantId, object] = {}
        """Of tenants that are being loaded, which load counts: one that was begun before a change may be without it."""

    async def of(self, tenant: TenantId) -> T:
        """What the tenant has. Raises what loading raises: StoreUnavailable."""
        if tenant in self._held:
            self._held.move_to_end(tenant)
            return self._held[tenant]
        load = self._loading.setdefault(tenant, object())
        key = tenant, load
        task = self._flights.running(key) or self._flights.start(key, partial(self._loaded, tenant, load))
        return await asyncio.shield(task)

    async def fresh(self, tenant: TenantId) -> T:
        """What the tenant has now, where what is held may be a second old and something is missing in it. Raises as
        `of`."""
        self.drop(tenant)
        return await self.of(tenant)

    def drop(self, tenant: TenantId | None = None) -> None:
        """Load it again when it is asked for next; None: of all tenants."""
        if tenant is None:
            self._held.clear()
            self._loading.clear()
        else:
            self._held.pop(tenant, None)
            self._loading.pop(tenant, None)

    async def _loaded(self, tenant: TenantId, load: object) -> T:
        try:
            value = await self._load(tenant)
        finally:
            counts = self._loading.get(tenant) is load
            if counts:
                del self._loading[tenant]
        if counts:
            self._held[tenant] = value
            if len(self._held) > _HELD:
                self._held.popitem(last=False)
        return value


class Watch:
    """Drops what others changed. `run` until `stop`."""

    def __init__(self, changed_since: Callable[[datetime], Awaitable[list[Changed] | None]], clock: Clock) -> None:
        self._changed_since, self._clock = changed_since, clock
        self._held: dict[Kind, list[Snapshots[Any]]] = {}
        self._since = self._now()
        self._seen: set[tuple[TenantId, Kind, str, int]] = set()
        self._listeners: dict[Kind, list[Callable[[TenantId], None]]] = {}
        looking = Claiming(self._look, POLL_S, Backoff(POLL_S, POLL_S, jitter=0))
        self.run, self.stop = looking.run, looking.stop

    def listen(self, told: Callable[[TenantId], None], *kinds: Kind) -> None:
        """Have somebody told whose documents of these kinds were changed, by whomever."""
        for kind in kinds:
            self._listeners.setdefault(kind, []).append(told)

    def hold(self, load: Callable[[TenantId], Awaitable[T]], *kinds: Kind) -> Snapshots[T]:
        """Snapshots of what `load` makes of these kinds."""
        made = Snapshots(load, f"{'-'.join(kinds)}-snapshot")
        for kind in kinds:
            self._held.setdefault(kind, []).append(made)
        return made

    def drop(self, tenant: TenantId, kind: Kind) -> None:
        """It was changed here."""
        for one in self._held.get(kind, ()):
            one.drop(tenant)
        for told in self._listeners.get(kind, ()):
            told(tenant)

    async def _look(self) -> None:
        try:
            await self.once()
        except StoreUnavailable:
            log.debug("changes of the configuration are not seen: the store does not answer")
            raise

    async def once(self) -> None:
        """Drop what was changed since the last look. Raises StoreUnavailable."""
        now = self._now()
        found = await self._changed_since(self._since - _OVERLAP)
        self._since = now
        if found is None:  # too much to say what
            self._seen.clear()
            for snapshots in self._held.values():
                for one in snapshots:
                    one.drop()
            return  # who listens looks again by itself after some minutes
        seen = {(one.tenant, one.kind, one.name, one.version) for one in found}
        for tenant, kind in {(tenant, kind) for tenant, kind, _, _ in seen - self._seen}:
            self.drop(tenant, kind)
        self._seen = seen

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
