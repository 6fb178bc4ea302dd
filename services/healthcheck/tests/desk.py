"""The routes that read, over real stores and without probers: what is known is written by the tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import httpx2
from msgspec.structs import replace as changed
from pydantic import SecretStr
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Target
from vigie_contracts.tenants import TenantId
from vigie_healthcheck import metrics
from vigie_healthcheck.api.health import routes as health
from vigie_healthcheck.api.heartbeat import routes as heartbeat
from vigie_healthcheck.api.services import routes as services
from vigie_healthcheck.api.status import routes as status
from vigie_healthcheck.heartbeats import Heartbeats
from vigie_healthcheck.reads import Reads
from vigie_healthcheck.settings import HealthcheckSettings
from vigie_healthcheck.targets.targetbook import Targetbook
from vigie_identity.permissions import Role
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_runtime.clients import Database
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage.health.beats import Beats
from vigie_storage.health.states import HealthStates, TargetState
from vigie_storage.health.targets import Change, TargetStore, TargetWrite
from vigie_storage.mongo import transaction
from vigie_web import access_control
from vigie_web import app as web
from vigie_web.bodies import MAX_FILE_BYTES
from vigie_web.metrics import ACCESS_METRICS
from vigie_web.state import AccessControl, AppState

ACME = TenantId("acme")


@dataclass
class Callers:
    """The authenticator: everybody is `principal`."""

    principal: Principal

    async def authenticate(self, _headers: list[tuple[bytes, bytes]], _asker: object = None) -> Principal:
        return self.principal


def person(role: Role = Role.ADMIN, tenant: TenantId = ACME, **places: frozenset[str]) -> Principal:
    assignment = Assignment.of(tenant, role, **places)
    return Principal(PrincipalKind.USER, "u-alice", "alice", assignments=assigned(assignment))


@dataclass(frozen=True)
class Resources:
    access: AccessControl
    reads: Reads
    targetbook: Targetbook
    heartbeats: Heartbeats
    checks: Sequence[Any] = ()


@dataclass
class Desk:
    """The running app. An admin of ACME asks, unless somebody else is said."""

    http: httpx2.AsyncClient
    app: Any
    callers: Callers
    database: Database
    targets: TargetStore
    looked: list[None] = field(default_factory=list[None])
    """How often a prober was told to look."""

    @property
    def reads(self) -> Reads:
        return self.app.state.service.resources.reads

    @property
    def now_ms(self) -> int:
        return self.app.state.service.clock.now_ms()

    async def get(self, path: str, status: int = 200, *, by: Principal | None = None, **more: Any) -> Any:
        """The answer's JSON, or its text."""
        answer = await self.call("GET", path, by=by, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text

    async def call(self, method: str, path: str, *, by: Principal | None = None, **more: Any) -> Any:
        self.callers.principal = by or person()
        return await self.http.request(method, path, **more)

    async def watch(
        self, name: str, state: Verdict | None = Verdict.UP, tenant: TenantId = ACME, **more: Any
    ) -> Target:
        """A target, and unless it was never checked its state: fields of `known` are those of the state."""
        known: Mapping[str, Any] = more.pop("known", {})
        fields = {"kind": "http", "url": f"https://{tenant}.internal/x", "created_at": self.now_ms - 3_600_000, **more}
        target = Target(id=f"{tenant}-{name}", tenant=tenant, name=name, **fields)
        write = TargetWrite(target, 0, Change.CREATED)
        await transaction(self.database, lambda session: self.targets.write(tenant, [write], session))
        if state is not None:
            await self.found(target, state, **known)
        return target

    async def found(self, target: Target, state: Verdict, **more: Any) -> TargetState:
        """What a check found now."""
        now_ms = self.now_ms
        fields: dict[str, Any] = {
            "name": target.name, "kind": target.kind, "group": target.group, "state": state, "verdict": state,
            "since_ms": now_ms - 60_000, "checked_ms": now_ms - 1_000, "due_ms": now_ms + 29_000, "duration_ms": 12.5,
            "reason": "" if state is Verdict.UP else "the connection to 10.0.0.7:5432 was refused", **more,
        }  # fmt: skip
        made = TargetState(target=target.id, tenant=target.tenant, **fields)
        await HealthStates(self.database).write([made])
        return made

    async def change(self, target: Target, **fields: Any) -> Target:
        after = changed(target, version=target.version + 1, **fields)
        write = TargetWrite(after, target.version, Change.CHANGED)
        tenant = TenantId(target.tenant)
        await transaction(self.database, lambda session: self.targets.write(tenant, [write], session))
        return after


@asynccontextmanager
async def opened(database: Database, mongo_uri: str, redis_url: str) -> AsyncGenerator[Desk]:
    """The app, with the tenants ACME and `other`."""
    settings = HealthcheckSettings(
        kafka_bootstrap_servers="127.0.0.1:1", mongodb_uri=mongo_uri, redis_url=redis_url,
        mongodb_database=database.name, samples_topic="samples", default_tenant=ACME, anonymous="nothing",
        jwt_secret=SecretStr("own-secret-" * 4), external_url="https://vigie.example/",
    )  # fmt: skip
    looked: list[None] = []
    stores: list[tuple[Database, TargetStore]] = []

    async def connect(state: Any, life: Lifespan) -> Any:
        shared = await access_control.connect(state, life)
        await shared.identity.prepare(ACME)
        store = TargetStore(shared.database, state.clock)
        await store.prepare()
        stores.append((shared.database, store))
        tenants = shared.identity.known_tenants
        reads = Reads.of(
            shared.database, store, tenants, state.clock, samples_topic="samples", look=lambda: looked.append(None)
        )
        beats = Beats(shared.database)
        await beats.prepare()
        look = partial(looked.append, None)
        book = Targetbook(shared.database, store, beats, shared.identity, clock=state.clock, wake=lambda: None)
        heartbeats = Heartbeats(beats, HealthStates(shared.database), state.clock, look)
        return Resources(shared.access, reads, book, heartbeats)

    app = web.create_app(
        AppState(settings, MetricSet([*metrics.ALL, *ACCESS_METRICS])),
        (services.FEATURE, health.FEATURE, heartbeat.FEATURE, status.FEATURE),
        connect,
        service="healthcheck",
        title="test",
        version="0",
        description="",
        refused_credentials=metrics.REQUESTS.refused_credentials,
        max_body_bytes=MAX_FILE_BYTES,
    )
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://vigie.example", timeout=30) as http,
    ):
        state: Any = app.state.service
        callers = Callers(person())
        state.resources = replace(state.resources, access=replace(state.resources.access, authenticator=callers))
        yield Desk(http, app, callers, *stores[0], looked)
