"""The engine over the real logs: exact windows from a snapshot and the log, restarts, and what happened meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2 as httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from msgspec.structs import replace
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.engine import start as engine
from vigie_alerting.engine.metrics import ENGINE_METRICS
from vigie_alerting.notifying.pipeline import Stores
from vigie_alerting.settings import AlertingSettings
from vigie_contracts.alerts import AlertState, Condition, Rule, RuleKind, Transition
from vigie_contracts.tenants import TenantId
from vigie_contracts.topics import RULES, SAMPLES
from vigie_publishing.metrics import PUBLISHING_METRICS
from vigie_publishing.publishing import publishing
from vigie_query.promql.parsing import parse
from vigie_query.promql.queries import Query, answer
from vigie_query.promql.samples import Samples
from vigie_runtime import clients
from vigie_runtime.bus import topics
from vigie_runtime.clock import Clock, SystemClock
from vigie_runtime.expressions import Expressions
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage import topics as recorded_topics
from vigie_storage.alerts.decisions import Decisions
from vigie_storage.alerts.groups import GroupStore
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.alerts.states import AlertStates
from vigie_storage.latest import LatestReader
from vigie_storage.promql.reader import PromqlReader
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.writer import SeriesWriter
from vigie_storage.windows.reader import WindowReader

from services.alerting.tests.pipelines import pipeline
from tests.integration.world import DEADLINE_S, World
from tests.kit import eventually, unique
from tests.kit.kafka_login import aiokafka_login, variables

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]


@dataclass
class Engines:
    """Engines on a world's servers, with rules of their own."""

    world: World
    settings: AlertingSettings
    topics: dict[str, Any] = field(default_factory=dict[str, Any])
    clock: Clock = field(default_factory=SystemClock)
    reader: PromqlReader = field(init=False)
    """Of the stored windows, as long as engines run."""

    @property
    def tenant(self) -> TenantId:
        return TenantId(self.world.services.tenant)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[engine.RunningEngine]:
        settings, clock = self.settings, self.clock
        database = clients.database(clients.mongo(settings), settings)
        async with Lifespan(shutdown_timeout_s=20) as life:
            life.on_down("mongodb", database.client.close)
            redis = clients.redis(settings)
            life.on_down("redis", redis.aclose)
            identities = await recorded_topics.ensure(settings, topics.deployed(settings, (SAMPLES, RULES)), database)
            states, ledger = AlertStates(database), Ledger(database)
            kept = Stores(ledger, GroupStore(database, clock), Decisions(database))
            await states.prepare()
            await ledger.prepare(timedelta(days=90))
            await kept.groups.prepare()
            await kept.decisions.prepare(timedelta(days=90))
            catalogue = SeriesCatalogue(database)
            windows = WindowReader(database, clock, settings.samples_topic)
            series = SeriesReader(catalogue, windows, clock, Limits(10_000, 10_000, 1_000))
            metrics = MetricSet([*ENGINE_METRICS, *PUBLISHING_METRICS])
            recordings = await publishing(
                life, settings, database, SeriesWriter(database, settings.partitions), service="alerting", clock=clock,
                metrics=metrics,
            )  # fmt: skip
            self.reader = PromqlReader(series, windows, LatestReader(database, redis, clock), clock, Expressions())
            yield await engine.start(
                life, settings, database, states=states,
                dispatcher=Dispatcher(ledger, pipeline(kept), lambda: None, clock),
                reader=self.reader, publish=recordings.named.publish, identities=identities, clock=clock,
                metrics=metrics,
            )  # fmt: skip

    async def put(self, rule: Rule | None, rule_id: str = "") -> None:
        """On the topic of the rules; None: the rule is gone."""
        async with AIOKafkaProducer(bootstrap_servers=self.world.addresses.kafka, **aiokafka_login()) as producer:
            value = None if rule is None else msgspec.json.encode(rule)
            key = (rule_id if rule is None else rule.id).encode()
            await producer.send_and_wait(self.settings.rules_topic, value, key)

    async def send(self, name: str, value: float, type_: str = "gauge", ago_s: int = 0, **labels: str) -> None:
        """Accepted by the gateway when it returns."""
        url, at_ms = self.world.services.gateway_urls[0], int((time.time() - ago_s) * 1000)
        body = {"name": name, "value": value, "type": type_, "labels": labels, "timestamp": at_ms}
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{url}/api/metrics/custom", json=body)
        assert answer.status_code < 300, answer.text

    async def transitions(self, rule: Rule) -> list[Transition]:
        found = self.world.database.alert_transitions.find({"tenant": self.tenant}).sort("at", 1)
        made = [msgspec.json.decode(one["data"], type=Transition) async for one in found]
        return sorted((one for one in made if one.rule_id == rule.id), key=lambda one: (one.timestamp, one.sequence))

    async def states(self, rule: Rule, *wanted: AlertState) -> list[Transition]:
        """Wait until the rule's transitions are these."""

        async def same() -> list[Transition]:
            made = await self.transitions(rule)
            assert [one.to_state for one in made] == list(wanted)
            return made

        return await eventually(same, DEADLINE_S, retry_on=(AssertionError,))

    async def recorded(self, name: str) -> tuple[int, int, int]:
        """How many samples are counted, and the times of the first and the last one."""
        now_ms = int(time.time() * 1000)
        text = f"{name}[5m]"
        found = await answer(self.reader.of(self.tenant), Query(text, parse(text), now_ms, now_ms))
        assert isinstance(found.value, Samples)
        assert len(found.value.times)
        counts, first_ms = found.value.column("count"), found.value.column("first_ms")
        return int(counts.sum()), int(first_ms.min()), int(found.value.times.max())

    def rule(self, expression: str, **more: Any) -> Rule:
        return Rule(
            id=unique("rule"), tenant=self.tenant, name="rule", kind=RuleKind.EXPRESSION, expression=expression, **more
        )


@pytest.fixture
async def engines(rough: World, monkeypatch: pytest.MonkeyPatch) -> Engines:
    await asyncio.to_thread(rough.services.start, gateways=1, aggregators=1)
    for name, value in variables().items():
        monkeypatch.setenv(name, value)
    settings = AlertingSettings(
        kafka_bootstrap_servers=rough.addresses.kafka,
        mongodb_uri=rough.addresses.mongodb,
        redis_url=rough.addresses.redis,
        mongodb_database=rough.database.name,
        rules_topic=unique("rules"),
        alerting_group=unique("alerting"),
    )
    return Engines(rough, settings)


async def test_a_sample_fires_and_another_resolves(engines: Engines) -> None:
    name = unique("cpu").replace("-", "_")
    rule = Rule(
        id=unique("rule"), tenant=engines.tenant, name="cpu_high", metric_name=name, condition=Condition.GREATER,
        threshold=80.0,
    )  # fmt: skip
    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        await engines.put(rule)
        await engines.send(name, 95, host="a")
        (fired,) = await engines.states(rule, AlertState.FIRING)
        assert fired.labels["host"] == "a"
        await engines.send(name, 12, host="a")
        await engines.states(rule, AlertState.FIRING, AlertState.RESOLVED)


async def test_increments_before_and_after_a_rule_are_each_counted_once(engines: Engines) -> None:
    name = unique("errors").replace("-", "_")
    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        for _ in range(5):
            await engines.send(name, 1, "counter", service="booking")
        rule = engines.rule(f"sum(increase({name}[5m])) == 8")
        await engines.put(rule)
        for _ in range(2):
            await engines.send(name, 1, "counter", service="booking")
        await engines.send(name, 1, "counter", service="payment")
        (fired,) = await engines.states(rule, AlertState.FIRING)
        assert fired.value == 8


async def test_a_restart_goes_on_where_it_was(engines: Engines) -> None:
    name = unique("errors").replace("-", "_")
    rule = engines.rule(f"sum(increase({name}[5m])) > 2")
    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        await engines.put(rule)
        for _ in range(2):
            await engines.send(name, 1, "counter")
        await eventually(lambda: rule.id in running.engine.rules, DEADLINE_S)
    async with engines.running():
        await engines.send(name, 1, "counter")
        (fired,) = await engines.states(rule, AlertState.FIRING)
        assert fired.value == 3
    async with engines.running() as running:
        await eventually(lambda: running.ready and len(running.engine.rules) == 1, DEADLINE_S)
        assert [len(one.alerts) for one in running.engine.rules.values()] == [1]
        await engines.put(None, rule.id)
        await engines.states(rule, AlertState.FIRING, AlertState.RESOLVED)


async def test_an_episode_that_begins_and_ends_while_nobody_runs_is_told(engines: Engines) -> None:
    name = unique("cpu").replace("-", "_")
    rule = engines.rule(f"{name} > 80", interval_ms=1_000)
    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        await engines.put(rule)
        await eventually(lambda: any(one.evaluated_ms for one in running.engine.rules.values()), DEADLINE_S)
    for value, ago_s in ((1, 110), (95, 70), (1, 30)):
        await engines.send(name, value, ago_s=ago_s)
    stopped = datetime.now(UTC) - timedelta(seconds=100)
    own = {"_id": {"$regex": f"^{engines.settings.rules_topic}/"}}
    await engines.world.database.alert_checkpoints.update_many(own, {"$set": {"evaluated": stopped}})
    async with engines.running():
        fired, resolved = await engines.states(rule, AlertState.FIRING, AlertState.RESOLVED)
        assert 20_000 < resolved.timestamp - fired.timestamp < 60_000


async def test_without_an_aggregator_rules_fire_all_the_same(engines: Engines) -> None:
    name = unique("cpu").replace("-", "_")
    await engines.send(name, 1)
    rule = engines.rule(f"{name} > 80")
    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        await engines.put(rule)
        await eventually(lambda: running.engine.rules and running.engine.closed() == [], DEADLINE_S)
        await asyncio.to_thread(engines.world.services.aggregators[0].kill)
        await engines.send(name, 95)
        await engines.states(rule, AlertState.FIRING)


async def test_a_rule_that_comes_while_no_aggregator_is_up_has_no_gap(engines: Engines) -> None:
    name = unique("errors").replace("-", "_")
    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        await engines.send(name, 1, "counter", service="booking")
        await asyncio.to_thread(engines.world.services.aggregators[0].kill)
        for service in ("booking", "booking", "payment"):
            await engines.send(name, 1, "counter", service=service)
        rule = engines.rule(f"sum(increase({name}[5m])) == 5")
        await engines.put(rule)
        await eventually(lambda: running.engine.rules and running.engine.closed() == [], DEADLINE_S)
        await engines.send(name, 1, "counter", service="payment")
        (fired,) = await engines.states(rule, AlertState.FIRING)
        assert fired.value == 5


async def test_after_a_crash_a_process_with_a_name_has_its_rules_back_at_once(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def say_nothing(*_: object) -> None:
        """As a process that was killed."""

    monkeypatch.setattr(GroupCoordinator, "_maybe_leave_group", say_nothing)
    session = {"alerting_instance": "the-only-one", "kafka_session_timeout_ms": 2 * int(DEADLINE_S * 1000)}
    engines.settings = engines.settings.model_copy(update=session)
    rule = engines.rule(f"{unique('cpu').replace('-', '_')} > 80")
    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        await engines.put(rule)
        await eventually(lambda: rule.id in running.engine.rules, DEADLINE_S)
    async with engines.running() as running:
        await eventually(lambda: rule.id in running.engine.rules, DEADLINE_S)


async def test_a_restart_without_an_aggregator_resolves_nothing(engines: Engines) -> None:
    name = unique("cpu").replace("-", "_")
    rule = engines.rule(f"{name} > 80")
    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        await engines.send(name, 1)
        await engines.put(rule)
        await eventually(lambda: running.engine.rules and running.engine.closed() == [], DEADLINE_S)
        await asyncio.to_thread(engines.world.services.aggregators[0].kill)
        await engines.send(name, 95)
        await engines.states(rule, AlertState.FIRING)
    async with engines.running() as running:
        await eventually(lambda: running.ready and len(running.engine.rules) == 1, DEADLINE_S)
        await asyncio.sleep(2)
        await engines.states(rule, AlertState.FIRING)
        await engines.send(name, 12)
        await engines.states(rule, AlertState.FIRING, AlertState.RESOLVED)


async def test_a_rule_that_is_removed_while_nobody_runs_ends_its_alerts(engines: Engines) -> None:
    name = unique("cpu").replace("-", "_")
    rule = engines.rule(f"{name} > 80")
    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        await engines.put(rule)
        await engines.send(name, 95)
        await engines.states(rule, AlertState.FIRING)
    await engines.put(None, rule.id)
    async with engines.running():
        await engines.states(rule, AlertState.FIRING, AlertState.RESOLVED)


async def test_each_time_of_a_recording_rule_is_written_once_over_restarts(engines: Engines) -> None:
    name = unique("cpu").replace("-", "_")
    record = f"{name}:max"
    rule = replace(
        engines.rule(f"max({name})", interval_ms=1_000, labels={"team": "a"}), kind=RuleKind.RECORDING, record=record,
        updated_at=int(time.time() * 1000),
    )  # fmt: skip
    alert = engines.rule(f'{record}{{team="a"}} > 80')

    async def gapless(until_ms: int) -> int:
        count, first_ms, last_ms = await engines.recorded(record)
        assert last_ms >= until_ms
        assert first_ms % 1_000 == last_ms % 1_000 == 0
        assert count == (last_ms - first_ms) // 1_000 + 1
        return last_ms

    async with engines.running() as running:
        await eventually(lambda: running.ready, DEADLINE_S)
        await engines.put(rule)
        await engines.put(alert)
        await engines.send(name, 95, host="a")
        await engines.send(name, 5, host="b")
        (fired,) = await engines.states(alert, AlertState.FIRING)
        assert fired.value == 95
        last_ms = await eventually(lambda: gapless(0), DEADLINE_S, retry_on=(AssertionError,))
    await asyncio.sleep(3)  # nobody evaluates
    async with engines.running():
        await eventually(lambda: gapless(last_ms + 5_000), DEADLINE_S, retry_on=(AssertionError,))
