"""Doubles of the bus, the catalogue and Redis, and a gateway made of them that tests talk ASGI to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from redis.exceptions import ConnectionError as RedisAwayError
from vigie_contracts.series import SeriesKey
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.errors import NotFound, TenantInactive
from vigie_identity.principal import Principal
from vigie_ingest import metrics
from vigie_ingest.app import IngestApp, assemble
from vigie_ingest.budget import Budget
from vigie_ingest.errors import StoreAwayError
from vigie_ingest.finder import SeriesFinder
from vigie_ingest.idempotency import Answers, InFlight
from vigie_ingest.importing import History
from vigie_ingest.intake import Intake
from vigie_ingest.known import KnownSeries, RefusedSeries
from vigie_ingest.operations import Readiness
from vigie_ingest.registrar import Registrar
from vigie_ingest.reports import Reports
from vigie_ingest.routes import Backend, Desk
from vigie_ingest.settings import IngestSettings
from vigie_runtime.catalogue import RefusalReason, Refused, Registered
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Retryable

NOW_MS = 1_790_000_000_000
NODE_TENANT = "550e8400-e29b-41d4-a716-446655440000"


@dataclass
class FakePublisher:
    """Keeps what it is given; `fail` is raised instead; `gate`, when set, is waited for first."""

    sent: list[tuple[int, int, float, bytes | None]] = field(default_factory=list)
    spans: list[object] = field(default_factory=list)
    calls: int = 0
    called: asyncio.Event = field(default_factory=asyncio.Event)
    fail: Exception | None = None
    gate: asyncio.Event | None = None

    async def publish(  # noqa: PLR0917
        self,
        fingerprints: Any,
        timestamps: Any,
        values: Any,
        keys: Sequence[bytes] | None = None,
        key_index: Any = None,
        span_context: object = None,
    ) -> None:
        self.calls += 1
        self.called.set()
        self.spans.append(span_context)
        if self.gate is not None:
            await self.gate.wait()
        if self.fail is not None:
            raise self.fail
        index = [-1 if keys is None else 0] * len(values) if key_index is None else np.asarray(key_index).tolist()
        columns = (np.asarray(c).tolist() for c in (fingerprints, timestamps, values))
        for fp, ts, value, i in zip(*columns, index, strict=True):
            self.sent.append((fp, ts, value, keys[i] if keys and i >= 0 else None))


@dataclass
class FakeCatalogue:
    """Takes every series up to `limit`; `away` makes it fail, `hang` makes it never answer."""

    series: dict[int, SeriesKey] = field(default_factory=dict)
    asked: list[SeriesKey] = field(default_factory=list)
    calls: int = 0
    limit: int = 1_000_000
    away: bool = False
    hang: bool = False

    async def register(self, new: Sequence[SeriesKey]) -> list[Registered | Refused]:
        self.calls += 1
        self.asked += new
        await asyncio.sleep(0)
        if self.hang:
            await asyncio.Event().wait()
        if self.away:
            raise Retryable("MongoDB is away")
        return [self._one(key) for key in new]

    def _one(self, key: SeriesKey) -> Registered | Refused:
        fp = key.fingerprint
        if fp not in self.series and len(self.series) >= self.limit:
            return Refused(fp, RefusalReason.LIMIT, f"the tenant has its {self.limit} series; this one is new")
        created = fp not in self.series
        self.series[fp] = key
        return Registered(fp, fp % 12, len(self.series), created)


class FakeRedis:
    """The four commands that are used, in a dict; `away` makes them fail, after `gate` when it is set."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.away = False
        self.calls = 0
        self.gate: asyncio.Event | None = None
        self.waiting = asyncio.Queue[None]()

    def pipeline(self, transaction: bool = True) -> FakePipeline:
        return FakePipeline(self)

    async def set(self, name: str, value: bytes, ex: int | None = None) -> bool:
        self.check()
        self.data[name] = value
        return True

    async def eval(self, _script: str, _n: int, name: str, lock: bytes) -> int:
        self.check()
        if self.data.get(name) == lock:
            del self.data[name]
            return 1
        return 0

    def check(self) -> None:
        self.calls += 1
        if self.away:
            raise RedisAwayError("refused")


class FakePipeline:
    def __init__(self, redis: FakeRedis) -> None:
        self.redis = redis
        self.replies: list[Any] = []

    def set(self, name: str, value: bytes, nx: bool = False, px: int | None = None) -> None:
        if not (nx and name in self.redis.data) and not self.redis.away:
            self.redis.data[name] = value

    def get(self, name: str) -> None:
        self.replies = [None, self.redis.data.get(name)]

    async def execute(self) -> list[Any]:
        if self.redis.gate is not None:
            self.redis.waiting.put_nowait(None)
            await self.redis.gate.wait()
        self.redis.check()
        return self.replies


@dataclass
class FakeAuthenticator:
    """Everybody is `principal`; `fail` is raised instead."""

    principal: Principal = field(
        default_factory=lambda: AnonymousRule.parse("default:read,write,telemetry").principal()
    )
    fail: Exception | None = None

    async def authenticate(self, headers: list[tuple[bytes, bytes]]) -> Principal:
        if self.fail is not None:
            raise self.fail
        return self.principal


@dataclass
class FakeRecords:
    """Keeps the records; `fail` is raised instead."""

    sent: list[tuple[bytes, dict[str, Any], str | None]] = field(default_factory=list)
    fail: Exception | None = None

    async def publish(self, key: bytes, value: bytes, *, id_: str | None = None, span_context: object = None) -> None:
        if self.fail is not None:
            raise self.fail
        self.sent.append((key, json.loads(value), id_))

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [report for _, report, _ in self.sent]


@dataclass
class FakeTenants:
    """`active` ones are; `asleep` is not; others do not exist; `fail` is raised instead."""

    active: set[str] = field(default_factory=lambda: {"default", "acme", NODE_TENANT})
    fail: Exception | None = None

    async def require(self, tenant: str) -> None:
        if self.fail is not None:
            raise self.fail
        if tenant == "asleep":
            raise TenantInactive
        if tenant not in self.active:
            raise NotFound("tenant")


@dataclass
class FakeStored:
    """The reports whose ids it knows are stored; `away` makes it fail."""

    ids: set[str] = field(default_factory=set)
    away: bool = False

    async def among(self, ids: Collection[str]) -> set[str]:
        if self.away:
            raise StoreAwayError
        return self.ids & set(ids)


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
    desk: Desk
    publisher: FakePublisher
    catalogue: FakeCatalogue
    redis: FakeRedis
    clock: ManualClock
    registrar: Registrar
    readiness: Readiness
    authenticator: FakeAuthenticator
    records: FakeRecords
    tenants: FakeTenants
    stored: FakeStored

    async def request(  # noqa: PLR0917
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        chunks: list[bytes] | None = None,
        receive: Any = None,
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
            "client": ("test", 1),
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
        return self.desk.metrics.registry.get_sample_value(name, labels) or 0.0


def settings(**more: Any) -> IngestSettings:
    return IngestSettings(
        kafka_bootstrap_servers="127.0.0.1:1",
        mongodb_uri="mongodb://127.0.0.1:1",
        redis_url="redis://127.0.0.1:1",
        **{"ingest_catalogue_wait_s": 0.3, "ingest_body_timeout_s": 0.3, **more},
    )


def build(publisher: Any = None, **more: Any) -> Gateway:
    """A gateway of doubles; needs a running loop. Close its registrar."""
    chosen = settings(**more)
    desk = Desk(chosen, metrics.metric_set(), Budget(chosen.ingest_max_body_bytes))
    publisher = publisher or FakePublisher()
    catalogue, redis, clock = FakeCatalogue(), FakeRedis(), ManualClock(NOW_MS)
    registrar = Registrar(catalogue, chosen.ingest_catalogue_wait_s)
    registrar.start()
    known, refused = KnownSeries(chosen.ingest_known_series), RefusedSeries(chosen.ingest_refusal_memory_s)
    finder = SeriesFinder(known, refused, registrar, clock)
    intake = Intake(publisher, finder, InFlight(chosen.ingest_catalogue_wait_s), clock)
    authenticator, records, tenants, stored = FakeAuthenticator(), FakeRecords(), FakeTenants(), FakeStored()
    reports = Reports(intake, records)
    history = History(reports, tenants, stored)
    desk.backend = Backend(intake, reports, history, Answers(redis, clock), authenticator, tenants)
    readiness = Readiness()
    app = assemble(desk, readiness)
    return Gateway(
        app, desk, publisher, catalogue, redis, clock, registrar, readiness, authenticator, records, tenants, stored
    )


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = build()
    yield made
    await made.registrar.close()


@pytest.fixture
def now_ms() -> int:
    return NOW_MS
