"""The reader of the samples log, with its handler and its view in Redis."""

from __future__ import annotations

import asyncio
from functools import partial

from vigie_runtime import clients, tasks
from vigie_runtime.bus import topics
from vigie_runtime.bus.dead_letters import DeadLetters
from vigie_runtime.bus.log_reader import LogReader
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.lifespan import Lifespan
from vigie_storage.mongo import patiently
from vigie_storage.partitions.checkpoint import Log
from vigie_storage.partitions.store import PartitionStore
from vigie_storage.series.catalogue import SeriesCatalogue

from vigie_aggregator.metrics import SERVICE
from vigie_aggregator.resources import Resources
from vigie_aggregator.samples.handler import Limits, SamplesHandler
from vigie_aggregator.samples.schedule import Intervals
from vigie_aggregator.samples.view import RedisView, Snapshot

_TICK_S = 0.1
_FETCH_BYTES = 512 * 1024
"""Worth a fetch: smaller ones cost broker and aggregator more than the samples in them..."""
_FETCH_WAIT_MS = 100
"""... and less comes after so long."""


async def start(resources: Resources, life: Lifespan, topic: TopicIdentity) -> LogReader:
    """Up: collections, Redis view, reader. Down: the reverse, so the reader commits first."""
    settings, db, clock, metrics = resources.settings, resources.database, resources.clock, resources.metrics
    store = PartitionStore(db, topic.topic, clock)
    await life.up("collections", patiently("preparing the collections", store.prepare))
    redis = clients.redis(settings)
    life.on_down("redis", redis.aclose)
    dead_letters = DeadLetters.of(settings, SERVICE)
    life.on_down("dead letters", dead_letters.close)
    view = RedisView(redis, f"{settings.mongodb_database}:{topic.topic}", clock, metrics)

    def lag() -> dict[int, int]:
        return reader.lag()

    handler = SamplesHandler(
        Log(topic.cluster_id, topic.topic_id),
        store=store,
        catalogue=SeriesCatalogue(db),
        dead_letters=dead_letters,
        clock=clock,
        metrics=metrics,
        view=view,
        limits=Limits(
            Intervals(settings.commit_interval_s, settings.coarse_interval_s),
            pending_bytes=settings.pending_bytes,
            cache_bytes=settings.cache_bytes,
        ),
        lag=lag,
    )
    _run_view(life, view, handler.snapshot)
    reader = LogReader(
        lambda: clients.kafka_consumer(
            settings,
            client_id=f"vigie-{SERVICE}",
            group_id=settings.consumer_group,
            min_bytes=_FETCH_BYTES,
            max_wait_ms=_FETCH_WAIT_MS,
        ),
        topic,
        handler,
        tick_s=_TICK_S,
        identify=partial(topics.identify, clients.kafka_admin(settings), topic.topic),
        metrics=metrics.set,
    )
    life.run("reader", reader.run(), reader.stop)
    return reader


def _run_view(life: Lifespan, view: RedisView, snapshot: Snapshot) -> None:
    """The view's task, which at the stop gets one last chance to write what waits."""
    task = asyncio.create_task(view.run(snapshot), name="redis view")

    async def down() -> None:
        await tasks.end([task])
        await view.flush(snapshot)

    life.on_down("redis view", down)
