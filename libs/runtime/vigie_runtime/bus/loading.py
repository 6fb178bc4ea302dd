"""Where reading of a partition begins: what the handler stored, held against what Kafka still has."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from vigie_runtime import logging
from vigie_runtime.bus.log_reader_metrics import LogReaderMetrics
from vigie_runtime.bus.partition_handler import PartitionHandler
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.clients import AIOKafkaConsumer, KafkaError, TopicPartition
from vigie_runtime.errors import Retryable, TopicReplaced, reason_of

log = logging.get(__name__)

OFFSETS_TIMEOUT_S: Final = 10.0
IDENTIFY_EVERY_S: Final = 5.0
"""A topic's identity is not asked for more often, unless its log looks wrong."""


class Loading:
    """Finds the offset at which to begin a partition. It does not seek or resume the consumer."""

    def __init__(
        self,
        identity: TopicIdentity,
        handler: PartitionHandler,
        identify: Callable[[], TopicIdentity | None] | None,
        metrics: LogReaderMetrics,
    ) -> None:
        """`identify` as in `LogReader`."""
        self._identity = identity
        self._handler = handler
        self._identify = identify
        self._identify_after = 0.0
        self._metrics = metrics

    async def begin(self, consumer: AIOKafkaConsumer, partition: int) -> tuple[int, int]:
        """Have the handler load the partition, and tell it when its log was lost: (the offset to read from, the log's
        end). Raises Retryable when Kafka does not answer, TopicReplaced when this is another topic, and what the
        handler raises."""
        stored = await self._handler.assigned(partition)
        beginning, end = await self.ends(consumer, partition)
        start = beginning if stored is None else stored
        counted = start if stored is None else max(stored, self._handler.committed(partition) or 0)
        cut, expired = counted > end, start < beginning
        await self._check_topic(at_once=cut or expired)
        if cut or expired:
            await self._lost(partition, counted if cut else start, beginning, end)
            start = end if cut else beginning
        return start, end

    async def ends(self, consumer: AIOKafkaConsumer, partition: int) -> tuple[int, int]:
        """(beginning, end) of the log, offsets. Raises Retryable."""
        tp = TopicPartition(self._identity.topic, partition)
        try:
            async with asyncio.timeout(OFFSETS_TIMEOUT_S):
                return (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
        except (KafkaError, TimeoutError) as e:
            raise Retryable(f"asking Kafka for the ends of {tp.topic}/{partition}: {reason_of(e)}") from e

    async def _lost(self, partition: int, stored: int, beginning: int, end: int) -> None:
        where = {
            "topic": self._identity.topic,
            "partition": partition,
            "stored": stored,
            "beginning": beginning,
            "end": end,
        }
        if stored < beginning:
            log.error("records were deleted by retention before they were read", lost=beginning - stored, **where)
            self._metrics.lost.inc(beginning - stored)
        else:
            log.error(
                "the log was cut: it ends before what was counted of it; reading goes on at its end. Records that were "
                "acknowledged may be lost, also some that were never counted",
                **where,
            )
            self._metrics.cut.inc()
        await self._handler.lost_log(partition, stored, beginning if stored < beginning else end)

    async def _check_topic(self, *, at_once: bool) -> None:
        """Offsets mean nothing in a topic that was deleted and made again while this process runs."""
        if self._identify is None or (not at_once and time.monotonic() < self._identify_after):
            return
        current = await asyncio.to_thread(self._identify)
        if current is None:
            raise Retryable(f"there is no topic {self._identity.topic} now")
        if (current.cluster_id, current.topic_id) != (self._identity.cluster_id, self._identity.topic_id):
            raise TopicReplaced(self._identity.topic, self._identity.topic_id, current.topic_id)
        self._identify_after = time.monotonic() + IDENTIFY_EVERY_S
