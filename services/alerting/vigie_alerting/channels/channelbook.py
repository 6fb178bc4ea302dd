"""Changing channels: with an entry of the audit log, all or nothing; and not from under the rules and
routes that name them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from vigie_contracts.alerts import Rule
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor, Audit
from vigie_runtime.clients import Database
from vigie_storage.alerts.channels import ChannelStore, ChannelTaken, StoredChannel
from vigie_storage.alerts.rules import RuleStore
from vigie_storage.mongo import Session, transaction

from vigie_alerting.channels.drafts import Draft, ShownChannel, checked, shown
from vigie_alerting.channels.errors import ChannelConflict, ChannelInUse, ChannelNotFound
from vigie_alerting.notifiers.resources import Resources
from vigie_alerting.outbox import NAMED

T = TypeVar("T")


class Channelbook:
    """All methods raise StoreUnavailable."""

    def __init__(
        self,
        db: Database,
        store: ChannelStore,
        rules: RuleStore,
        receivers_of: Callable[[TenantId, str], Awaitable[list[str]]],
        *,
        audit: Audit,
        resources: Resources,
    ) -> None:
        """`receivers_of`: the receivers of a tenant's routes that name a channel."""
        self._db, self._store, self._rules, self._audit, self._resources = db, store, rules, audit, resources
        self._receivers_of = receivers_of

    async def create(self, tenant: TenantId, draft: Draft, by: Actor) -> ShownChannel:
        """Raises InvalidChannel, ChannelConflict."""
        made = checked(draft, tenant, by.name, self._resources)

        async def work(session: Session) -> None:
            await self._store.add(made, session)
            await self._note(session, by, Action.CHANNEL_CREATED, made)

        await self._done(work)
        return shown(made)

    async def change(
        self,
        tenant: TenantId,
        id: str,  # noqa: A002 - what it is called
        draft: Draft,
        by: Actor,
        *,
        version: int | None = None,
        force: bool = False,
    ) -> ShownChannel:
        """`version`: the one that the change was made from; None: whatever is there. `force`: another name although
        rules know it by this one. Raises ChannelNotFound, InvalidChannel, ChannelConflict, ChannelInUse."""
        before = await self._stored(tenant, id)
        if version is not None and version != before.version:
            raise ChannelConflict(f"somebody else changed the channel: it is at version {before.version}")
        made = checked(draft, tenant, by.name, self._resources, before)
        if made.name != before.name and not force:
            await self._check_unused(before, "renamed")

        async def work(session: Session) -> StoredChannel:
            after = await self._store.replace(made, session)
            if after is None:
                raise ChannelConflict("somebody else changed the channel meanwhile: read it again")
            await self._note(session, by, Action.CHANNEL_CHANGED, after)
            return after

        return shown(await self._done(work))

    async def remove(self, tenant: TenantId, id: str, by: Actor, *, force: bool = False) -> None:  # noqa: A002
        """What is in the outbox for it becomes dead letters. `force`: although rules or routes name it. Raises
        ChannelNotFound, ChannelInUse."""
        gone = await self._stored(tenant, id)
        if not force:
            await self._check_unused(gone, "deleted")

        async def work(session: Session) -> None:
            if not await self._store.remove(tenant, id, session):
                raise ChannelNotFound(id)
            await self._note(session, by, Action.CHANNEL_DELETED, gone)

        await self._done(work)

    async def _done(self, work: Callable[[Session], Awaitable[T]]) -> T:
        try:
            return await transaction(self._db, work)
        except ChannelTaken as e:
            raise ChannelConflict(str(e)) from e

    async def _note(self, session: Session, by: Actor, action: Action, channel: StoredChannel) -> None:
        await self._audit.add(session, channel.tenant, by, action, channel.id, name=channel.name, type=channel.type)

    async def _check_unused(self, channel: StoredChannel, what: str) -> None:
        rules = [one for one in await self._rules.all(channel.tenant) if _names(one, channel.name)]
        receivers = await self._receivers_of(channel.tenant, channel.name)
        if rules or receivers:
            raise ChannelInUse(channel.name, rules, receivers, what)

    async def _stored(self, tenant: TenantId, id: str) -> StoredChannel:  # noqa: A002
        found = await self._store.get(tenant, id)
        if found is None:
            raise ChannelNotFound(id)
        return found


def _names(rule: Rule, channel: str) -> bool:
    return any(one.type == NAMED and one.destination == channel for one in rule.notification_channels)
