"""The composition root: what the aggregator is made of, and the order in which it comes up and goes down."""

from __future__ import annotations

from functools import partial
from typing import Any

from vigie_contracts.topics import DEAD, SAMPLES
from vigie_runtime import clients
from vigie_runtime.bus import events, topics
from vigie_runtime.bus.log_reader import LogReader
from vigie_runtime.clock import SystemClock
from vigie_runtime.lifespan import Lifespan
from vigie_storage import topics as recorded_topics
from vigie_web.health import Check
from vigie_web.worker import serve_health

from vigie_aggregator.consumers import CONSUMERS
from vigie_aggregator.metrics import SERVICE, Metrics
from vigie_aggregator.resources import Resources
from vigie_aggregator.samples import consumer as samples
from vigie_aggregator.settings import AggregatorSettings


class Aggregator:
    """A worker: `vigie_web.worker.work(Aggregator(settings), settings)`."""

    def __init__(self, settings: AggregatorSettings) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._reader: LogReader | None = None
        # Redis is not needed to count. What is consumed adds its own checks.
        self._checks = [Check(SAMPLES.word, lambda: self._reader is not None and self._reader.ready)]
        self._consumers: dict[str, events.EventConsumer[Any]] = {}

    def _consumes(self, word: str) -> bool:
        consumer = self._consumers.get(word)
        return consumer is not None and consumer.ready

    async def start(self, life: Lifespan) -> None:
        """Up: health, store, topics, readers. Down: the reverse, so the readers commit first."""
        settings, metrics = self._settings, self._metrics
        health = serve_health(settings.port, self._checks, metrics.registry, host=settings.host)
        await life.enter("health", health)
        mongo = clients.mongo(settings)
        life.on_down("mongodb", mongo.close)
        resources = Resources(settings, clients.database(mongo, settings), SystemClock(), metrics)
        consumers = [declare(resources) for declare in CONSUMERS]
        self._checks += [Check(one.topic.word, partial(self._consumes, one.topic.word)) for one in consumers]
        wanted = topics.deployed(settings, (SAMPLES, *(declared.topic for declared in consumers), DEAD))
        identities = await life.up("topics", recorded_topics.ensure(settings, wanted, resources.database))
        self._reader = await samples.start(resources, life, identities[settings.samples_topic])
        for declared in consumers:
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
