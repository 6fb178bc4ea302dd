"""A running api over a real MongoDB, what is kept of nodes' reports, and someone who asks."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import jwt
from vigie_api.app import create_app
from vigie_api.settings import ApiSettings
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM
from vigie_identity.identity import Identity
from vigie_identity.permissions import Role
from vigie_identity.tenants import Status
from vigie_runtime import clients
from vigie_runtime.clients import Database
from vigie_runtime.clock import ManualClock

from tests.kit import eventually
from tests.kit.nodes import NodeReport, every, report, store

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
DAY = 24 * HOUR
NOW = round(datetime(2098, 11, 24, 10, 30, tzinfo=UTC).timestamp()) * SECOND
"""So far ahead that MongoDB's own clock finds nothing of the tests too old; the calendar is that of 2025."""
ACME, RIVAL = "550e8400-e29b-41d4-a716-446655440000", "rival"
ZONES = ("UTC", "Europe/Paris", "Asia/Kolkata")
SECRET = "of another issuer " * 2


@dataclass
class Platform:
    """A running api, what nodes have reported, and someone of the support who asks."""

    http: httpx2.AsyncClient
    clock: ManualClock
    database: Database
    identity: Identity
    app: Any

    async def get(self, path: str, status: int = 200, *, headers: Any = None, **parameters: Any) -> Any:
        """The JSON answer; `from` may be given as `from_`."""
        self.clock.advance(0.5)  # past the cache
        parameters = {name.removesuffix("_"): value for name, value in parameters.items()}
        answer = await self.http.get(path, params=parameters, headers=headers or token(Role.SUPPORT))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def tenant(self, tenant: str, name: str | None = None, *, active: bool = True) -> TenantId:
        made = TenantId(tenant)
        await self.identity.tenants.create(made, name or tenant, SYSTEM)
        if not active:
            await self.identity.tenants.change(made, SYSTEM, status=Status.INACTIVE)
        return made

    async def keep(self, *reports: NodeReport) -> None:
        await store(self.database, reports, ZONES)


def token(*roles: Role, tenants: tuple[str, ...] = ()) -> dict[str, str]:
    """A credential of somebody with these roles."""
    claims = {
        "iss": "other", "aud": "vigie", "sub": "sue", "iat": NOW // 1000, "exp": NOW // 1000 + 3600,
        "roles": list(roles), "tenants": list(tenants),
    }  # fmt: skip
    return {"authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}


class StillClock(ManualClock):
    """Time stands still for questions, while caches forget."""

    def now_ms(self) -> int:
        return NOW


def settings_for(database: Database, mongo_uri: str, redis_url: str) -> ApiSettings:
    return ApiSettings(
        kafka_bootstrap_servers="unused:9092",
        mongodb_uri=mongo_uri,
        redis_url=redis_url,
        mongodb_database=database.name,
        telemetry_timezones=",".join(ZONES),
        jwt_shared_secret=SECRET,
        jwt_shared_issuer="other",
        jwt_foreign_platform_roles=True,
    )


@asynccontextmanager
async def running(settings: ApiSettings) -> AsyncIterator[Platform]:
    """With the default tenant, acme-corp and its rival, and no report."""
    clock = StillClock(NOW)
    app = create_app(settings, clock=clock)
    async with (
        clients.mongo(settings) as mongo,
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as http,
    ):
        made = Platform(http, clock, clients.database(mongo, settings), app.state.service.resources.identity, app)
        await eventually(lambda: app.state.service.resources.first_start.done)
        await made.tenant(ACME, "acme-corp")
        await made.tenant(RIVAL)
        yield made


def metrics(tenant: str, rest: str = "") -> str:
    return f"/admin/tenant/{tenant}/metrics{rest}"


def mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 2) if values else None


def many_reports() -> list[NodeReport]:
    """Of 31 days, of two tenants, more or less every 40 minutes, and more of them at the edges of the periods."""
    chance = random.Random(4)
    times = [at + chance.randrange(20 * MINUTE) for at in every(40, NOW - 31 * DAY, NOW - 20 * MINUTE)]
    for length in (DAY, 7 * DAY, 30 * DAY):
        for border in (NOW - length, NOW - length // 2, NOW):
            times += [border, border - 1, border + 1, border + chance.randrange(-HOUR, HOUR)]
    return [
        report(
            tenant, at, users=chance.randrange(100), exercises=chance.randrange(500), uptime=chance.randrange(10**6),
            **({"aiLatency": round(chance.uniform(100, 500), 1)} if chance.random() < 0.8 else {}),
        )
        for tenant in (ACME, RIVAL)
        for at in times
    ]  # fmt: skip
