"""An app over real MongoDB and Redis, and a stand-in for the aggregator that writes what it would write."""

import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import numpy as np
import pytest
import pytest_asyncio
from bson import Int64
from pydantic import SecretStr
from pydantic.alias_generators import to_camel
from redis.asyncio import Redis
from vigie_api.app import create_app
from vigie_api.settings import ApiSettings
from vigie_contracts import latest
from vigie_contracts.series import Kind, SeriesKey, series_key
from vigie_contracts.tiers import CHUNK_SLOTS, TIERS
from vigie_identity.bootstrap import NAME
from vigie_identity.identity import Identity
from vigie_identity.passwords import HashCost, Passwords
from vigie_identity.permissions import Role, Scope
from vigie_runtime.clients import Database
from vigie_runtime.clock import ManualClock
from vigie_storage.collections import windows
from vigie_storage.series.writer import Registered, SeriesWriter
from vigie_windows import chunks, fold, merge, widen

from tests.kit import eventually
from tests.kit.nodes import NodeReport

from .nodes_platform import Platform, many_reports, running, settings_for

PARTITIONS = 3
HOUR = 3_600_000
NOW = 1_790_000_000_000 // HOUR * HOUR + 20 * 60_000 + 5_000
"""20 minutes and 5 seconds past an hour."""

PASSWORD = "correct horse battery"

Sample = tuple[SeriesKey, int, float]
Headers = dict[str, str]


@dataclass
class World:
    """Everything that is upstream of the reads, for one tenant."""

    database: Database
    redis: Redis
    tenant: str
    catalogue: SeriesWriter
    _cells: dict[int, Any] = field(default_factory=dict)
    _homes: dict[int, Registered] = field(default_factory=dict)
    _kinds: dict[int, Any] = field(default_factory=dict)

    def key(self, name: str, kind: Kind = Kind.COUNTER, **labels: str) -> SeriesKey:
        return series_key(self.tenant, name, kind, labels)

    async def send(self, samples: Sequence[Sample], *, coarse_until: int = NOW, redis: bool = True) -> None:
        """Register the series and commit the samples; the coarse tiers get only windows that end by `coarse_until`."""
        keys = list({key.fingerprint: key for key, _, _ in samples}.values())
        for answer in await self.catalogue.register(keys):
            assert isinstance(answer, Registered)
            self._homes[answer.fingerprint] = answer
        for partition in range(PARTITIONS):
            own = [s for s in samples if self._homes[s[0].fingerprint].partition == partition]
            if own:
                await self._commit(partition, own, coarse_until, redis=redis)

    async def _commit(self, partition: int, samples: Sequence[Sample], coarse_until: int, *, redis: bool) -> None:
        kinds = self._kinds.setdefault(partition, np.zeros(20 * CHUNK_SLOTS, np.uint8))
        rows = np.array([self._homes[key.fingerprint].ordinal for key, _, _ in samples])
        kinds[rows] = [int(key.kind) for key, _, _ in samples]
        times = np.array([at for _, at, _ in samples], np.int64)
        fresh = fold(rows, times, np.array([value for _, _, value in samples], np.float64), kinds)
        known = self._cells.get(partition)
        cells = self._cells[partition] = fresh if known is None else merge(known, fresh)
        dirty: dict[str, int | None] = {}
        for tier in TIERS:
            wide = widen(cells, tier.width_ms)
            if tier is not TIERS[0]:
                behind = wide.starts + tier.width_ms > coarse_until
                dirty[tier.name] = int(wide.starts[behind].min()) if behind.any() else None
                wide = wide.select(~behind)
            for chunk, start, document in chunks.encode_all(wide):
                identity = {"t": self.tenant, "p": partition, "c": chunk, "w": Int64(start)}
                expires = datetime.fromtimestamp((start + tier.width_ms + tier.retention_ms) / 1000, UTC)
                await self.database[windows(tier).name].replace_one(
                    {"_id": identity}, {"_id": identity, "expires": expires, **document}, upsert=True
                )
        await self.database["partitions"].replace_one(
            {"_id": f"vigie.samples.v1/{partition}"},
            {
                "next": {tier.name: Int64(1) for tier in TIERS},
                "dirty_since": {name: None if ms is None else Int64(ms) for name, ms in dirty.items()},
            },
            upsert=True,
        )
        await self._write_latest(partition, cells, redis=redis)

    async def _write_latest(self, partition: int, cells: Any, *, redis: bool) -> None:
        rows = cells.rows
        for chunk in sorted(set((rows // CHUNK_SLOTS).tolist())):
            slots = sorted({row % CHUNK_SLOTS for row in rows.tolist() if row // CHUNK_SLOTS == chunk})
            own = [cells.select(rows == chunk * CHUNK_SLOTS + slot) for slot in slots]
            newest = [int(one.last_ts.argmax()) for one in own]
            (data,) = latest.pack(
                latest.Latest(
                    np.array(slots, np.uint8),
                    np.array([one.last_ts[at] for one, at in zip(own, newest, strict=True)]),
                    np.array([one.last[at] for one, at in zip(own, newest, strict=True)]),
                    np.array([one.sum.sum() for one in own]),
                    np.array([one.count.sum() for one in own]),
                ),
                [0, len(slots)],
            )
            identity = {"t": self.tenant, "p": partition, "c": chunk}
            await self.database["latest"].replace_one(
                {"_id": identity}, {"_id": identity, "p": partition, "data": data}, upsert=True
            )
            if redis:
                await self.redis.hset(latest.hash_key(self.tenant), latest.field(partition, chunk), data)


@dataclass
class Client:
    """An HTTP client of the app, and the clock that the app looks at."""

    http: httpx2.AsyncClient
    clock: ManualClock
    app: Any

    async def get(self, path: str, status: int = 200, **parameters: Any) -> Any:
        """The JSON answer. `from` may be given as `from_`."""
        self.clock.advance(5)  # past every cache
        parameters = {name.removesuffix("_"): value for name, value in parameters.items()}
        answer = await self.http.get(path, params=parameters)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest_asyncio.fixture(loop_scope="session")
async def world(database: Database, redis_url: str, unique: Callable[[str], str]) -> AsyncIterator[World]:
    redis = Redis.from_url(redis_url)
    catalogue = SeriesWriter(database, PARTITIONS)
    await catalogue.ensure_indexes()
    tenant = unique("tenant")
    yield World(database, redis, tenant, catalogue)
    await redis.delete(latest.hash_key(tenant))
    await redis.aclose()


@pytest.fixture
def settings(database: Database, mongo_uri: str, redis_url: str, world: World) -> ApiSettings:
    return ApiSettings(
        kafka_bootstrap_servers="unused:9092",
        mongodb_uri=mongo_uri,
        redis_url=redis_url,
        mongodb_database=database.name,
        default_tenant=world.tenant,
        anonymous=f"{world.tenant}:read",
    )


@pytest_asyncio.fixture(loop_scope="session")
async def client(settings: ApiSettings) -> AsyncIterator[Client]:
    clock = ManualClock(NOW)
    app = create_app(settings, clock=clock)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as http,
    ):
        await eventually(lambda: app.state.service.resources.first_start.done)
        yield Client(http, clock, app)


@dataclass
class Office:
    """The app with an administrator, who is called root, and requests by anybody."""

    http: httpx2.AsyncClient
    clock: ManualClock
    app: Any
    root: Headers

    @property
    def identity(self) -> Identity:
        return self.app.state.service.resources.identity

    async def call(self, method: str, path: str, who: Headers | None = None, status: int = 200, /, **body: Any) -> Any:
        """The JSON answer; None when it has none. The fields of the body are in snake case here."""
        sent = {"json": {to_camel(name): value for name, value in body.items()}} if body else {}
        answer = await self.http.request(method, path, headers=who or {}, **sent)
        assert answer.status_code == status, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["message"] == answer.json()["detail"]
        return answer.json() if answer.content else None

    async def log_in(self, username: str, password: str = PASSWORD, tenant: str | None = None) -> Headers:
        """The header of a new session."""
        told = {} if tenant is None else {"tenant": tenant}
        answer = await self.call("POST", "/auth/login", username=username, password=password, **told)
        return {"authorization": f"Bearer {answer['accessToken']}"}

    async def tenant(self, id_: str) -> str:
        await self.call("POST", "/admin/tenants", self.root, 201, id=id_, name=f"{id_} inc")
        return id_

    async def user(self, tenant: str, role: Role, name: str = "") -> Headers:
        """A new user of the tenant, logged in."""
        name = name or role.lower()
        path = f"/admin/tenants/{tenant}/users"
        await self.call("POST", path, self.root, 201, name=name, password=PASSWORD, role=role)
        return await self.log_in(name, tenant=tenant)

    async def key(self, tenant: str, *scopes: Scope) -> Headers:
        """A new key of the tenant, for those scopes."""
        path = f"/admin/tenants/{tenant}/keys"
        made = await self.call("POST", path, self.root, 201, name="a key", scopes=list(scopes))
        return {"x-api-key": made["secret"]}


@asynccontextmanager
async def opened(settings: ApiSettings) -> AsyncGenerator[Office]:
    """An office with these settings, in the year 2100: MongoDB's clock finds nothing in it that has expired."""
    clock = ManualClock(4_102_444_800_000)
    app = create_app(settings, clock=clock)
    # Failed logins are counted by address, in a Redis that other tests use too.
    address = f"2001:db8:{random.getrandbits(16):x}:{random.getrandbits(16):x}::1"
    transport = httpx2.ASGITransport(app, client=(address, 1))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://api") as http,
    ):
        office = Office(http, clock, app, {})
        await eventually(lambda: app.state.service.resources.first_start.done)
        office.root = await office.log_in(NAME)
        yield office


@pytest.fixture
def office_settings(database: Database, mongo_uri: str, redis_url: str) -> ApiSettings:
    return ApiSettings(
        kafka_bootstrap_servers="unused:9092",
        mongodb_uri=mongo_uri,
        redis_url=redis_url,
        mongodb_database=database.name,
        anonymous="nothing",
        jwt_secret=SecretStr("own-secret-" * 4),
        admin_password=SecretStr(PASSWORD),
    )


@pytest_asyncio.fixture(loop_scope="session")
async def office(office_settings: ApiSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    cheap = HashCost(memory_kib=64, passes=1, lanes=1)
    monkeypatch.setattr("vigie_identity.identity.Passwords", lambda _cost: Passwords(cheap))
    async with opened(office_settings) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def platform(database: Database, mongo_uri: str, redis_url: str) -> AsyncIterator[Platform]:
    """With the default tenant, acme-corp and its rival, and no report."""
    async with running(settings_for(database, mongo_uri, redis_url)) as made:
        yield made


@pytest.fixture
def reports() -> list[NodeReport]:
    return many_reports()
