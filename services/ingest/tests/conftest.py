"""Doubles of the bus, the catalogue and Redis, and a gateway made of them that tests talk ASGI to."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from redis.exceptions import ConnectionError as RedisAwayError
from vigie_contracts.series import SeriesKey
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.names import TenantId
from vigie_identity.principal import Principal
from vigie_identity.tenants import Plan, Tenant
from vigie_identity.tenants import Status as TenantStatus
from vigie_ingest import metrics
from vigie_ingest.app import IngestApp, assemble
from vigie_ingest.budget import Budget
from vigie_ingest.finder import SeriesFinder
from vigie_ingest.idempotency import Answers, InFlight
from vigie_ingest.intake import Intake
from vigie_ingest.known import KnownSeries, RefusedSeries
from vigie_ingest.operations import Readiness
from vigie_ingest.registrar import Registrar
from vigie_ingest.routes import Backend, Desk
from vigie_ingest.settings import IngestSettings
from vigie_limits.account import Limit
from vigie_limits.limiter import Limiter
from vigie_limits.metrics import LIMITS_METRICS
from vigie_limits.rates import Rates
from vigie_limits.usage import Tally
from vigie_limits.window import Counts, LocalWindow
from vigie_runtime.addresses import Origins
from vigie_runtime.catalogue import RefusalReason, Refused, Registered
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Retryable

NOW_MS = 1_790_000_000_000


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
            return Refused(fp, RefusalReason.LIMIT, f"the tenant has all its {self.limit} series, and this one is new")
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


class FakeCounts:
    """What Redis counts, for one process; never away."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.windows: dict[tuple[Limit, str], LocalWindow] = {}

    async def take(self, limit: Limit, who: str, units: int) -> bool:
        counts = await self.counts(limit, who)
        if counts.used(limit.window_s) + units > limit.amount:
            return False
        self.windows[limit, who].add(units, self.clock.monotonic())
        return True

    async def counts(self, limit: Limit, who: str) -> Counts:
        window = self.windows.setdefault((limit, who), LocalWindow(limit.window_s))
        return window.counts(self.clock.monotonic())

    async def check(self) -> None: ...


@dataclass
class FakeTenants:
    """Every tenant is there and has this plan; `fail` is raised instead."""

    plan: Plan = field(default_factory=Plan)
    fail: Exception | None = None

    def at_once(self, tenant: str) -> Tenant | None:
        return None

    async def require(self, tenant: str) -> Tenant:
        if self.fail is not None:
            raise self.fail
        now = datetime.fromtimestamp(NOW_MS / 1000, UTC)
        return Tenant(TenantId(tenant), tenant, TenantStatus.ACTIVE, self.plan, now, now)


@dataclass
class FakeExplainer:
    """Says `text` of every metric."""

    text: str | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def explain(self, tenant: str, metric: str) -> str | None:
        self.asked.append((tenant, metric))
        return self.text


class FakeUsage:
    """What tenants used."""

    def __init__(self) -> None:
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)

    def of(self, tenant: str) -> Tally:
        return self.tallies[tenant]


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
    tenants: FakeTenants
    usage: FakeUsage
    explainer: FakeExplainer

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
    own = metrics.metric_set(LIMITS_METRICS)
    desk = Desk(chosen, own, Budget(chosen.ingest_max_body_bytes), Origins(chosen.proxies))
    publisher = publisher or FakePublisher()
    catalogue, redis, clock = FakeCatalogue(), FakeRedis(), ManualClock(NOW_MS)
    registrar = Registrar(catalogue, chosen.ingest_catalogue_wait_s)
    registrar.start()
    known, refused = KnownSeries(chosen.ingest_known_series), RefusedSeries(chosen.ingest_refusal_memory_s)
    explainer = FakeExplainer()
    finder = SeriesFinder(known, refused, registrar, clock, explainer.explain)
    intake = Intake(publisher, finder, InFlight(chosen.ingest_catalogue_wait_s), clock)
    authenticator = FakeAuthenticator()
    tenants, usage = FakeTenants(), FakeUsage()
    rates = Rates(chosen, Limiter(FakeCounts(clock), clock, own), tenants, clock, usage)
    desk.backend = Backend(intake, Answers(redis, clock), authenticator, rates)
    readiness = Readiness()
    app = assemble(desk, readiness)
    return Gateway(
        app, desk, publisher, catalogue, redis, clock, registrar, readiness, authenticator, tenants, usage, explainer
    )


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = build()
    yield made
    await made.registrar.close()


@pytest.fixture
def now_ms() -> int:
    return NOW_MS
