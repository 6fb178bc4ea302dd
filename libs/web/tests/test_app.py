"""The shell with a service of two routes in it: who may open a WebSocket is decided as for a request."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import BadCredential, RefusalReason
from vigie_identity.permissions import Permission, Scope, of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import ProblemError
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import Counter, MetricSet
from vigie_runtime.settings import TenantSettings
from vigie_web.access import WEBSOCKET, Access
from vigie_web.app import create_app
from vigie_web.context import AUTHORIZED, Context
from vigie_web.feature import Feature
from vigie_web.health import Check
from vigie_web.operations import operations
from vigie_web.state import AccessControl, AppState

REFUSED = Counter("vigie_test_refused_credentials_total", "requests", "Refused", {"reason": RefusalReason})
READS = Access(Permission.METRICS_READ)


class Quota:
    """Of one request: what was asked of it."""

    def __init__(self) -> None:
        self.admitted: list[str | None] = []
        self.refusals: list[ProblemError] = []

    def open(self, _origin: object) -> "Quota":
        return self

    async def admit(self, _principal: Principal, tenant: str | None) -> None:
        self.admitted.append(tenant)

    async def refused(self, error: ProblemError) -> None:
        self.refusals.append(error)

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"RateLimit-Remaining", b"7")]


@dataclass
class Callers:
    scopes: frozenset[Scope] = frozenset({Scope.READ})
    fail: Exception | None = None
    quota: Quota = field(default_factory=Quota)

    async def authenticate(self, _headers: object, _asker: object) -> Principal:
        if self.fail is not None:
            raise self.fail
        held = assigned(Assignment(TenantId("acme"), of_scopes(self.scopes)))
        return Principal(PrincipalKind.KEY, "vk_1", "reader", assignments=held)


@dataclass(frozen=True)
class Resources:
    access: AccessControl
    checks: tuple[Check, ...] = ()


Ctx = Annotated[Context[TenantSettings, Resources], AUTHORIZED]


def feature() -> Feature:
    router = APIRouter(tags=["things"])

    @router.get("/things")
    async def things(context: Ctx) -> dict[str, str]:
        return {"tenant": context.tenant}

    @router.websocket("/live")
    async def live(socket: WebSocket, context: Ctx) -> None:
        await socket.accept()
        await socket.send_json({"tenant": context.tenant, "who": context.principal.id})

    return Feature(router, {("GET", "/things"): READS, (WEBSOCKET, "/live"): READS}, "What there is")


@pytest.fixture
def callers() -> Callers:
    return Callers()


async def nothing(_life: Lifespan) -> None:
    """No parts."""


@pytest.fixture
def app(callers: Callers) -> Any:
    return app_of(callers)


def app_of(callers: Callers, parts: Callable[[Lifespan], Awaitable[None]] = nothing) -> Any:
    settings = TenantSettings(
        kafka_bootstrap_servers="nowhere:1", mongodb_uri="mongodb://127.0.0.1:1", redis_url="redis://127.0.0.1:1"
    )
    features = (feature(), operations("/internal/metrics"))
    unused: Any = None

    async def connect(_state: object, life: Lifespan) -> Resources:
        await parts(life)
        control: Any = AccessControl(callers, unused, unused, callers.quota)  # pyright: ignore
        return Resources(control)

    return create_app(
        AppState[TenantSettings, Resources](settings, MetricSet([REFUSED]), ManualClock()),
        features,
        connect,
        service="test",
        title="Vigie test",
        version="1",
        description="For tests",
        refused_credentials=REFUSED,
    )


@pytest.fixture
def client(app: Any) -> Iterator[TestClient]:
    with TestClient(app) as connected:
        yield connected


def test_a_request_and_a_websocket_are_authorised_and_charged_alike(client: TestClient, callers: Callers) -> None:
    answer = client.get("/things")
    assert answer.json() == {"tenant": "acme"}
    assert (answer.headers["ratelimit-remaining"], answer.headers["cache-control"]) == ("7", "no-store")
    with client.websocket_connect("/live") as socket:
        assert socket.receive_json() == {"tenant": "acme", "who": "vk_1"}
    assert callers.quota.admitted == ["acme", "acme"]


@pytest.mark.parametrize(
    ("change", "asked", "status"),
    [
        ({"scopes": frozenset({Scope.WRITE})}, "acme", 403),
        ({}, "globex", 404),
        ({"fail": BadCredential(RefusalReason.EXPIRED)}, "acme", 401),
    ],
)
def test_a_websocket_is_refused_as_a_request_is(
    client: TestClient, callers: Callers, change: dict[str, Any], asked: str, status: int
) -> None:
    for name, value in change.items():
        setattr(callers, name, value)
    headers = {"x-scope-orgid": asked}
    assert client.get("/things", headers=headers).status_code == status
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/live", headers=headers):
        pass
    assert refused.value.status_code == status
    assert callers.quota.admitted == []
    assert len(callers.quota.refusals) == 2


def test_until_it_is_connected_a_service_is_live_and_not_ready(app: Any) -> None:
    client = TestClient(app)
    assert client.get("/health/live").status_code == 200
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["not_ready"]) == (503, ["start"])
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert answer.headers["retry-after"]
    assert client.get("/things").json()["type"] == "/problems/store-unavailable"
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/live"):
        pass
    assert refused.value.status_code == 503


def test_health_is_told_as_clients_of_the_kpi_system_know_it(client: TestClient, app: Any) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    told = answer.json()
    assert (told.keys(), told["status"]) == ({"status", "timestamp", "metrics", "version"}, "healthy")
    assert datetime.fromisoformat(told["timestamp"]).tzinfo is not None
    assert told["version"] == app.version
    assert client.get(told["metrics"]["path"]).status_code == 200
    assert told["metrics"]["declared"] > 0


def test_the_openapi_document_says_what_a_route_asks(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/things"]["get"]
    assert {"401", "403", "404", "429", "503"} <= operation["responses"].keys()
    assert {"name": "things", "description": "What there is"} in document["tags"]
    assert operation["security"]


def test_a_service_that_has_lost_a_part_stops(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)

    async def broken(life: Lifespan) -> None:
        async def work() -> None:
            raise KeyError("a bug")

        life.run("part", work(), lambda: None)

    with TestClient(app_of(callers, broken)) as client:
        client.get("/things")
        assert raised == [signal.SIGTERM]


def test_a_service_that_is_stopped_does_not_take_that_for_a_lost_part(
    callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)

    async def whole(life: Lifespan) -> None:
        stop = asyncio.Event()

        async def work() -> None:
            await stop.wait()

        life.run("part", work(), stop.set)

    with TestClient(app_of(callers, whole)) as client:
        client.get("/things")
    assert raised == []
