"""The channels of a tenant: its own, by name; those of the settings, by type; those that a rule has inline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from vigie_contracts import alerts as contracts
from vigie_contracts.alerts import AlertState, Reason, Severity, Transition
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_runtime import logging
from vigie_storage.alerts.channels import ChannelStore, StoredChannel
from vigie_storage.alerts.document import Address, Notification

from vigie_alerting.channels.drafts import ShownChannel, shown
from vigie_alerting.channels.errors import ChannelNotFound
from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers.base import Notifier
from vigie_alerting.notifiers.errors import Failure, NotifyError, Permanent, Temporary
from vigie_alerting.notifiers.message import message
from vigie_alerting.notifiers.registry import KINDS
from vigie_alerting.notifiers.resources import Resources
from vigie_alerting.outbox import NAMED, address

log = logging.get(__name__)
TEST_RULE: Final = "Test notification"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a test message went."""

    delivered: bool
    failure: Failure | None = None
    detail: str = ""
    """A sentence, without secrets."""
    temporary: bool = False
    """Trying again may help."""


class Channels:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: ChannelStore, notifiers: Mapping[str, Notifier], resources: Resources) -> None:
        self._store = store
        self._notifiers = notifiers
        self._resources = resources

    async def all(self, tenant: TenantId) -> list[ShownChannel]:
        """The tenant's by name, then those of the settings."""
        own = [shown(channel) for channel in await self._store.all(tenant)]
        return [*own, *self._defaults()]

    async def get(self, tenant: TenantId, id: str) -> ShownChannel:  # noqa: A002 - what it is called
        """Raises ChannelNotFound."""
        return shown(await self._stored(tenant, id))

    async def test(self, tenant: TenantId, id: str) -> Verdict:  # noqa: A002
        """Send a test message through the channel of this id, or the settings' of this type; past the outbox, once.
        Raises ChannelNotFound."""
        if (default := KINDS.get(id)) and (destination := default.by_default(self._resources)) is not None:
            return await self._try(self._of_settings(tenant, id, destination))
        try:
            return await self._try(_ready(await self._stored(tenant, id)))
        except Temporary as e:
            return _verdict(e)

    async def test_inline(self, tenant: TenantId, channel: contracts.Channel) -> Verdict:
        """The same for a channel as rules have them."""
        try:
            return await self._try(await self._resolved(tenant, address(tenant, channel)))
        except Permanent as e:
            return _verdict(e)

    async def addresses(self, tenant: TenantId, channels: Iterable[contracts.Channel]) -> list[Address]:
        """Where the notifications of a rule with these channels go: to those of the settings when it has none. What
        belongs to no tenant concerns nobody whom the settings name."""
        found: list[Address] = []
        for channel in channels:
            stored = await self._store.named(tenant, channel.destination) if channel.type == NAMED else None
            found.append(Address(stored.id) if stored else address(tenant, channel))
        if found or tenant == PLATFORM:
            return found
        return [Address(f"default:{shown.type}", shown.type) for shown in self._defaults()]

    async def lookup(self, notification: Notification) -> Channel:
        """The channel of a notification, as it is now. Raises Permanent, and Temporary for one that is encrypted with a
        key that is not here."""
        return await self._resolved(notification.tenant, notification.address)

    async def by_key(self, tenant: TenantId, key: str) -> Channel:
        """A named channel by its id, as it is now. Raises as `lookup`."""
        return await self._resolved(tenant, Address(key))

    async def _resolved(self, tenant: TenantId, to: Address) -> Channel:
        if to.type in ("", NAMED):
            stored = await (self._store.named(tenant, to.destination) if to.type else self._store.get(tenant, to.key))
            if stored is None:
                raise Permanent(Failure.UNKNOWN_CHANNEL, "there is no such channel: it was deleted, or never was")
            return _ready(stored)
        kind = KINDS.get(to.type)
        if kind is None:
            raise Permanent(Failure.MISCONFIGURED, f"the type of a channel is one of {', '.join(KINDS)}")
        if not to.destination and (destination := kind.by_default(self._resources)) is not None:
            return self._of_settings(tenant, to.type, destination)
        usable = kind.check(to.destination, self._resources)
        return Channel(to.key, tenant, kind.show(usable) or kind.name, kind.name, usable)

    @staticmethod
    def _of_settings(tenant: TenantId, type: str, destination: str) -> Channel:  # noqa: A002
        return Channel(f"default:{type}", tenant, type, type, destination, trusted=True)

    def _defaults(self) -> list[ShownChannel]:
        found = ((kind, kind.by_default(self._resources)) for kind in KINDS.values())
        return [
            ShownChannel(kind.name, kind.name, kind.name, kind.show(destination), {}, 1, None, "settings", default=True)
            for kind, destination in found
            if destination is not None
        ]

    async def _stored(self, tenant: TenantId, id: str) -> StoredChannel:  # noqa: A002
        found = await self._store.get(tenant, id)
        if found is None:
            raise ChannelNotFound(id)
        return found

    async def _try(self, channel: Channel) -> Verdict:
        now = self._resources.clock.now_ms()
        told = message(
            f"test-{now:x}", channel.name, [_test(channel.tenant, now)], self._resources.settings.external_url
        )
        try:
            await self._notifiers[channel.type].send(channel, told)
        except NotifyError as e:
            return _verdict(e)
        return Verdict(delivered=True)


def _verdict(error: NotifyError) -> Verdict:
    return Verdict(False, error.failure, str(error), isinstance(error, Temporary))


def _ready(stored: StoredChannel) -> Channel:
    if not stored.readable:
        raise Temporary(
            Failure.MISCONFIGURED,
            "the channel is encrypted with a key that is not among VIGIE_ENCRYPTION_KEYS: set that key too, or give "
            "its destination and secrets anew",
        )
    return Channel(stored.id, stored.tenant, stored.name, stored.type, stored.destination, stored.secrets)


def _test(tenant: TenantId, now_ms: int) -> Transition:
    return Transition(
        id=f"test-{now_ms:x}",
        fingerprint="0" * 16,
        tenant=tenant,
        rule_id="test",
        rule_name=TEST_RULE,
        episode=f"test-{now_ms:x}",
        sequence=1,
        from_state=None,
        to_state=AlertState.FIRING,
        timestamp=now_ms,
        starts_at=now_ms,
        reason=Reason.CONDITION_MET,
        severity=Severity.INFO,
        annotations={"summary": "This channel of Vigie works. Nothing is wrong."},
    )
