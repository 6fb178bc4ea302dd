"""What is around the results of checks: Kafka, MongoDB and Redis as doubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from redis.exceptions import ConnectionError as RedisConnectionError
from vigie_contracts.checks import Check, Verdict
from vigie_contracts.targets import Target
from vigie_contracts.tenants import TenantId
from vigie_healthcheck.checking import Checked
from vigie_healthcheck.probes.base import Outcome
from vigie_healthcheck.recording import Found, Gone
from vigie_healthcheck.results import RESULTS_METRICS, Results
from vigie_healthcheck.samples import check_id
from vigie_healthcheck.state import step
from vigie_publishing.errors import ItemError
from vigie_publishing.publishers import NamedSamples
from vigie_publishing.publishers import Outcome as Published
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import REDIS_AWAY
from vigie_storage.health.live import LiveHealth
from vigie_storage.health.states import TargetState

NOW = 1_790_000_000_000
UP, DOWN = Verdict.UP, Verdict.DOWN
MUTED = {"target_up": 0.0, "target_muted": 1.0}
"""The last of a target: down, and nobody is to be told."""


class Log:
    """Kafka: by id what it has."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}
        self.batches: list[int] = []
        self.away: Exception | None = None
        self.hangs: asyncio.Event | None = None
        self.refused: list[ItemError] = []
        self.last: list[NamedSamples] = []

    async def say(self, samples: Sequence[NamedSamples]) -> None:
        if self.away is not None:
            raise self.away
        self.last += samples

    async def publish(self, checks: Sequence[tuple[Check, NamedSamples]]) -> list[Published]:
        if self.hangs is not None:
            await self.hangs.wait()
        if self.away is not None:
            raise self.away
        self.batches.append(len(checks))
        for check, samples in checks:
            self.checks.setdefault(check.id, check)
            assert len(samples.key) == 16
        return [Published(0, self.refused) for _ in checks]


class Store:
    """MongoDB: guards as that does."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.states: dict[str, TargetState] = {}
        self.changes: list[tuple[str, Verdict, Verdict]] = []
        self.gone: list[str] = []
        self.writes: list[int] = []
        self.away = False
        self.unpublished: set[str] = set()
        """Ids of checks whose states came before them."""

    async def write(self, found: Sequence[Found]) -> set[str]:
        if self.away:
            raise StoreUnavailable
        self.writes.append(len(found))
        newer: set[str] = set()
        for one in found:
            known = self.states.get(one.state.target)
            if known is not None and known.checked_ms > one.state.checked_ms:
                newer.add(one.state.target)
                continue
            id_ = check_id(one.state.target, one.state.checked_ms)
            if id_ not in self.log.checks:
                self.unpublished.add(id_)
            self.states[one.state.target] = one.state
            self.changes += [(one.state.target, change.from_, change.to) for change in one.changes]
        return newer

    async def remove(self, gone: Sequence[Gone]) -> None:
        if self.away:
            raise StoreUnavailable
        for one in gone:
            self.states.pop(one.target, None)
            self.gone.append(one.target)


class Live:
    def __init__(self) -> None:
        self.told: list[tuple[TenantId, LiveHealth]] = []
        self.away = False

    async def announce(self, tenant: TenantId, stored: LiveHealth) -> None:
        if self.away:
            raise RedisConnectionError
        self.told.append((tenant, stored))

    @property
    def targets(self) -> list[str]:
        return [one.state.target for _, live in self.told for one in live.states]


class Bench:
    """A process, and what is around it."""

    def __init__(self) -> None:
        self.log, self.live = Log(), Live()
        self.store = Store(self.log)
        self.metrics = MetricSet([*RESULTS_METRICS, REDIS_AWAY])
        self.states: dict[str, TargetState] = {}

    def process(self) -> Results:
        return Results(self.log, self.store, self.live, SystemClock(), self.metrics)

    async def check(
        self, results: Results, name: str, number: int, verdict: Verdict = UP, tenant: str = "acme"
    ) -> None:
        target = Target(id=name, tenant=tenant, name=name, kind="http")
        outcome = Outcome(verdict, "" if verdict is UP else "refused", 0.01, {"connect": 0.002}, {"probe_x": 1.0})
        at_ms = NOW + number * 1000
        made = step(self.states.get(name), target, outcome, at_ms)
        self.states[name] = made.state
        await results.add(target, made, Checked(outcome), at_ms)

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def running(results: Results) -> AsyncIterator[None]:
    task = asyncio.create_task(results.run())
    try:
        yield
    finally:
        results.stop()
        await task
