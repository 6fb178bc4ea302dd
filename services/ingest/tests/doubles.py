"""Doubles of what stands behind the gateway: the bus, the catalogue, Redis, tenants, and what is counted."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from redis.exceptions import ConnectionError as RedisAwayError
from vigie_contracts.samples import SampleColumns
from vigie_contracts.series import SeriesKey
from vigie_contracts.tenants import TenantId, is_tenant
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.credential_cache import Requester
from vigie_identity.errors import NotFound, TenantInactive
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.principal import Principal
from vigie_identity.tenants import Plan, Tenant
from vigie_identity.tenants import Status as TenantStatus
from vigie_limits.counter import Limit
from vigie_limits.store import RedisCounts
from vigie_limits.window import Counts, LocalWindow
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Retryable
from vigie_storage.series.writer import RefusalReason, Refused, Registered
from vigie_storage.usage import Tally

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

    async def publish(self, columns: SampleColumns, span_context: object = None) -> None:
        self.calls += 1
        self.called.set()
        self.spans.append(span_context)
        if self.gate is not None:
            await self.gate.wait()
        if self.fail is not None:
            raise self.fail
        keys, key_index = columns.keys, columns.key_index
        index = [-1 if keys is None else 0] * len(columns) if key_index is None else np.asarray(key_index).tolist()
        given = (columns.fingerprints, columns.timestamps, columns.values)
        lists = (column.tolist() if isinstance(column, np.ndarray) else column for column in given)
        for fp, ts, value, i in zip(*lists, index, strict=True):
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
    business: list[int] = field(default_factory=list)

    async def mark_business(self, fingerprints: Collection[int]) -> None:
        if self.hang:
            await asyncio.Event().wait()
        if self.away:
            raise Retryable("MongoDB is away")
        assert set(fingerprints) <= self.series.keys()
        self.business += fingerprints

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
class FakeStored:
    """The reports whose ids it knows are stored; `away` makes it fail."""

    ids: set[str] = field(default_factory=set)
    away: bool = False

    async def among(self, ids: Collection[str]) -> set[str]:
        if self.away:
            raise Retryable("away")
        return self.ids & set(ids)
