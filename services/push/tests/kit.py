"""A push service with doubles behind it, on a real server: who calls, a channel and its source are made up here."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import uvicorn
from msgspec.structs import replace
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import BadCredential, NotFound, RefusalReason, TenantInactive
from vigie_identity.permissions import Permission, Role
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_push import metrics
from vigie_push.app import State
from vigie_push.channels.base import ChannelMessage, Feed, Parameters, Snapshot, Topic, Update
from vigie_push.errors import UnknownChannel
from vigie_push.hub import Hub
from vigie_push.messages import Ack, CommandResult, Metrics
from vigie_push.metrics import PushMetrics
from vigie_push.resources import Resources
from vigie_push.sessions import Sessions
from vigie_push.settings import PushSettings
from vigie_push.websocket import routes
from vigie_runtime.addresses import Origin
from vigie_runtime.clock import Clock, SystemClock
from vigie_runtime.errors import ProblemError
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_web import app as web
from vigie_web.metrics import ACCESS_METRICS
from vigie_web.server import config
from vigie_web.state import AccessControl
from websockets.asyncio.client import ClientConnection, connect

from tests.kit import eventually

ACME, RIVAL = TenantId("acme"), TenantId("rival")
SOURCE = "made-up"


def settings_for(**more: Any) -> PushSettings:
    return PushSettings(
        kafka_bootstrap_servers="nowhere:1",
        mongodb_uri="mongodb://127.0.0.1:1",
        redis_url="redis://127.0.0.1:1",
        **more,
    )


def person(name: str, role: Role = Role.USER, tenant: TenantId = ACME, **places: frozenset[str]) -> Principal:
    return Principal(PrincipalKind.USER, name, name, assignments=assigned(Assignment.of(tenant, role, **places)))


class Quota:
    client = None

    def check_lookup(self) -> None: ...

    async def refused(self, error: ProblemError) -> None: ...

    async def admit(self, principal: Principal, tenant: str | None) -> None: ...


@dataclass
class Callers:
    """The authenticator, the known tenants and the rates of the service."""

    known: dict[str, Principal | ProblemError] = field(
        default_factory=lambda: {"alice": person("alice"), "rita": person("rita", tenant=RIVAL)}
    )
    nobody: Principal = Principal(PrincipalKind.ANONYMOUS, "anonymous", "anonymous")  # noqa: RUF009 - frozen
    tenants: set[str] = field(default_factory=lambda: {ACME, RIVAL})
    away: ProblemError | None = None
    asked: int = 0

    async def credential(self, sent: bytes, _quota: object = None) -> Principal:
        self.asked += 1
        if self.away is not None:
            raise self.away
        found = self.known.get(sent.decode(), BadCredential(RefusalReason.KEY_UNKNOWN))
        if isinstance(found, ProblemError):
            raise found
        return found

    async def anonymous(self) -> Principal:
        return self.nobody

    def at_once(self, tenant: str) -> None:
        if tenant not in self.tenants:
            raise TenantInactive

    async def require(self, tenant: str) -> None:
        self.at_once(tenant)

    def open(self, _origin: Origin) -> Quota:
        return Quota()


class ThingParameters(Parameters, frozen=True):
    thing_id: str = ""


class Thing(ChannelMessage, tag="thing", kw_only=True):
    key: str
    value: int
    text: str = ""


@dataclass
class ThingFeed:
    """Of records `(key, value)` or `(key, value, text)`; the cursor is the value, which only goes up."""

    topic: Topic[ThingParameters]
    world: Things

    async def snapshot(self, after: str | None) -> Snapshot:
        self.world.snapshots += 1
        await self.world.gate.wait()
        if self.world.failure is not None:
            raise self.world.failure
        seen = int(after) if after is not None and after.isdigit() else -1
        stands = dict(self.world.stands)
        told = max([seen, *stands.values()])
        updates = [self._update(key, value) for key, value in stands.items() if value > seen]
        return Snapshot(updates, lambda update: int(update.cursor) <= told)

    def updates(self, record: Any) -> Sequence[Update]:
        return [self._update(*record)]

    async def poll(self) -> Sequence[Update]:
        self.world.polls += 1
        return [self._update(key, value) for key, value in self.world.stands.items() if value > self.world.polled]

    async def close(self) -> None:
        self.world.closed.append(self.topic)

    def _update(self, key: str, value: int, text: str = "") -> Update:
        return Update(key, str(value), Thing(key=key, value=value, text=text))


@dataclass
class Things:
    """A channel, and what it is asked."""

    name: str = "server"
    sources: tuple[str, ...] = (SOURCE,)
    permission: Permission = Permission.METRICS_READ
    parameters: type[Parameters] = ThingParameters
    messages: tuple[type[ChannelMessage], ...] = (Thing,)
    stands: dict[str, int] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failure: ProblemError | None = None
    snapshots: int = 0
    polls: int = 0
    polled: int = -1
    narrowed: str = ""
    opened: int = 0
    closed: list[Topic[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def authorise(self, principal: Principal, tenant: TenantId, parameters: ThingParameters) -> ThingParameters:
        principal.require(self.permission, tenant)
        if parameters.thing_id == "hidden":
            raise NotFound("thing")
        return replace(parameters, thing_id=self.narrowed or parameters.thing_id)

    async def open(self, topic: Topic[Any]) -> Feed:
        self.opened += 1
        return ThingFeed(topic, self)


class NoAppMetrics:
    """In the place of `AppIntake`: takes nothing."""

    async def take(self, session: Any, message: Metrics) -> Ack:
        raise UnknownChannel("metrics", "none")


class NoResults:
    """Of agents, which are not what is tested."""

    async def take(self, session: Any, message: CommandResult) -> Ack:
        return Ack(id=message.id)


@dataclass
class MadeUpSource:
    name: str = SOURCE
    followed: list[str] = field(default_factory=list)

    async def run(self) -> None: ...

    def stop(self) -> None: ...

    async def follow(self, tenant: TenantId) -> None:
        self.followed.append(tenant)

    async def leave(self, tenant: TenantId) -> None:
        self.followed.remove(tenant)


@dataclass
class Service:
    port: int
    hub: Hub
    sessions: Sessions
    callers: Callers
    things: Things
    source: MadeUpSource
    metrics: MetricSet
    server: uvicorn.Server

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def publish(self, *record: Any, tenant: TenantId = ACME) -> None:
        self.hub.publish(SOURCE, tenant, record)

    @asynccontextmanager
    async def client(self, token: str | None = "alice", **how: Any) -> AsyncGenerator[ClientConnection]:
        url = self.url if token is None else f"{self.url}?token={token}"
        async with connect(url, compression=None, **how) as client:
            yield client

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def hub_with(things: Things, clock: Clock | None = None, *, tenant_topics: int = 1_000) -> tuple[Hub, MadeUpSource]:
    clock = clock or SystemClock()
    hub = Hub({things.name: things}, clock, PushMetrics(MetricSet(metrics.ALL)), tenant_topics)
    source = MadeUpSource()
    hub.add_source(source)
    return hub, source


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(**settings: Any) -> AsyncGenerator[Service]:
    """The real app on a free port of this machine."""
    made = settings_for(**settings)
    measured = MetricSet([*metrics.ALL, *ACCESS_METRICS])
    callers, things, source = Callers(), Things(), MadeUpSource()
    clock = SystemClock()
    counted = PushMetrics(measured)
    hub = Hub({things.name: things}, clock, counted)
    hub.add_source(source)
    unused: Any = None
    doubles: Any = callers
    access = AccessControl(doubles, unused, doubles, doubles)
    sessions = Sessions(made, access, hub, clock, counted)
    counted.watch(sessions, hub)

    async def connected(_state: State, life: Lifespan) -> Resources:
        life.on_down("hub", hub.close)
        life.run("sessions", sessions.run(), sessions.stop)
        return Resources(access, (), hub, sessions, cast(Any, NoAppMetrics()), cast(Any, NoResults()))

    app = web.create_app(
        State(made, measured, clock),
        (routes.FEATURE,),
        connected,
        service="push",
        title="push",
        version="1",
        description="",
        refused_credentials=metrics.REQUESTS.refused_credentials,
    )
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = Server(config(app, made, "127.0.0.1", 0, 10_000, websockets=made.websockets))
    task = asyncio.create_task(server.serve([listening]))
    try:
        await eventually(lambda: server.started)
        port = listening.getsockname()[1]
        yield Service(port, hub, sessions, callers, things, source, measured, server)
    finally:
        server.should_exit = True
        await task
        listening.close()


async def told(client: ClientConnection, kind: str | None = None) -> dict[str, Any]:
    """The next message, of a type when one is named."""
    async with asyncio.timeout(10):
        while True:
            message = json.loads(await client.recv())
            if kind is None or message["type"] == kind:
                return message


async def ask(client: ClientConnection, **message: Any) -> None:
    await client.send(json.dumps(message))


async def subscribed(client: ClientConnection, **parameters: Any) -> dict[str, Any]:
    await ask(client, type="subscribe", channel="server", **parameters)
    return await told(client, "subscribed")


async def ended(client: ClientConnection) -> tuple[int | None, str]:
    """The code and the reason with which the other side closes."""
    async with asyncio.timeout(15):
        await client.wait_closed()
    return client.close_code, client.close_reason or ""


async def silent(client: ClientConnection, seconds: float = 0.2) -> bool:
    """Whether nothing comes for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await client.recv()
            return False
    return True
