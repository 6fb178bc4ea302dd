"""The kit that every channel passes: what of it happens is made by its case, stored as its writers store it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol
from zlib import crc32

import msgspec
import numpy as np
from bson.codec_options import CodecOptions
from vigie_contracts import telemetry
from vigie_contracts.alerts import AlertState, Transition, transition_id
from vigie_contracts.checks import Verdict
from vigie_contracts.days import to_datetime
from vigie_contracts.latest import Latest, hash_key, pack
from vigie_contracts.latest import field as chunk_field
from vigie_contracts.live import LiveMessage
from vigie_contracts.reports import Report
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_push import metrics
from vigie_push.channels import registry
from vigie_push.channels.base import Topic
from vigie_push.channels.resources import ChannelResources
from vigie_push.hub import Hub
from vigie_push.metrics import PushMetrics
from vigie_push.sources.values import together
from vigie_push.subscriber import Delivery, Subscriber
from vigie_query.series import Series
from vigie_runtime.clients import Database, Redis
from vigie_runtime.clock import SystemClock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import REDIS_AWAY
from vigie_storage import latest
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.alerts.live import LiveTransitions
from vigie_storage.alerts.states import AlertStates, Move, StoredAlert
from vigie_storage.health.live import LiveHealth, LiveState
from vigie_storage.health.states import HealthStates, TargetState
from vigie_storage.series import document as series_documents

from services.push.tests.kit import MadeUpSource, settings_for

NOW = SystemClock().now_ms() - 60_000
"""The store forgets what is old."""
SERIES = 60


@dataclass
class Stores:
    database: Database
    redis: Redis


class Case(Protocol):
    """One channel: what happens in it, one thing after the other, each with a word that shows it."""

    asked: Mapping[str, Any]

    async def prepare(self, stores: Stores, tenant: TenantId) -> None:
        """Before anything happens."""
        ...

    async def happen(self, stores: Stores, tenant: TenantId, number: int) -> Any:
        """Store it, and return the record that the source tells."""
        ...

    def words(self, message: Mapping[str, Any]) -> set[int]:
        """The numbers of what a message shows."""
        ...


class Alerts:
    """A new alert fires each time."""

    asked: Mapping[str, Any] = {}

    async def prepare(self, stores: Stores, tenant: TenantId) -> None:
        await Ledger(stores.database).prepare(timedelta(days=1))
        await AlertStates(stores.database).prepare()

    async def happen(self, stores: Stores, tenant: TenantId, number: int) -> Any:
        fingerprint = f"{number:016x}"
        step = Transition(
            id=transition_id(fingerprint, NOW, 1),
            fingerprint=fingerprint,
            tenant=tenant,
            rule_id="r",
            rule_name="cpu_high",
            episode=f"{fingerprint}-{NOW}",
            sequence=1,
            from_state=None,
            to_state=AlertState.FIRING,
            timestamp=NOW,
            reason="condition_met",
            starts_at=NOW,
            labels={"alertname": "cpu_high"},
        )
        state = StoredAlert(fingerprint, tenant, "r", "firing", "warning", NOW, None, 1, b"")
        states = AlertStates(stores.database)
        await Ledger(stores.database).store([step], [], lambda session: states.write([Move(None, state)], session))
        return LiveTransitions(SystemClock().now_ms(), [step])

    def words(self, message: Mapping[str, Any]) -> set[int]:
        alerts = message["data"] if message["type"] == "alerts" else [message["data"]]
        return {int(alert["id"], 16) for alert in alerts}


@dataclass
class Metrics:
    """Another series has its first value each time."""

    asked: Mapping[str, Any] = field(default_factory=lambda: {"selector": 'cpu{zone="a"}'})
    rows: dict[TenantId, list[int]] = field(default_factory=dict)

    async def prepare(self, stores: Stores, tenant: TenantId) -> None:
        series = [
            Series(_fingerprint(tenant, n), "cpu", Kind.GAUGE, (("n", str(n)), ("zone", "a")), 0, n, NOW + n)
            for n in range(SERIES)
        ]
        await stores.database.series.insert_many([series_documents.document(tenant, one) for one in series])
        await stores.database.tenant_series.insert_one({"_id": tenant, "count": SERIES, "next": {"0": SERIES}})

    async def happen(self, stores: Stores, tenant: TenantId, number: int) -> Any:
        rows = self.rows.setdefault(tenant, [])
        rows.append(number)
        slots = np.array(sorted(rows), np.uint8)
        stands = Latest(
            slots, slots.astype(np.int64) + NOW, slots.astype(np.float64), slots.astype(np.float64),
            np.ones(len(slots), np.int64),
        )  # fmt: skip
        [data] = pack(stands, [0, len(slots)])
        document = latest.document(0, latest.LatestChunk(tenant, 0, data))
        await stores.database.latest.replace_one({"_id": document["_id"]}, document, upsert=True)
        with suppress(Exception):  # the store has it too
            await stores.redis.hset(hash_key(tenant), chunk_field(0, 0), data)  # type: ignore[arg-type,misc]
        return together(
            [
                LiveMessage(
                    0,
                    np.array([_fingerprint(tenant, number)], "<u8").tobytes(),
                    np.array([NOW + number], "<i8").tobytes(),
                    np.array([number], "<f8").tobytes(),
                    False,
                    np.array([number], "<f8").tobytes(),
                    np.array([1], "<i8").tobytes(),
                )
            ]
        )

    def words(self, message: Mapping[str, Any]) -> set[int]:
        return {int(one["value"]) for one in message["data"]}


@dataclass
class Reports:
    """The next report each time. Of those before a snapshot only the last is shown."""

    kind: str
    subject: str
    asked: Mapping[str, Any] = field(default_factory=dict)

    async def prepare(self, stores: Stores, tenant: TenantId) -> None: ...

    async def happen(self, stores: Stores, tenant: TenantId, number: int) -> Any:
        said = Report(f"{tenant}-{number:04d}", tenant, self.kind, self.subject, NOW + number, {"metrics": number})
        await stores.database.reports.insert_one(
            {
                "_id": said.id,
                "tenant": tenant,
                "kind": said.kind,
                "subject": said.subject,
                "at": to_datetime(said.timestamp),
                "received": to_datetime(said.timestamp),
                "body": said.body,
            }
        )
        return said

    def words(self, message: Mapping[str, Any]) -> set[int]:
        body = message["payload"] if message["type"] == "metrics" else message["data"]
        return {body["metrics"]}


class Health:
    """Another target is checked for the first time each time."""

    asked: Mapping[str, Any] = {}

    async def prepare(self, stores: Stores, tenant: TenantId) -> None:
        await HealthStates(stores.database).prepare()

    async def happen(self, stores: Stores, tenant: TenantId, number: int) -> Any:
        state = TargetState(
            target=f"{tenant}/{number}",
            tenant=tenant,
            name=f"shop {number:03}",
            state=Verdict.UP,
            since_ms=NOW + number,
            checked_ms=NOW + number,
        )
        await HealthStates(stores.database).write([state])
        return LiveHealth(SystemClock().now_ms(), [LiveState(state, "unknown")])

    def words(self, message: Mapping[str, Any]) -> set[int]:
        return {int(one["id"].rpartition("/")[2]) for one in message["data"]}


@dataclass
class Hosts:
    """The next report of the only host each time, with the number somewhere in it."""

    shows: Any
    asked: Mapping[str, Any] = field(default_factory=dict)

    async def prepare(self, stores: Stores, tenant: TenantId) -> None:
        site = {"_id": f"{tenant}/shop", "tenant": tenant, "site": "shop", "host": "web-1", "name": "", "account": "a"}
        more = {"directory": "/a", "ports": [], "domains": [], "limits": {}, "version": 1}
        times = {"created": to_datetime(NOW), "updated": to_datetime(NOW)}
        await stores.database.sites.insert_one(site | more | times)

    async def happen(self, stores: Stores, tenant: TenantId, number: int) -> Any:
        service = {"name": "twoine-shop", "site": "shop", "state": "active", "restarts": number}
        body = {
            "host": "web-1", "interval": 30, "agent": {}, "uptime": number, "services": [service],
            "sites": [{"site": "shop", "processes": number}],
        }  # fmt: skip
        said = Report(f"{tenant}-{number:04d}", tenant, "host", "web-1", NOW + number, body)
        fields = {"tenant": tenant, "host": "web-1", "at": to_datetime(said.timestamp), "body": body}
        fields["received"] = fields["at"]
        await stores.database.host_reports.insert_one({**fields, "_id": said.id})
        latest_ = {**fields, "_id": f"{tenant}/web-1", "report": said.id}
        await stores.database.host_latest.replace_one({"_id": latest_["_id"]}, latest_, upsert=True)
        return said

    def words(self, message: Mapping[str, Any]) -> set[int]:
        return {self.shows(message["data"])}


CASES: dict[str, Any] = {
    "server": lambda: Hosts(lambda data: data["uptime"]),
    "site": lambda: Hosts(lambda data: data["processes"], {"siteId": "shop"}),
    "services": lambda: Hosts(lambda data: data["services"][0]["restarts"], {"siteId": "shop"}),
    "health": Health,
    "alerts": Alerts,
    "metrics": Metrics,
    "app": lambda: Reports("app", "shop", {"appId": "shop"}),
    "telemetry": lambda: Reports(telemetry.KIND, telemetry.SUBJECT),
}


def _fingerprint(tenant: TenantId, number: int) -> int:
    return 1_000 * crc32(tenant.encode()) + number


class Replica:
    """A process: its own hub and channels over the same stores. Its sources say what the test says."""

    def __init__(self, stores: Stores) -> None:
        measured = MetricSet([*metrics.ALL, REDIS_AWAY])
        zoned = stores.database.with_options(CodecOptions(tz_aware=True))  # as services have it
        resources = ChannelResources(settings_for(), zoned, stores.redis, SystemClock(), measured)
        self.hub = Hub(registry.channels(resources), SystemClock(), PushMetrics(measured))
        for name in {source for channel in self.hub.channels.values() for source in channel.sources}:
            self.hub.add_source(MadeUpSource(name))

    def tell(self, channel: str, tenant: TenantId, record: Any) -> None:
        for source in self.hub.channels[channel].sources:
            self.hub.publish(source, tenant, record)

    async def client(self, channel: str, tenant: TenantId, case: Case, after: str | None = None) -> Client:
        parameters: Any = msgspec.convert(case.asked, self.hub.channels[channel].parameters, strict=False)
        subscriber = Subscriber(1_000, 8 << 20)
        subscription = await self.hub.attach(subscriber, "1", Topic(tenant, channel, parameters))
        await self.hub.begin(subscription, after)
        return Client(subscriber, case)


class Client:
    """What one subscriber was sent."""

    def __init__(self, subscriber: Subscriber, case: Case) -> None:
        self._subscriber, self._case = subscriber, case
        self.messages: list[dict[str, Any]] = []
        self.answers: list[Any] = []

    async def read(self) -> list[set[int]]:
        """The words of the messages that wait."""
        before = len(self.messages)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                for one in await self._subscriber.take():
                    if isinstance(one, Delivery):
                        self.messages.append(msgspec.json.decode(one.text))
                    else:
                        self.answers.append(one)
        return [self._case.words(message) for message in self.messages[before:]]

    @property
    def cursor(self) -> str:
        return self.messages[-1]["cursor"]
