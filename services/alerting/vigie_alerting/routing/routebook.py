"""The routes of tenants: what replicas go by, and changing them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from vigie_contracts.alerts import Channel
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor, Audit
from vigie_query.errors import QueryError
from vigie_runtime import logging
from vigie_runtime.clients import Database
from vigie_runtime.errors import reason_of
from vigie_runtime.expressions import Expressions, Thinking
from vigie_storage.alerts.channels import ChannelStore
from vigie_storage.alerts.configuration import Configuration, ConfigurationStore, Kind, Stored
from vigie_storage.mongo import Session

from vigie_alerting.configbook import Configbook
from vigie_alerting.notifiers.resources import Resources
from vigie_alerting.outbox import NAMED
from vigie_alerting.routing.checking import Known, checked
from vigie_alerting.routing.model import NAME, RoutingTree
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rulebook.destinations import check, known_again
from vigie_alerting.rules.problems import RuleProblem
from vigie_alerting.snapshots import Watch
from vigie_alerting.times.interval import MAX_INTERVALS, TimeInterval

log = logging.get(__name__)

_MOST_CHAINS: Final = 2_000
NO_ROUTES: Final = Routes()


class _Named(msgspec.Struct):
    """Of a value that only its name is asked of."""


class Routebook:
    """All methods raise StoreUnavailable."""

    def __init__(
        self,
        db: Database,
        configuration: ConfigurationStore,
        channels: ChannelStore,
        *,
        audit: Audit,
        watch: Watch,
        resources: Resources,
        patterns: Expressions,
    ) -> None:
        """`patterns`: where expressions are tried."""
        self._store: Configuration[RoutingTree] = configuration.of(Kind.ROUTES, RoutingTree, 1)
        self._book = Configbook(db, self._store, audit, watch)
        self._channels, self._resources, self._patterns = channels, resources, patterns
        self._times = configuration.of(Kind.TIME_INTERVAL, TimeInterval, MAX_INTERVALS)
        self._chains = configuration.of(Kind.CHAIN, _Named, _MOST_CHAINS)
        self.held = watch.hold(self._load, Kind.ROUTES)
        """What decides about alerts: `await routebook.held.of(tenant)`."""

    async def stored(self, tenant: TenantId) -> Stored[RoutingTree] | None:
        """None: the tenant has none."""
        return await self._store.get(tenant, NAME)

    async def judged(self, tenant: TenantId, tree: RoutingTree) -> tuple[Routes, list[RuleProblem]]:
        """The routes as they would be stored, with the destinations that came back as they were shown, and warnings.
        Raises InvalidRoutes, ExpressionTooSlow, Busy."""
        before = await self.stored(tenant)
        restored = tree if before is None else _restored(tree, before.value)
        known = await self.known(tenant, before.value if before else None)
        return await self.thinking(tenant).run(lambda check: checked(restored, known, check))

    def thinking(self, tenant: TenantId) -> Thinking:
        """The time to try the expressions of one tree."""
        return self._patterns.question("matchers", tenant)

    async def known(
        self,
        tenant: TenantId,
        before: RoutingTree | None,
        *,
        channels: Iterable[str] = (),
        times: Iterable[str] = (),
    ) -> Known:
        """What routes may name, with these that are about to be made. The destinations of `before` are right as they
        are shown."""
        names = {one.name for one in await self._channels.all(tenant)}
        return Known(
            check({*names, *channels}, self._resources, _inline(before)),
            {*times, *await self.times(tenant)},
            {one.name for one in await self._chains.all(tenant)},
        )

    async def change(
        self, tenant: TenantId, tree: RoutingTree, by: Actor, *, if_version: int | None = None
    ) -> tuple[Stored[RoutingTree], list[RuleProblem]]:
        """Put the tree in the place of the present one. Raises InvalidRoutes, ConfigurationConflict."""
        routes, warnings = await self.judged(tenant, tree)
        made = await self._book.put(
            tenant, NAME, routes.tree, by, Action.ROUTES_CHANGED, if_version=if_version, routes=len(routes.all())
        )
        return made, warnings

    async def put(
        self,
        tenant: TenantId,
        tree: RoutingTree,
        by: Actor,
        action: Action,
        *,
        if_version: int | None,
        also: Callable[[Session], Awaitable[object]],
        **changes: Any,
    ) -> Stored[RoutingTree]:
        """Put a tree there that was judged, together with what `also` writes. Raises ConfigurationConflict."""
        return await self._book.put(tenant, NAME, tree, by, action, if_version=if_version, also=also, **changes)

    async def delete(self, tenant: TenantId, by: Actor, *, if_version: int | None = None) -> bool:
        """Whether there were any. Raises ConfigurationConflict."""
        return await self._book.delete(tenant, NAME, by, Action.ROUTES_DELETED, if_version=if_version) is not None

    async def times(self, tenant: TenantId) -> Mapping[str, TimeInterval]:
        """The time intervals that routes may name."""
        return {one.name: one.value for one in await self._times.all(tenant)}

    async def receivers_of(self, tenant: TenantId, channel: str) -> list[str]:
        """The receivers that name this channel."""
        stored = await self.stored(tenant)
        receivers = stored.value.receivers if stored else {}
        wanted = named(channel)
        return [name for name, one in receivers.items() if wanted in one.channels]

    async def receivers_in(self, tenant: TenantId, chain: str) -> list[str]:
        """The receivers that begin this escalation chain."""
        stored = await self.stored(tenant)
        return [name for name, one in stored.value.receivers.items() if one.escalation == chain] if stored else []

    async def _load(self, tenant: TenantId) -> Routes:
        """Routes that a later version wrote, and this one does not understand, are none: the channels of rules, and
        those of the settings, are told all the same."""
        try:
            stored = await self._store.get(tenant, NAME)
            return NO_ROUTES if stored is None else await asyncio.to_thread(Routes, stored.value)
        except (QueryError, ValueError, msgspec.MsgspecError) as e:
            log.error("the routes cannot be read", tenant=tenant, reason=reason_of(e))
            return NO_ROUTES


def named(channel: str) -> Channel:
    """As receivers name one of the tenant."""
    return Channel(NAMED, channel)


def _restored(tree: RoutingTree, before: RoutingTree) -> RoutingTree:
    everywhere = list(_inline(before))
    receivers = {
        name: replace(one, channels=known_again(one.channels, [*everywhere, *_of(before, name)]))
        for name, one in tree.receivers.items()
    }
    return replace(tree, receivers=receivers)


def _of(tree: RoutingTree, receiver: str) -> list[Channel]:
    return tree.receivers[receiver].channels if receiver in tree.receivers else []


def _inline(tree: RoutingTree | None) -> Iterable[Channel]:
    return [] if tree is None else [channel for one in tree.receivers.values() for channel in one.channels]
