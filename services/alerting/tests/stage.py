"""Ledger, outbox, channels and senders on a database of their own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from vigie_alerting.channels.channelbook import Channelbook
from vigie_alerting.channels.channels import Channels
from vigie_alerting.channels.model import Channel
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.notifiers.http import Http
from vigie_alerting.notifiers.message import Message
from vigie_alerting.notifiers.registry import notifiers
from vigie_alerting.notifiers.resources import Resources
from vigie_alerting.notifying.pipeline import Stores
from vigie_alerting.routing.routebook import Routebook
from vigie_alerting.sender.delivery import Delivery
from vigie_alerting.sender.failpoints import Failpoint, Point, never
from vigie_alerting.sender.metrics import SenderMetrics
from vigie_alerting.sender.sender import Sender
from vigie_alerting.snapshots import Watch
from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Audit
from vigie_runtime.clock import SystemClock
from vigie_runtime.expressions import Expressions
from vigie_storage.alerts.channels import ChannelStore
from vigie_storage.alerts.configuration import ConfigurationStore
from vigie_storage.alerts.decisions import Decisions
from vigie_storage.alerts.groups import GroupStore
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.alerts.outbox import Outbox
from vigie_storage.alerts.rules import RuleStore

from services.alerting.tests.pipelines import pipeline
from services.alerting.tests.rigs import LOOPBACK, settings

ACME, RIVAL = TenantId("acme"), TenantId("rival")
KEPT = timedelta(days=90)


class Crash(BaseException):
    """The process died here."""


def crash_at(wanted: Point) -> Failpoint:
    def reach(point: Point) -> None:
        if point is wanted:
            raise Crash

    return reach


class Jumping(SystemClock):
    """The system's clock, that a test can set forward."""

    ahead_s = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + int(self.ahead_s * 1000)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class Recording:
    """A notifier that notes what it is given; `behave` may wait or fail."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Message]] = []
        self.behave: Callable[[Channel, Message], Any] = lambda _channel, _message: None

    async def send(self, channel: Channel, message: Message) -> None:
        result = self.behave(channel, message)
        if asyncio.iscoroutine(result):
            await result
        self.told.append((channel.destination, message))

    def statuses(self) -> list[str]:
        return [message.status.value for _, message in self.told]


class Stage:
    def __init__(self, database: Any, **more: Any) -> None:
        self.settings = settings(**{"alert_networks": "127.0.0.0/8", **more})
        self.clock = Jumping()
        self.http = Http(LOOPBACK, self.clock, deadline_s=5.0)
        self.published: list[tuple[str, bytes]] = []
        self.resources = Resources(self.settings, self.http, self._publish, self.clock, ssl.create_default_context())
        self.recording = Recording()
        self.notifiers = {**notifiers(self.resources), "webhook": self.recording}
        self.ledger = Ledger(database)
        self.outbox = Outbox(database, self.clock, KEPT)
        self.store = ChannelStore(database, self.clock, self.settings.sealing)
        self.channels = Channels(self.store, self.notifiers, self.resources)
        self.rules, self.audit = RuleStore(database, self.clock), Audit(database, self.clock)
        self.kept = Stores(self.ledger, GroupStore(database, self.clock), Decisions(database))
        self.configuration = ConfigurationStore(database, self.clock)
        self.watch = Watch(self.configuration.changed_since, self.clock)
        self.routebook = Routebook(
            database, self.configuration, self.store, audit=self.audit, watch=self.watch, resources=self.resources,
            patterns=Expressions(),
        )  # fmt: skip
        self.book = Channelbook(
            database, self.store, self.rules, self.routebook.receivers_of, audit=self.audit, resources=self.resources
        )
        self.database, self.rows = database, database["alert_outbox"]

    async def prepare(self) -> None:
        await self.ledger.prepare(KEPT)
        await self.kept.groups.prepare()
        await self.kept.decisions.prepare(KEPT)
        await self.store.prepare()
        await self.rules.prepare()
        await self.configuration.prepare()
        await self.audit.ensure_indexes()

    def sender(self, failpoint: Failpoint = never, **more: Any) -> Sender:
        delivery = Delivery(self.notifiers, "", failpoint)
        fields: dict[str, Any] = {
            "clock": self.clock, "retry_for": timedelta(hours=2), "metrics": SenderMetrics(), "failpoint": failpoint
        }  # fmt: skip
        return Sender(self.outbox, delivery, self.channels.lookup, **{**fields, **more})

    @asynccontextmanager
    async def sending(self, failpoint: Failpoint = never, **more: Any) -> AsyncIterator[Sender]:
        sender = self.sender(failpoint, **more)
        task = asyncio.create_task(sender.run())
        yield sender
        sender.stop()
        with suppress(Crash):
            await task

    async def dispatch(self, *transitions: Transition, wake: Callable[[], None] = lambda: None) -> list[str]:
        dispatcher = Dispatcher(self.ledger, pipeline(self.kept, self.channels), wake, self.clock)
        return [one.id for one in await dispatcher.dispatch(transitions)]

    async def states(self) -> list[str]:
        return sorted([row["state"] async for row in self.rows.find()])

    async def _publish(self, tenant: TenantId, record: bytes) -> None:
        self.published.append((tenant, record))
