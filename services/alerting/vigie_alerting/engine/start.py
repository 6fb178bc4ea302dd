"""What the engine is made of, and the order in which it comes up and goes down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from vigie_contracts.alerts import Rule
from vigie_runtime import clients, logging
from vigie_runtime.bus import topics
from vigie_runtime.bus.compacted import CompactedLog
from vigie_runtime.bus.log_reader import LogReader
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Retryable, reason_of
from vigie_runtime.expressions import Expressions
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage.alerts.checkpoints import Checkpoints
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.alerts.states import AlertStates
from vigie_storage.mongo import Session
from vigie_storage.partitions.checkpoint import Log
from vigie_storage.partitions.owners import Owners
from vigie_storage.promql.reader import PromqlReader
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.windows.snapshot import Snapshots

from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.engine.between import Between
from vigie_alerting.engine.choosing import Chooser
from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.metrics import EngineMetrics
from vigie_alerting.engine.opening import Opener
from vigie_alerting.engine.request_keys import FROM_BEFORE
from vigie_alerting.engine.roster import Roster
from vigie_alerting.engine.runner import Runner
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.engine.storing import Stores, Storing
from vigie_alerting.recording.history import History
from vigie_alerting.recording.recorder import Publish, Recorder
from vigie_alerting.settings import AlertingSettings

log = logging.get(__name__)

SERVICE: Final = "alerting"
MAX_SERIES: Final = 100_000
"""Series that one selector of a rule may have."""


class RunningEngine:
    """The engine's tasks."""

    def __init__(
        self, runner: Runner, engine: Engine, recorder: Recorder, *, rules: LogReader, samples: LogReader
    ) -> None:
        self.runner, self.engine, self.recorder = runner, engine, recorder
        self._rules, self._samples = rules, samples

    @property
    def ready(self) -> bool:
        """Whether rules are evaluated on what comes."""
        return self._rules.ready and self._samples.ready and self.runner.prepared


async def start(
    life: Lifespan,
    settings: AlertingSettings,
    database: Database,
    *,
    states: AlertStates,
    dispatcher: Dispatcher,
    reader: PromqlReader,
    publish: Publish,
    identities: Mapping[str, TopicIdentity],
    clock: Clock,
    metrics: MetricSet,
    sessions: Sequence[Session] = (),
    owning: Callable[[], None] = lambda: None,
) -> RunningEngine:
    """Up: rules, their past, then the samples from there on. `publish` takes what recording rules give, `identities`
    are those of the topics, by name as deployed; `metrics` declares ENGINE_METRICS. `sessions`: others of
    this process in which alerts are stored; who takes its rules over ends what they left open. `owning` is called when
    this process has taken over the first of its rules."""
    measured = EngineMetrics(metrics)
    engine, lock = Engine(), asyncio.Lock()
    samples_topic, rules_topic = identities[settings.samples_topic], identities[settings.rules_topic]
    catalogue = SeriesCatalogue(database)
    samples = SamplesHandler(engine, lock, catalogue.by_fingerprint, clock=clock, metrics=measured)
    rules = CompactedLog(Rule)

    def consumer() -> clients.AIOKafkaConsumer:
        return clients.kafka_consumer(settings, client_id=f"vigie-{SERVICE}-between")

    snapshots = Snapshots(database, clock, samples_topic.topic)
    selectors = SelectorReader(catalogue, Expressions(), clock, MAX_SERIES)
    opener = Opener(
        engine, lock, samples, log_=Log(samples_topic.cluster_id, samples_topic.topic_id),
        snapshots=snapshots,
        chooser=Chooser(catalogue, selectors, MAX_SERIES), between=Between(consumer, samples_topic.topic), clock=clock,
        metrics=measured,
    )  # fmt: skip

    def log_reader(topic: TopicIdentity, handler: CompactedLog[Rule] | SamplesHandler, group: str | None) -> LogReader:
        return LogReader(
            lambda: clients.kafka_consumer(
                settings,
                client_id=f"vigie-{SERVICE}-{topic.topic}",
                group_id=group,
                instance_id=None if group is None else settings.alerting_instance,
            ),
            topic,
            handler,
            mode="assign" if group is None else "group",
            tick_s=0.5,
            identify=partial(topics.identify, clients.kafka_admin(settings), topic.topic),
        )

    rules_reader = log_reader(rules_topic, rules, settings.alerting_group)
    samples_reader = log_reader(samples_topic, samples, None)
    # One session for all that the engine stores: who takes its rules over ends what it left open when it was killed.
    session = database.client.start_session()
    life.on_down("the engine's session", session.end_session)
    owners = Owners(database, rules_topic.topic, clock)

    async def take_over(partition: int) -> None:
        await owners.take_over(partition, session, sessions)
        owning()

    stores = Stores(
        states, dispatcher.through(Ledger(database, session)), Checkpoints(database, rules_topic.topic, take_over)
    )
    storing = Storing(engine, lock, stores, clock=clock, metrics=measured)
    roster = Roster(engine, lock, rules, storing, stores=stores, clock=clock)
    recorder = Recorder(
        engine, publish, History(reader, lambda: opener.stored_to(dict(samples.positions))),
        Checkpoints(database, f"{rules_topic.topic}/recorded"), roster.partition_of, clock=clock, metrics=metrics,
    )  # fmt: skip
    runner = Runner(
        engine, lock, rules, samples, opener, roster=roster, storing=storing,
        rules_are_read=lambda: rules_reader.caught_up, samples_are_read=lambda: samples_reader.caught_up,
        reader=reader, clock=clock, metrics=measured, evaluated=recorder.wake,
    )  # fmt: skip

    async def read_samples() -> None:
        """From where the windows of the first rules end: so their past must be loaded first."""
        try:
            samples.keys.remember(await snapshots.request_keys(FROM_BEFORE))
        except Retryable as e:
            log.warning("a request of before the start that is repeated counts again", reason=reason_of(e))
        await runner.opened.wait()
        await samples_reader.run()

    def stop_samples() -> None:
        samples_reader.stop()
        runner.opened.set()

    life.run("rules", rules_reader.run(), rules_reader.stop)
    life.run("recording", recorder.run(), recorder.stop)
    life.run("engine", runner.run(), runner.stop)
    life.run("samples", read_samples(), stop_samples)
    return RunningEngine(runner, engine, recorder, rules=rules_reader, samples=samples_reader)
