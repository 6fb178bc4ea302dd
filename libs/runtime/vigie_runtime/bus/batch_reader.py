"""FastStream as Vigie uses it: a member of a group that gets raw records in batches, and acknowledges by hand.

Four of its ways are replaced here, and nowhere else: its parser (one header that is null or no UTF-8 fails the whole
batch), its decoder (what a record says is read later, one record at a time), its consumer (ours has the security,
time-outs and bounds of all clients, and no record stops it), and what it does after an error (goes on behind it).
"""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import asyncio
import logging as stdlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage

from vigie_runtime import logging
from vigie_runtime.clients import AIOKafkaConsumer, ConsumerRebalanceListener, KafkaError, KafkaRecord
from vigie_runtime.errors import reason_of

log = logging.get(__name__)

# Two lines per batch, and a warning at every start that it makes no topics: what matters of that is said here.
_faststream: Final = stdlib.getLogger(f"{__name__}.faststream")
_faststream.setLevel(stdlib.ERROR)

MAX_RECORDS: Final = 500
"""In a batch."""
_POLL_MS: Final = 20
"""FastStream sleeps as long again after a poll that found nothing: this is what it can add to a record's way."""
_LAG_TIMEOUT_S: Final = 0.5

Acknowledge: TypeAlias = Callable[[], Awaitable[None]]
"""Covers the batch, and all that was handed out before it."""


class BatchReader:
    """Hands each batch to `handle`, with the function that acknowledges it. `handle` must not raise."""

    def __init__(
        self,
        topic: str,
        consumer: Callable[[], AIOKafkaConsumer],
        handle: Callable[[Sequence[KafkaRecord], Acknowledge], Awaitable[None]],
        *,
        released: Callable[[], None],
        stop_timeout_s: float,
    ) -> None:
        """`consumer` makes a PoisonSkippingConsumer of a group, without topics. `released` is called when its
        partitions are taken away."""
        self._topic = topic
        self._handle = handle
        self._membership = _Membership(released)
        self._broker = _Broker(consumer, stop_timeout_s)
        self._subscriber: Any = self._broker.subscriber(
            topic,
            batch=True,
            max_records=MAX_RECORDS,
            batch_timeout_ms=_POLL_MS,
            ack_policy=AckPolicy.MANUAL,
            parser=self._parsed,
            decoder=_undecoded,
            listener=self._membership,
            no_reply=True,
        )
        self._subscriber(self._take)

    @property
    def joined(self) -> bool:
        """Whether the group has given this member its partitions, be they none."""
        return self._membership.joined

    async def start(self) -> bool:
        """Join the group. False when Kafka is not reachable: try again."""
        try:
            await self._broker.start()
        except (KafkaError, OSError) as e:
            log.warning("Kafka is not reachable, trying again", topic=self._topic, reason=reason_of(e))
            await self._broker.stop()
            return False
        return True

    async def stop(self) -> None:
        """Wait for the batch that is handled, within the time-out, and leave the group."""
        await self._broker.stop()

    async def lag(self) -> int:
        """Records of this member's partitions that were not handed out, as far as the last answer knew."""
        consumer: AIOKafkaConsumer | None = self._subscriber.consumer
        behind = 0
        if consumer is None:
            return behind
        try:
            async with asyncio.timeout(_LAG_TIMEOUT_S):
                for partition in consumer.assignment():
                    position = await consumer.position(partition)
                    behind += max(0, (consumer.highwater(partition) or 0) - position)
        except (KafkaError, TimeoutError, AssertionError):  # in the middle of a rebalance: the next call knows more
            pass
        return behind

    async def _parsed(self, records: tuple[KafkaRecord, ...]) -> KafkaAckableMessage:
        return KafkaAckableMessage(
            body=b"", headers={}, batch_headers=[], raw_message=records, consumer=self._subscriber.consumer
        )

    async def _take(self, message: KafkaAckableMessage) -> None:
        records: Any = message.raw_message
        await self._handle(records, partial(self._acknowledge, message, len(records)))

    async def _acknowledge(self, message: KafkaAckableMessage, records: int) -> None:
        try:
            await message.ack()
        except KafkaError as e:  # the partitions have moved on to another member, which reads the batch again
            log.info("a batch is stored but not acknowledged", topic=self._topic, records=records, reason=reason_of(e))


class _Membership(ConsumerRebalanceListener):
    def __init__(self, released: Callable[[], None]) -> None:
        self.joined = False
        self._released = released

    def on_partitions_revoked(self, revoked: object) -> None:
        self.joined = False
        self._released()

    def on_partitions_assigned(self, assigned: object) -> None:
        self.joined = True


class _Broker(KafkaBroker):
    """FastStream's broker with our consumer. No producer, no administration."""

    def __init__(self, consumer: Callable[[], AIOKafkaConsumer], stop_timeout_s: float) -> None:
        super().__init__(
            consumer_only=True,
            allow_auto_create_topics=False,
            apply_types=False,
            graceful_timeout=stop_timeout_s,
            logger=_faststream,
        )
        self._make_consumer = consumer

    async def _connect(self) -> Any:
        await super()._connect()
        self.config.broker_config.builder = self._build
        return self._build

    def _build(self, **_: object) -> AIOKafkaConsumer:
        return self._make_consumer()


async def _undecoded(message: KafkaAckableMessage) -> KafkaAckableMessage:
    return message
