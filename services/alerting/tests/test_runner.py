"""The engine at work on stores in memory: nothing is lost or told twice, whatever happens between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
import pytest
from vigie_alerting import alert as alerts
from vigie_alerting.commands import acknowledge
from vigie_alerting.dispatch import MAX_TRANSITIONS
from vigie_alerting.engine import runner as running
from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.memory import Watch
from vigie_alerting.engine.metrics import ENGINE_METRICS, EngineMetrics
from vigie_alerting.engine.rules_handler import RulesHandler
from vigie_alerting.engine.runner import ClockWentBackError, Runner
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.lifecycle import step
from vigie_alerting.rules.compiling import compiled
from vigie_contracts.alerts import AlertState, Condition, Rule, RuleKind, Transition
from vigie_contracts.series import Kind, series_key
from vigie_contracts.tenants import TenantId
from vigie_query.series import Series
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
    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


class Store:
    """States, ledger and checkpoints, as MongoDB keeps them; `away` when nobody answers."""

    def __init__(self) -> None:
        self.alerts: dict[str, StoredAlert] = {}
        self.told: list[Transition] = []
        self.checkpoint: int | None = None
        self.away = False
        self.before_write: Callable[[], None] = lambda: None

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable

    async def dispatch(
        self, transitions: Sequence[Transition], also: Callable[[Any], Awaitable[object]] | None = None
    ) -> None:
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
            stored = after.get(name)
            if move.before is None:
                if stored is not None and stored.state not in OVER:
                    raise AlertMoved
            elif stored is None or (stored.starts_at, stored.sequence) != (move.before.starts_at, move.before.sequence):
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
        self.alerts[after.fingerprint] = running._stored(compiled(rule()), after)  # pyright: ignore[reportPrivateUsage]

    def states(self) -> list[AlertState]:
        return [one.to_state for one in self.told]


class Opening:
    """Watches without a past; those of `refused` names cannot be opened."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.refused: set[str] = set()
        self.series: list[Series] = []
        """Of the catalogue."""

    async def begin(self) -> None: ...

    async def stored_to(self, _reached: object) -> bool:
        return True

    async def open(self, watches: Sequence[Watch]) -> dict[int, str]:
        failed = {one.number: "too many" for one in watches if self.refused & (one.selecting.names or set())}
        for one in watches:
            if one.number not in failed:
                self.engine.memory.open(one, self.series)
        return failed


class Desk:
    """A process with an engine."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock = store, Jumping()
        self.engine, self.lock = Engine(), asyncio.Lock()
        metrics = EngineMetrics(MetricSet(ENGINE_METRICS))
        self.samples = SamplesHandler(self.engine, self.lock, self._nothing, clock=self.clock, metrics=metrics)
        self.rules, self.opening = RulesHandler(), Opening(self.engine)
        self.samples_are_read = True
        self.offset = 0
        doubles: dict[str, Any] = {"states": store, "dispatcher": store, "checkpoints": store, "reader": None}
        self.runner = Runner(
            self.engine, self.lock, self.rules, self.samples, self.opening,  # type: ignore[arg-type]
            rules_are_read=lambda: True, samples_are_read=lambda: self.samples_are_read, clock=self.clock,
            metrics=metrics, **doubles,
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
            self.engine.take(homes[known], times[known], np.array(values)[known])
        self.samples.arrived.set()

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


def firing(made: Rule, **labels: str) -> tuple[alerts.Alert, list[Transition]]:
    own = compiled(made)
    after, told = step(None, own.observe(tuple(sorted(labels.items())), 95.0), own, SystemClock().now_ms() - 20_000)
    assert after is not None
    return after, told


F, R = AlertState.FIRING, AlertState.RESOLVED


async def test_more_alerts_at_once_than_a_transaction_holds_are_all_told() -> None:
    many = MAX_TRANSITIONS + 200
    async with desk(None, rule(limit=5_000)) as one:
        await one.seen("r1")
        await one.send_all([95.0] * many, [{"host": f"h{i}"} for i in range(many)])
        await eventually(lambda: len(one.store.told) == many, DEADLINE_S)


async def test_what_happens_while_the_store_is_away_is_told_in_its_order() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        one.store.away = True
        for value, state in ((95, F), (10, R), (95, F)):
            await one.send(value)
            active = one.engine.rules["r1"]
            await eventually(
                lambda: [alert.state for alert in active.alerts.values()] == [state],  # noqa: B023
                DEADLINE_S,
            )
        assert one.store.told == []
        one.store.away = False
        assert [made.sequence for made in await one.told(F, R, F)] == [1, 2, 3]


async def test_rules_that_are_read_anew_are_not_taken_for_removed_ones() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        await one.send(95)
        await one.told(F)
        await one.rules.assigned(0)
        await eventually(lambda: not one.engine.rules, DEADLINE_S)
        await one.put(rule())
        await one.seen("r1")
        await one.send(96)
        await asyncio.sleep(0.2)
        await one.told(F)
        assert len(one.engine.rules["r1"].alerts) == 1


@pytest.mark.parametrize("switched_off", [True, False])
async def test_a_rule_that_ended_while_nobody_had_it_ends_its_alerts(switched_off: bool) -> None:
    store = Store()
    alert, told = firing(rule(), host="a")
    store.move(alert)
    store.told += told
    async with desk(store) as one:
        await one.put(rule(enabled=False) if switched_off else "r1")
        _, last = await one.told(F, R)
    assert (last.reason, last.sequence, last.labels) == ("rule_removed", 2, told[0].labels)
    assert store.alerts[alert.fingerprint].state == "resolved", "and is shown for some days"


async def test_a_rule_that_is_removed_while_somebody_acknowledges_ends_its_alert() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        await one.send(95)
        await one.told(F)

        def first() -> None:
            one.store.before_write = lambda: None
            (alert,) = one.engine.rules["r1"].alerts.values()
            after, _ = acknowledge(alert, compiled(rule()), "ann", one.clock.now_ms())
            assert after is not None
            one.store.move(after)

        one.store.before_write = first
        await one.put("r1")
        _, last = await one.told(F, R)
        assert last.sequence == 3


async def test_an_acknowledgement_is_known_to_the_engine_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "KEEP_S", 0.1)
    async with desk(None, rule()) as one:
        await one.seen("r1")
        await one.send(95)
        await one.told(F)
        (alert,) = one.engine.rules["r1"].alerts.values()
        after, _ = acknowledge(alert, compiled(rule()), "ann", one.clock.now_ms(), until=one.clock.now_ms() + 1_000)
        assert after is not None
        one.store.move(after)
        await one.send(96)
        _, last = await one.told(F, F)
        assert last.reason == "acknowledgement_expired"


async def test_alerts_that_are_over_do_not_fill_the_limit() -> None:
    async with desk(None, rule(limit=2)) as one:
        await one.seen("r1")
        for host in "abc":
            await one.send(95, host=host)
            await eventually(lambda: one.store.states()[-1:] == [F], DEADLINE_S)
            await one.send(10, host=host)
            await eventually(lambda: one.store.states()[-1:] == [R], DEADLINE_S)
        await one.told(F, R, F, R, F, R)


async def test_a_resolved_alert_stays_stored_when_the_engine_forgets_it() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        for value, states in ((95, (F,)), (10, (F, R))):
            await one.send(value, host="a")
            await one.told(*states)
        one.clock.ahead_ms = 6 * 60_000
        await one.send_all([95.0], [{"host": "b"}])
        await one.told(F, R, F)
        assert sorted(alert.state for alert in one.store.alerts.values()) == ["firing", "resolved"]


async def test_a_recording_rule_fires_nothing() -> None:
    recording = Rule(id="r2", tenant=TENANT, name="x", kind=RuleKind.RECORDING, record="y", expression="cpu")
    async with desk(None, rule(), recording) as one:
        await one.seen("r1")
        await one.send(95)
        assert [made.rule_id for made in await one.told(F)] == ["r1"]


async def test_a_rule_that_cannot_be_opened_is_refused_and_the_others_go_on() -> None:
    async with desk() as one:
        one.opening.refused = {"all"}
        await one.put(rule(), rule("r2", "all"))
        await one.seen("r1")
        await eventually(lambda: one.runner.refused == {"r2": "too many"}, DEADLINE_S)
        await one.send(95)
        await one.told(F)


async def test_rules_are_evaluated_while_the_past_of_others_is_read() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        never = asyncio.Event()

        async def hang(_: object) -> dict[int, str]:
            await never.wait()
            return {}

        one.opening.open = hang  # type: ignore[method-assign]
        await one.put(rule("r2", "mem"))
        await eventually(lambda: "r2" in one.engine.rules, DEADLINE_S)
        await one.send(95)
        await one.told(F)


async def test_nothing_is_evaluated_before_the_log_is_read() -> None:
    store = Store()
    alert, told = firing(rule(), host="a")
    store.move(alert)
    store.told += told
    made = Desk(store)
    made.samples_are_read = False
    await made.rules.assigned(0)
    await made.put(rule())
    task = asyncio.create_task(made.runner.run())
    await eventually(made.runner.opened.is_set, DEADLINE_S)
    await asyncio.sleep(0.3)
    assert store.states() == [F], "that no value is in memory yet means nothing"
    await made.send(96, host="a")
    made.samples_are_read = True
    await eventually(lambda: made.runner.live, DEADLINE_S)
    await asyncio.sleep(0.2)
    assert store.states() == [F]
    made.runner.stop()
    await asyncio.wait_for(task, DEADLINE_S)


async def test_a_stop_while_the_past_is_read_is_soon() -> None:
    made = Desk(Store())
    made.samples_are_read = False
    await made.rules.assigned(0)
    task = asyncio.create_task(made.runner.run())
    await eventually(made.runner.opened.is_set, DEADLINE_S)
    made.runner.stop()
    await asyncio.wait_for(task, 1.0)


async def test_a_clock_that_goes_back_far_ends_the_process() -> None:
    made = Desk(Store())
    made.clock.ahead_ms = 3_600_000
    await made.rules.assigned(0)
    task = asyncio.create_task(made.runner.run())
    await eventually(lambda: made.runner.live, DEADLINE_S)
    await asyncio.sleep(0.7)
    made.clock.ahead_ms = 0
    with pytest.raises(ClockWentBackError):
        await asyncio.wait_for(task, DEADLINE_S)
