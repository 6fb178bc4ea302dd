"""Doubles of the bus, the catalogue and Redis, and a gateway made of them that tests talk ASGI to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from vigie_ingest.app import create_app
from vigie_ingest.bodies import Bodies
from vigie_ingest.frame import Frame, Resources, State
from vigie_ingest.idempotency import IdempotencyStore
from vigie_ingest.intake import Intake, Pipeline
from vigie_ingest.intakes import INTAKES
from vigie_ingest.routes import IngestApp
from vigie_ingest.settings import IngestSettings
from vigie_limits.limiter import Limiter
from vigie_limits.quotas import RateLimits
from vigie_publishing.series.registrar import Registrar
from vigie_runtime.clock import ManualClock
from vigie_web.state import AccessControl

from tests.kit.publishing import FakeCatalogue, FakeExplainer, FakePublisher, FakeRecords, fake_bus

from .doubles import (
    NOW_MS,
    FakeAuthenticator,
    FakeCounts,
    FakeKeyPlaces,
    FakeRedis,
    FakeSiteHosts,
    FakeStored,
    FakeTenants,
    FakeUsage,
)


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Gateway:
    app: IngestApp
    state: State
    publisher: FakePublisher
    catalogue: FakeCatalogue
    redis: FakeRedis
    clock: ManualClock
    registrar: Registrar
    authenticator: FakeAuthenticator
    records: FakeRecords
    tenants: FakeTenants
    stored: FakeStored
    usage: FakeUsage
    explainer: FakeExplainer
    sites: FakeSiteHosts
    places: FakeKeyPlaces

    @property
    def frame(self) -> Frame:
        return self.app.frame

    @property
    def bodies(self) -> Bodies:
        return self.frame.bodies

    @property
    def resources(self) -> Resources:
        return self.state.connected()

    def change(self, **parts: Any) -> None:
        """Other resources of these names."""
        self.state.resources = replace(self.resources, **parts)

    async def request(  # noqa: PLR0917
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        chunks: list[bytes] | None = None,
        receive: Any = None,
        client: tuple[str, int] | None = ("127.0.0.1", 1),
    ) -> Reply:
        """One ASGI request. `chunks` are sent one by one; `receive` replaces everything about the body."""
        given = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "server": ("test", 80),
            "client": client,
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given],
        }
        parts = chunks if chunks is not None else [body]
        messages = [
            {"type": "http.request", "body": part, "more_body": i < len(parts) - 1} for i, part in enumerate(parts)
        ]

        async def receive_parts() -> dict[str, Any]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        answer: dict[str, Any] = {"body": b""}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.update(status=message["status"], headers=message["headers"])
            else:
                answer["body"] += message.get("body", b"")

        await self.app(scope, receive or receive_parts, send)
        found = {name.decode().lower(): value.decode("latin-1") for name, value in answer.get("headers", [])}
        return Reply(answer.get("status", 0), found, answer["body"])

    async def post(self, path: str, body: object, headers: dict[str, str] | None = None, **more: Any) -> Reply:
        """POST; anything but bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.request("POST", path, data, {"content-type": "application/json", **(headers or {})}, **more)

    async def custom(self, **metric: Any) -> Reply:
        return await self.post("/api/metrics/custom", metric)

    def metric(self, name: str, **labels: str) -> float:
        return self.state.metrics.registry.get_sample_value(name, labels) or 0.0


def settings(**more: Any) -> IngestSettings:
    return IngestSettings(
        kafka_bootstrap_servers="127.0.0.1:1",
        mongodb_uri="mongodb://127.0.0.1:1",
        redis_url="redis://127.0.0.1:1",
        **{"ingest_catalogue_wait_s": 0.3, "ingest_body_timeout_s": 0.3, **more},
    )


def build(publisher: Any = None, intakes: Sequence[Intake[Any, Any]] = INTAKES, **more: Any) -> Gateway:
    """A gateway of doubles; needs a running loop. Close its registrar."""
    chosen, clock = settings(**more), ManualClock(NOW_MS)
    app = create_app(chosen, intakes, clock=clock)
    state = app.frame.state
    redis = FakeRedis()
    bus = fake_bus(
        clock,
        publisher,
        catalogue_wait_s=chosen.ingest_catalogue_wait_s,
        known_series=chosen.ingest_known_series,
        refusal_memory_s=chosen.ingest_refusal_memory_s,
    )
    authenticator, tenants, stored, sites = FakeAuthenticator(), FakeTenants(), FakeStored(), FakeSiteHosts()
    usage, unused = FakeUsage(), None
    rates = RateLimits(chosen, Limiter(FakeCounts(clock), clock, state.metrics), tenants, clock, usage)
    access: Any = AccessControl(authenticator, unused, tenants, rates)  # pyright: ignore
    places = FakeKeyPlaces()
    pipeline = Pipeline(bus.series, bus.keyed, bus.reports, tenants, stored, sites, places)  # type: ignore[arg-type]
    state.resources = Resources(access, (), pipeline, IdempotencyStore(redis, clock))
    return Gateway(
        app,
        state,
        bus.publisher,
        bus.catalogue,
        redis,
        clock,
        bus.registrar,
        authenticator,
        bus.records,
        tenants,
        stored,
        usage,
        bus.explainer,
        sites,
        places,
    )


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = build()
    yield made
    await made.registrar.close()


@pytest.fixture
def now_ms() -> int:
    return NOW_MS
