"""Tells Kafka how far everything is stored: for the lag dashboards of Kafka's own tools, and for nothing else."""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from vigie_runtime import logging
from vigie_runtime.bus.log_reader_metrics import LogReaderMetrics
from vigie_runtime.bus.partition_handler import PartitionHandler
from vigie_runtime.clients import AIOKafkaConsumer, TopicPartition
from vigie_runtime.errors import reason_of

log = logging.get(__name__)

COMMIT_INTERVAL_S: Final = 5.0
COMMIT_TIMEOUT_S: Final = 3.0


class KafkaOffsets:
    """Commits stored offsets to Kafka, one commit at a time. A failed one is not repeated: a later one says more."""

    def __init__(self, topic: str, handler: PartitionHandler, metrics: LogReaderMetrics) -> None:
        self._topic = topic
        self._handler = handler
        self._metrics = metrics
        self._next = 0.0
        self._told: dict[int, int] = {}
        self._commit: asyncio.Task[None] | None = None

    def tell(self, consumer: AIOKafkaConsumer, live: Iterable[int]) -> None:
        """Commit what is new of the live partitions when it is time, in a task of its own."""
        now = time.monotonic()
        if now < self._next or (self._commit is not None and not self._commit.done()):
            return
        self._next = now + COMMIT_INTERVAL_S
        stored = {p: offset for p in live if (offset := self._handler.committed(p)) is not None}
        changed = {p: offset for p, offset in stored.items() if self._told.get(p) != offset}
        if changed:
            self._told |= changed
            self._commit = asyncio.create_task(self._commit_quietly(consumer, changed))

    def forget(self) -> None:
        """Another owner may have told something else."""
        self._told.clear()

    def cancel(self) -> None:
        """Give up the commit that is under way."""
        if self._commit is not None:
            self._commit.cancel()

    async def _commit_quietly(self, consumer: AIOKafkaConsumer, offsets: dict[int, int]) -> None:
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await consumer.commit({TopicPartition(self._topic, p): offset for p, offset in offsets.items()})
        except Exception as e:  # noqa: BLE001 - aiokafka fails in many ways when a broker goes away or the consumer stops
            self._metrics.commit_failures.inc()
            log.debug("offsets were not told to Kafka", reason=reason_of(e))
