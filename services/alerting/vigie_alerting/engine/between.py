"""A part of the samples log that was read before, read once more beside the reader of the log: for rules that came
when the stored windows had not got as far."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from typing import Final

from vigie_runtime import logging
from vigie_runtime.clients import AIOKafkaConsumer, KafkaError, KafkaRecord, TopicPartition
from vigie_runtime.errors import reason_of

log = logging.get(__name__)

MAX_BYTES: Final = 256 << 20
"""Of the log, read for one opening..."""
LONGEST_S: Final = 30.0
"""... and in which time. What is left is missing, and said."""
_POLL_MS: Final = 500
_STOP_S: Final = 5.0


class Between:
    """Reads records of a topic from one offset to another, for each of some partitions."""

    def __init__(self, consumer: Callable[[], AIOKafkaConsumer], topic: str) -> None:
        """`consumer` makes one without a group."""
        self._consumer, self._topic = consumer, topic

    async def records(self, ranges: Mapping[int, tuple[int, int]]) -> AsyncGenerator[list[KafkaRecord]]:
        """By partition the first offset, and the one after the last. It ends early, and says so, when that takes too
        long, is too much, or Kafka does not answer: whoever asks counts what came."""
        consumer = self._consumer()
        left = {TopicPartition(self._topic, partition): end for partition, (_, end) in ranges.items()}
        read = 0
        try:
            async with asyncio.timeout(LONGEST_S):
                await consumer.start()
            consumer.assign(list(left))
            for tp in left:
                consumer.seek(tp, ranges[tp.partition][0])
            until = asyncio.get_running_loop().time() + LONGEST_S
            while left and read < MAX_BYTES and asyncio.get_running_loop().time() < until:
                for tp, found in (await consumer.getmany(*left, timeout_ms=_POLL_MS)).items():
                    wanted = [record for record in found if record.offset < left[tp]]
                    if found and found[-1].offset >= left[tp] - 1:
                        del left[tp]
                        consumer.pause(tp)
                    read += sum(len(record.value or b"") for record in wanted)
                    if wanted:
                        yield wanted
        except (KafkaError, OSError) as e:  # also what retention has deleted; TimeoutError is an OSError
            log.warning("a part of the log cannot be read again", topic=self._topic, reason=reason_of(e))
        finally:
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await consumer.stop()
