"""A process with an engine, on stores in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
from vigie_alerting import alert as alerts
from vigie_alerting.alerts.stored import stored
from vigie_alerting.dispatch import MAX_TRANSITIONS
from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.metrics import ENGINE_METRICS, EngineMetrics
from vigie_alerting.engine.roster import Roster
from vigie_alerting.engine.runner import Runner
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.engine.storing import Stores, Storing
from vigie_alerting.engine.watch import Watch, selected
from vigie_alerting.rules.compiling import compiled
from vigie_contracts.alerts import AlertState, Condition, Rule, Transition
from vigie_contracts.series import Kind, series_key
from vigie_contracts.tenants import TenantId
from vigie_query.series import Series
from vigie_runtime.bus.compacted import CompactedLog
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.metrics import MetricSet
from vigie_storage.alerts.states import AlertMoved, Move, StoredAlert

from tests.kit import eventually

TENANT = TenantId("acme")
DEADLINE_S = 5.0
OVER = ("resolved", "inactive")


def rule(rule_id: str = "r1", metric: str = "cpu", **more: Any) -> Rule:
    fields = {"metric_name": metric, "condition": Condition.GREATER, "threshold": 80.0, **more}
    return Rule(id=rule_id, tenant=TENANT, name="cpu_high", **fields)


class Record:
    """What a handler reads of a Kafka record."""

    def __init__(self, key: bytes, value: bytes | None, offset: int) -> None:
        self.key, self.value, self.offset = key, value, offset


class Jumping(SystemClock):
    """The system's clock, that a test can set; `asked` counts how often it was looked at."""

    ahead_ms = 0
    asked = 0

    def monotonic(self) -> float:
        self.asked += 1
        return super().monotonic()

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


class Store:
    """States, ledger and checkpoints, as MongoDB keeps them; `away` when nobody answers."""

    def __init__(self) -> None:
        self.alerts: dict[str, StoredAlert] = {}
        self.told: list[Transition] = []
        self.checkpoint: int | None = None
        self.away = False
        self.answers = asyncio.Event()
        """Cleared: nobody answers, and nobody says so."""
        self.answers.set()
        self.before_write: Callable[[], None] = lambda: None

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable

    async def dispatch(
        self, transitions: Sequence[Transition], also: Callable[[Any], Awaitable[object]] | None = None
    ) -> None:
        await self.answers.wait()
        self._answer()
        if len(transitions) > MAX_TRANSITIONS:
            raise ValueError("too many")
        if also is not None:
            await also(None)
        known = {one.id for one in self.told}
        self.told += [one for one in transitions if one.id not in known]

    async def last(self, _tenant: TenantId, fingerprint: str) -> Transition | None:
        return next((one for one in reversed(self.told) if one.fingerprint == fingerprint), None)

    async def write(self, moves: Sequence[Move], _session: Any = None) -> None:
        self._answer()
        self.before_write()
        after = dict(self.alerts)
        for move in moves:
            name = (move.before or move.after).fingerprint  # type: ignore[union-attr]
            there = after.get(name)
            if move.before is None:
                if there is not None and there.state not in OVER:
                    raise AlertMoved
            elif there is None or (there.starts_at, there.sequence) != (move.before.starts_at, move.before.sequence):
                raise AlertMoved
            if move.after is None:
                del after[name]
            else:
                after[name] = move.after
        self.alerts = after

    async def of_rules(self, rules: Iterable[str], _since_ms: int) -> list[StoredAlert]:
        self._answer()
        wanted = set(rules)
        return [one for one in self.alerts.values() if one.rule_id in wanted]

    async def some(self, fingerprints: Sequence[str]) -> list[StoredAlert]:
        self._answer()
        return [self.alerts[one] for one in fingerprints if one in self.alerts]

    async def of(self, _partition: int) -> int | None:
        self._answer()
        return self.checkpoint

    async def keep(self, evaluated_ms: dict[int, int]) -> None:
        self._answer()
        self.checkpoint = max([self.checkpoint or 0, *evaluated_ms.values()])

    def move(self, after: alerts.Alert) -> None:
        """Somebody else does."""
        self.alerts[after.fingerprint] = stored(after, compiled(rule()))

    def states(self) -> list[AlertState]:
        return [one.to_state for one in self.told]


class Opening:
    """Watches with what was sent as their past; those of `refused` names cannot be opened."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.refused: set[str] = set()
        self.series: list[Series] = []
        """Of the catalogue."""
        self.past: list[tuple[int, int, float]] = []
        """Fingerprint, time and value."""

    async def begin(self) -> None: ...

    async def stored_to(self, _reached: object) -> bool:
        return True

    async def open(
        self, watches: Sequence[Watch], opened: Callable[[Sequence[Watch]], Awaitable[None]]
    ) -> dict[int, str]:
        failed = {one.number: "too many" for one in watches if self.refused & (one.selecting.names or set())}
        for one in watches:
            if one.number not in failed:
                self._open(one)
        await opened([one for one in watches if one.number not in failed])
        return failed

    def _open(self, watch: Watch) -> None:
        memory, names = self.engine.memory, watch.selecting.names
        mine = [one for one in self.series if names is None or one.name in names]
        new = memory.hold([watch], [part for one in mine for part in selected(watch, one)]).get(watch.depth)
        fingerprints = np.array([one for one, _, _ in self.past], np.uint64)
        homes = memory.find(fingerprints)[0]
        times, values = np.array([at for _, at, _ in self.past]), np.array([value for *_, value in self.past])
        is_new = np.isin(homes, [] if new is None else new)
        memory.add_to(watch.depth, homes[is_new], times[is_new], values[is_new])
        memory.open(watch)


class Desk:
    """A process with an engine."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock = store, Jumping()
        self.engine, self.lock = Engine(), asyncio.Lock()
        metrics = EngineMetrics(MetricSet(ENGINE_METRICS))
        self.samples = SamplesHandler(self.engine, self.lock, self._nothing, clock=self.clock, metrics=metrics)
        self.rules, self.opening = CompactedLog(Rule), Opening(self.engine)
        self.samples_are_read = True
        self.offset = 0
        store_: Any = store
        stores = Stores(store_, store_, store_)
        self.storing = storing = Storing(self.engine, self.lock, stores, clock=self.clock, metrics=metrics)
        self.roster = Roster(self.engine, self.lock, self.rules, storing, stores=stores, clock=self.clock)
        opener: Any = self.opening
        reader: Any = None
        self.runner = Runner(
            self.engine, self.lock, self.rules, self.samples, opener, roster=self.roster, storing=storing,
            rules_are_read=lambda: True, samples_are_read=lambda: self.samples_are_read, reader=reader,
            clock=self.clock, metrics=metrics,
        )  # fmt: skip

    async def _nothing(self, _fingerprints: Any) -> list[Any]:
        return []

    async def put(self, *rules: Rule | str) -> None:
        """On the log of rules; an id for a tombstone."""
        records = []
        for one in rules:
            self.offset += 1
            gone = isinstance(one, str)
            key, value = (one, None) if gone else (one.id, msgspec.json.encode(one))
            records.append(Record(key.encode(), value, self.offset))
        await self.rules.records(0, records)

    async def seen(self, *rule_ids: str) -> None:
        def seen() -> bool:
            return all(one in self.engine.rules and self.engine.sees(self.engine.rules[one]) for one in rule_ids)

        await eventually(seen, DEADLINE_S)

    async def send(self, value: float, name: str = "cpu", **labels: str) -> None:
        await self.send_all([value], [labels], name)

    async def send_all(self, values: list[float], labels: list[dict[str, str]], name: str = "cpu") -> None:
        async with self.lock:
            memory = self.engine.memory
            keys = [series_key(TENANT, name, Kind.GAUGE, one) for one in labels]
            fingerprints = np.array([one.fingerprint for one in keys], np.uint64)
            memory.advance(self.clock.now_ms())
            new = set(memory.find(fingerprints)[1].tolist())
            series = [Series(k.fingerprint, name, Kind.GAUGE, k.labels, 0, 0, 0) for k in keys if k.fingerprint in new]
            self.opening.series += series
            memory.learn([(TENANT, one) for one in series], np.empty(0, np.uint64))
            homes, known = memory.find(fingerprints)[0], memory.find(fingerprints)[0] >= 0
            times = np.full(len(values), self.clock.now_ms())
            self.opening.past += zip(fingerprints.tolist(), times.tolist(), values, strict=True)
            self.engine.take(homes[known], times[known], np.array(values)[known])
        self.samples.arrived.set()

    async def turns(self) -> None:
        """Let the runner go round some times."""
        until = self.clock.asked + 20
        await eventually(lambda: self.clock.asked > until, DEADLINE_S)

    async def told(self, *states: AlertState) -> list[Transition]:
        """Wait until the transitions are these."""

        def same() -> bool:
            assert self.store.states() == list(states)
            return True

        await eventually(same, DEADLINE_S)
        return self.store.told


@asynccontextmanager
async def desk(store: Store | None = None, *rules: Rule) -> AsyncIterator[Desk]:
    made = Desk(store or Store())
    await made.rules.assigned(0)
    await made.put(*rules)
    task = asyncio.create_task(made.runner.run())
    try:
        yield made
    finally:
        made.runner.stop()
        await asyncio.wait_for(task, DEADLINE_S)
