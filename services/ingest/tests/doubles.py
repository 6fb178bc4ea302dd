"""Doubles of what stands behind the gateway: the bus, the catalogue, Redis, tenants, and what is counted."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import ConnectionError as RedisAwayError
from vigie_contracts.tenants import TenantId, is_tenant
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.audit import Actor
from vigie_identity.credential_cache import Requester
from vigie_identity.errors import NotFound, TenantInactive
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.principal import Principal
from vigie_identity.tenants import Plan, Tenant
from vigie_identity.tenants import Status as TenantStatus
from vigie_ingest.errors import StoreAwayError
from vigie_limits.counter import Limit
from vigie_limits.store import RedisCounts
from vigie_limits.window import Counts, LocalWindow
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Retryable
from vigie_storage.usage import Tally

NOW_MS = 1_790_000_000_000
NODE_TENANT = "550e8400-e29b-41d4-a716-446655440000"


class FakeRedis:
    """The commands and scripts that are used, in dicts; `away` makes them fail, after `gate` when it is set."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.rooms: defaultdict[str, list[tuple[bytes, str]]] = defaultdict(list)
        self.away = False
        self.calls = 0
        self.gate: asyncio.Event | None = None
        self.waiting = asyncio.Queue[None]()

    def pipeline(self, transaction: bool = True) -> FakePipeline:
        return FakePipeline(self)

    async def eval(self, _script: str, keys: int, name: str, *arguments: Any) -> int:
        self.check()
        if keys == 2:
            room, value, _, slots, most, token = arguments
            self.data[name] = value
            self.rooms[room] += [(token, name)] * slots
            while len(self.rooms[room]) > most:
                token, name = self.rooms[room].pop(0)
                if token in self.data.get(name, b""):
                    del self.data[name]
            return 1
        if self.data.get(name) == arguments[0]:
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
    """Everybody is `principal`; `fail` is raised instead. Who is not `known` is looked up, which is counted."""

    principal: Principal = field(
        default_factory=lambda: AnonymousRule.parse("default:read,write,telemetry").principal()
    )
    fail: Exception | None = None
    known: bool = True
    looked_up: int = 0

    async def authenticate(self, headers: list[tuple[bytes, bytes]], requester: Requester) -> Principal:
        if not self.known:
            requester.check_lookup()
            self.looked_up += 1
        if self.fail is not None:
            raise self.fail
        return self.principal


class FakeCounts(RedisCounts):
    """What Redis counts, for one process; never away."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.windows: dict[tuple[Limit, str], LocalWindow] = {}

    async def take(self, limit: Limit, caller: str, units: int) -> bool:
        counts = await self.counts(limit, caller)
        if counts.used(limit.window_s) + units > limit.amount:
            return False
        self.windows[limit, caller].add(units, self.clock.monotonic())
        return True

    async def counts(self, limit: Limit, caller: str) -> Counts:
        window = self.windows.setdefault((limit, caller), LocalWindow(limit.window_s))
        return window.counts(self.clock.monotonic())

    async def check(self) -> None: ...


class FakeUsage:
    """What tenants used."""

    def __init__(self) -> None:
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)

    def of(self, tenant: str) -> Tally:
        return self.tallies[tenant]


@dataclass
class FakeTenants(KnownTenants):
    """Every tenant is there and has this plan, but for `asleep`, which is not active, and `nobody`; `fail` is raised
    instead."""

    plan: Plan = field(default_factory=Plan)
    fail: Exception | None = None

    def at_once(self, tenant: str) -> Tenant | None:
        return None

    remembered = at_once

    async def require(self, tenant: str) -> Tenant:
        if self.fail is not None:
            raise self.fail
        if tenant == "asleep":
            raise TenantInactive
        if tenant == "nobody" or not is_tenant(tenant):
            raise NotFound("tenant")
        now = datetime.fromtimestamp(NOW_MS / 1000, UTC)
        return Tenant(TenantId(tenant), tenant, TenantStatus.ACTIVE, self.plan, now, now)


@dataclass
class FakeKeyPlaces:
    """`looked`: key, tenant, address, host and instance of what was looked at."""

    looked: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])

    async def look(self, tenant: str, actor: Actor, host: str, instance: str) -> None:
        self.looked.append((actor.id, tenant, actor.address, host, instance))


@dataclass
class FakeSiteHosts:
    """`known` says which site is on which host; `away` makes it fail."""

    known: dict[str, str] = field(default_factory=dict[str, str])
    away: bool = False

    async def of(self, tenant: str) -> dict[str, str]:
        if self.away:
            raise StoreAwayError
        return self.known


@dataclass
class FakeStored:
    """The reports whose ids it knows are stored; `away` makes it fail."""

    ids: set[str] = field(default_factory=set)
    away: bool = False

    async def among(self, ids: Collection[str]) -> set[str]:
        if self.away:
            raise Retryable("away")
        return self.ids & set(ids)
