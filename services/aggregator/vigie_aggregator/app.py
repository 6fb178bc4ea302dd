"""The composition root: what the aggregator is made of, and the order in which it comes up and goes down."""

from __future__ import annotations

from typing import Any

from vigie_contracts.topics import DEAD, SAMPLES
from vigie_runtime import clients
from vigie_runtime.bus import events, topics
from vigie_runtime.bus.log_reader import LogReader
from vigie_runtime.clock import SystemClock
from vigie_runtime.lifespan import Lifespan
from vigie_storage import topics as recorded_topics
from vigie_web import health

from vigie_aggregator.consumers import CONSUMERS
from vigie_aggregator.metrics import SERVICE, Metrics
from vigie_aggregator.resources import Resources
from vigie_aggregator.samples import consumer as samples
from vigie_aggregator.settings import Settings


class Aggregator:
    """A worker: `vigie_runtime.lifespan.run_worker(Aggregator(settings))`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._reader: LogReader | None = None
        self._declared: list[events.Batches[Any]] = []
        self._consumers: dict[str, events.EventConsumer[Any]] = {}

    def checks(self) -> dict[str, bool]:
        """Ready: connected to Kafka, every partition it owns is loaded, and what is consumed can be stored. Redis is
        not needed to count."""
        consumers = {declared.topic.word: self._consumers.get(declared.topic.word) for declared in self._declared}
        return {
            SAMPLES.word: self._reader is not None and self._reader.ready,
            **{word: consumer is not None and consumer.ready for word, consumer in consumers.items()},
        }

    async def start(self, life: Lifespan) -> None:
        """Up: health, store, topics, readers. Down: the reverse, so the readers commit first."""
        settings, metrics = self._settings, self._metrics
        await life.enter("health", health.serve(settings.port, self, metrics.registry))
        mongo = clients.mongo(settings)
        life.on_down("mongodb", mongo.close)
        resources = Resources(settings, clients.database(mongo, settings), SystemClock(), metrics)
        self._declared = [declare(resources) for declare in CONSUMERS]
        wanted = topics.deployed(settings, (SAMPLES, *(declared.topic for declared in self._declared), DEAD))
        identities = await life.up("topics", recorded_topics.ensure(settings, wanted, resources.database))
        self._reader = await samples.start(resources, life, identities[settings.samples_topic])
        for declared in self._declared:
            self._consumers[declared.topic.word] = await events.start(
                declared,
                life,
                settings,
                SERVICE,
                group=settings.consumer_group,
                dead=metrics.dead,
                clock=resources.clock,
                registry=metrics.registry,
            )
