"""The transports, served by a real server over doubles of what is behind them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import uvicorn
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import BadCredential, RefusalReason
from vigie_identity.permissions import ROLES, Permission, Role
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_push.app import create_app
from vigie_push.channels.base import ChannelMessage, Parameters, Snapshot, Topic, Update
from vigie_push.channels.summaries import SummaryChannel
from vigie_push.hub import Hub
from vigie_push.metrics import PushMetrics
from vigie_push.resources import Resources
from vigie_push.sessions import Sessions
from vigie_push.settings import PushSettings
from vigie_push.socketio.transport import SocketTransport
from vigie_push.sources.summaries import PERIODS, SummaryBoard, SummarySource
from vigie_runtime.clock import SystemClock
from vigie_web.server import config as server_config
from vigie_web.state import AccessControl

from services.push.tests.kit import NoAppMetrics, NoResults

TENANT = TenantId("acme")
READER, WRITER = "reader-token", "writer-token"


class Free:
    """Without limits."""

    def open(self, _origin: object) -> Free:
        return self

    async def refused(self, _error: object) -> None: ...
    async def admit(self, _principal: object, _tenant: object) -> None: ...
    def headers(self) -> list[tuple[bytes, bytes]]:
        return []


class Callers:
    """Two tokens; who shows none may do nothing. `gone` are refused."""

    def __init__(self) -> None:
        self.gone: set[bytes] = set()

    async def anonymous(self) -> Principal:
        return Principal(PrincipalKind.ANONYMOUS, "anonymous", "anonymous")

    async def credential(self, sent: bytes, _quota: object = None) -> Principal:
        rights = {READER.encode(): ROLES[Role.READONLY], WRITER.encode(): frozenset({Permission.DATA_WRITE})}
        if sent not in rights or sent in self.gone:
            raise BadCredential(RefusalReason.REVOKED)
        return Principal(PrincipalKind.KEY, sent.decode(), "x", assignments=assigned(Assignment(TENANT, rights[sent])))


class AlertMessage(ChannelMessage, tag="alert"):
    name: str


class Alerts:
    """Whatever the test publishes, by name."""

    name, parameters, permission = "alerts", Parameters, Permission.ALERTS_READ
    messages: Sequence[type[ChannelMessage]] = (AlertMessage,)
    sources = ("alerts feed",)
    pad = ""

    def authorise(self, principal: Principal, tenant: TenantId, parameters: Parameters) -> Parameters:
        principal.require(self.permission, tenant)
        return parameters

    async def open(self, topic: Topic[Any]) -> Alerts:
        return self

    async def snapshot(self, after: str | None) -> Snapshot:
        missed = range(int(after) + 1, 4) if after else range(3, 4)
        return Snapshot([self._update(n) for n in missed], lambda update: int(update.cursor) <= 3)

    def updates(self, record: int) -> Sequence[Update]:
        return [self._update(record)]

    async def poll(self) -> Sequence[Update]:
        return []

    async def close(self) -> None: ...

    def _update(self, number: int) -> Update:
        return Update(str(number), str(number), AlertMessage(name=f"alert {number}{self.pad}"))


class Quiet:
    """A source that the test speaks for."""

    name = "alerts feed"

    async def run(self) -> None: ...
    def stop(self) -> None: ...
    async def follow(self, _tenant: str) -> None: ...
    async def leave(self, _tenant: str) -> None: ...


class Answer:
    def __init__(self, area: str, number: int) -> None:
        self._text = f'{{"area":"{area}","number":{number}}}'

    def model_dump_json(self) -> str:
        return self._text


class Computed:
    """In the place of `Summaries`; counts."""

    def __init__(self) -> None:
        self.count = 0

    def __getattr__(self, area: str) -> Any:
        async def ask(_tenant: str, _time_range: object) -> Answer:
            self.count += 1
            return Answer(area, self.count)

        return ask


class Served:
    """What a test works with."""

    def __init__(self, **settings: Any) -> None:
        self.settings = PushSettings(
            kafka_bootstrap_servers="nowhere:1", mongodb_uri="mongodb://127.0.0.1:1", redis_url="redis://127.0.0.1:1",
            default_tenant=TENANT, **{"websocket_broadcast_interval": 250, **settings},
        )  # fmt: skip
        self.app = create_app(self.settings)
        self.computed, self.callers = Computed(), Callers()
        state, clock = self.app.state.service, SystemClock()
        board = SummaryBoard(lambda: cast(Any, self.computed), self.settings.websocket_broadcast_interval / 1000, clock)
        self.alerts = Alerts()
        channels: dict[str, Any] = {name: SummaryChannel(name, board) for name in PERIODS} | {"alerts": self.alerts}
        counted = PushMetrics(state.metrics)
        self.hub = Hub(channels, clock, counted)
        self.sources = [SummarySource(area, board, self.hub) for area in PERIODS]
        for source in (*self.sources, Quiet()):
            self.hub.add_source(source)
        nobody = cast(Any, None)
        access = AccessControl(cast(Any, self.callers), nobody, nobody, cast(Any, Free()))
        self.sessions = Sessions(self.settings, access, self.hub, clock, counted)
        self.socket_io = SocketTransport(self.sessions, clock)
        self.resources = Resources(
            access=access, checks=(), hub=self.hub, sessions=self.sessions, app_metrics=cast(Any, NoAppMetrics()),
            results=cast(Any, NoResults()),
            socket_io=self.socket_io,
        )  # fmt: skip
        self.port = 0
        self.server: Any = None

    def alert(self, number: int) -> None:
        """A new alert of the tenant."""
        self.hub.publish("alerts feed", TENANT, number)


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[Served]:
    """On a free port, while the context is entered."""
    one = Served(**settings)
    one.app.state.service.resources = one.resources
    config = server_config(one.app, one.settings, "127.0.0.1", 0, 1_000, websockets=one.settings.websockets)
    config.lifespan = "off"
    server = one.server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    one.port = listening.getsockname()[1]
    work = [asyncio.create_task(source.run()) for source in one.sources]
    work += [asyncio.create_task(one.sessions.run()), asyncio.create_task(server.serve(sockets=[listening]))]
    try:
        yield one
    finally:
        server.force_exit = server.should_exit = True
        await one.socket_io.close()
        for source in one.sources:
            source.stop()
        one.sessions.stop()
        await asyncio.wait(work, timeout=10)
        await one.hub.close()


async def nobody_left(live: Served) -> None:
    """Returns when no session is open any more."""
    async with asyncio.timeout(5):
        while len(live.sessions) or live.socket_io._clients:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
