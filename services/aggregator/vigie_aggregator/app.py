"""The composition root: what the aggregator is made of, and the order in which it comes up and goes down."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

from vigie_contracts import topics as bus
from vigie_runtime import clients, tasks, tracing
from vigie_runtime.bus import topics
from vigie_runtime.bus.dead_letters import DeadLetters
from vigie_runtime.bus.log_reader import LogReader
from vigie_runtime.bus.poison_skipping import PoisonSkippingConsumer
from vigie_runtime.clock import SystemClock
from vigie_runtime.lifespan import Lifespan
from vigie_storage import topics as recorded_topics
from vigie_storage.catalogue import Catalogue
from vigie_storage.checkpoints import Log
from vigie_web import health

from vigie_aggregator.metrics import Metrics
from vigie_aggregator.reports.storing import ReportStore
from vigie_aggregator.reports.subscriber import ReportsSubscriber
from vigie_aggregator.samples.handler import Limits, SamplesHandler
from vigie_aggregator.samples.repository import Repository
from vigie_aggregator.samples.schedule import Intervals
from vigie_aggregator.samples.view import RedisView, Snapshot
from vigie_aggregator.settings import Settings

SERVICE = "aggregator"
_TICK_S = 0.1
_FETCH_BYTES = 512 * 1024
"""Worth a fetch: smaller ones cost broker and aggregator more than the samples in them. Less comes after 0.1 s."""

_REPORTS_WAIT_MS = 500
"""How long a broker keeps a fetch of reports open: it answers as soon as there is one."""


class Aggregator:
    """A worker: `vigie_runtime.lifespan.run_worker(Aggregator(settings))`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._reader: LogReader | None = None
        self._reports: ReportsSubscriber | None = None

    def checks(self) -> dict[str, bool]:
        """Ready: connected to Kafka, every partition it owns is loaded, and reports can be stored. Redis is not needed
        to count."""
        return {
            "samples": self._reader is not None and self._reader.ready,
            "reports": self._reports is not None and self._reports.ready,
        }

    def _lag(self) -> dict[int, int]:
        return {} if self._reader is None else self._reader.lag()

    async def start(self, life: Lifespan) -> None:
        """Up: health, stores, topics, Redis view, readers. Down: the reverse, so the readers commit first."""
        settings, clock = self._settings, SystemClock()
        await life.enter("health", health.serve(settings.port, self, self._metrics.registry))
        mongo = clients.mongo(settings)
        life.on_down("mongodb", mongo.close)
        db = clients.database(mongo, settings)
        topic = replace(bus.SAMPLES, name=settings.samples_topic)
        reports = replace(bus.REPORTS, name=settings.reports_topic)
        specs = topics.specs(settings.partitions, (topic, reports, bus.DEAD))
        identity = (await life.up("topics", recorded_topics.ensure(settings, specs, db)))[topic.name]
        repository = Repository(db, topic.name, clock)
        await life.up("collections", repository.prepare())
        redis = clients.redis(settings)
        life.on_down("redis", redis.aclose)
        view = RedisView(redis, f"{settings.mongodb_database}:{topic.name}", clock, self._metrics)
        handler = SamplesHandler(
            Log(identity.cluster_id, identity.topic_id),
            store=repository,
            catalogue=Catalogue(db, settings.partitions),
            dead_letters=self._dead_letters(life),
            clock=clock,
            metrics=self._metrics,
            view=view,
            limits=Limits(
                Intervals(settings.commit_interval_s, settings.coarse_interval_s),
                pending_bytes=settings.pending_bytes,
                cache_bytes=settings.cache_bytes,
            ),
            lag=self._lag,
        )
        _run_view(life, view, handler.snapshot)
        self._reader = LogReader(
            lambda: clients.kafka_consumer(
                settings, client_id="vigie-aggregator", group_id=settings.consumer_group, min_bytes=_FETCH_BYTES
            ),
            identity,
            handler,
            poll_ms=int(_TICK_S * 1000),
            tick_s=_TICK_S,
            identify=partial(topics.identify, clients.kafka_admin(settings), topic.name),
            metrics=self._metrics.set,
        )
        life.run("reader", self._reader.run(), self._reader.stop)
        await self._read_reports(life, db)

    async def _read_reports(self, life: Lifespan, db: clients.Database) -> None:
        settings = self._settings
        clock = SystemClock()
        retention = timedelta(days=settings.report_retention_days)
        store = ReportStore(db, settings.reports_topic, clock, zones=settings.zones, retention=retention)
        await life.up("collections of reports", store.prepare())
        self._reports = ReportsSubscriber(
            settings.reports_topic,
            lambda: clients.kafka_consumer(
                settings,
                client_id="vigie-aggregator-reports",
                group_id=f"{settings.consumer_group}-reports",
                max_wait_ms=_REPORTS_WAIT_MS,
                kind=PoisonSkippingConsumer,
            ),
            store=store,
            dead_letters=self._dead_letters(life),
            clock=clock,
            metrics=self._metrics,
        )
        life.run("reports", self._reports.run(), self._reports.stop)

    def _dead_letters(self, life: Lifespan) -> DeadLetters:
        """A reader's own, because each judges for itself whether too much of what it reads is dead."""
        made = DeadLetters(
            lambda: clients.kafka_producer(self._settings, client_id="vigie-aggregator-dead"),
            SERVICE,
            tracing.runtime_version(),
        )
        life.on_down("dead letters", made.close)
        return made


def _run_view(life: Lifespan, view: RedisView, snapshot: Snapshot) -> None:
    """The view's task, which at the stop gets one last chance to write what waits."""
    task = asyncio.create_task(view.run(snapshot), name="redis view")

    async def down() -> None:
        await tasks.end([task])
        await view.flush(snapshot)

    life.on_down("redis view", down)
