"""Publishes single records with keys: events, one message each, on the topics that are not the samples'.

Records of one key go to one partition, in the order in which they were given.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import asyncio
from typing import Any, Final

from opentelemetry.trace import SpanContext
from vigie_contracts.headers import Headers, cloudevent_headers

from vigie_runtime import tracing
from vigie_runtime.bus.producer_holder import ProducerFactory, ProducerHolder
from vigie_runtime.bus.publisher_metrics import RecordMetrics
from vigie_runtime.clients import AIOKafkaProducer, KafkaError, KafkaTimeoutError
from vigie_runtime.clock import Clock, SystemClock
from vigie_runtime.errors import BufferFull, BusUnavailable, reason_of
from vigie_runtime.metrics import MetricSet

CONTENT_TYPE: Final = "application/json"
_FULL_PAUSE_S: Final = 0.05


class RecordPublisher:
    """Publishes single records, each acknowledged by Kafka (acks=all), within a limit of memory.

    A record whose acknowledgement does not come in time fails alone or with its neighbours.
    """

    def __init__(
        self,
        producer_factory: ProducerFactory,
        topic: str,
        partitions: int,
        *,
        source: str,
        max_buffered_bytes: int = 64 << 20,
        delivery_timeout_s: float = 10.0,
        clock: Clock | None = None,
        metrics: MetricSet | None = None,
    ) -> None:
        """`source` is who publishes, `/vigie/ingest` for example: the CloudEvents source of every record.
        `max_buffered_bytes` counts keys and values that wait or are in flight. `metrics` is a set that was made with
        `PUBLISHER_METRICS` among its declarations."""
        self._topic = topic
        self._source = source
        self._limit = max_buffered_bytes
        self._delivery_timeout_s = delivery_timeout_s
        self._clock = clock or SystemClock()
        self._metrics = RecordMetrics(metrics)
        self._producer = ProducerHolder(producer_factory, topic, partitions)
        self._held = 0
        self._failure: asyncio.Future[str] | None = None
        """Of the producer in use: is set, to the reason, when it is given up and acknowledges nothing any more."""
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def ready(self) -> bool:
        """Whether records can be sent now: connected, and nothing has failed since."""
        return self._producer.ready and not self._closing

    @property
    def held(self) -> int:
        """Bytes that wait or are in flight."""
        return self._held

    async def start(self) -> None:
        """Begin to connect. Does not wait for Kafka: `ready` tells, and records may be published meanwhile."""
        self._producer.connect()

    async def publish(
        self, key: bytes, value: bytes | None, *, id_: str | None = None, span_context: SpanContext | None = None
    ) -> None:
        """Return when the record is acknowledged by all in-sync replicas. `id_` is that of the message. Without a
        value it is a tombstone: of a compacted topic, the key goes.

        Raises BufferFull at once, having taken nothing; BusUnavailable when it is unknown whether it was written.
        """
        if self._closing:
            raise BusUnavailable("this service is shutting down: send again to another one")
        size = len(key) + len(value or b"")
        if self._held + size > self._limit:
            self._metrics.refused.inc()
            raise BufferFull(self._held, self._limit, "bytes")
        self._held += size
        self._idle.clear()
        try:
            await self._send(key, value, id_, span_context)
            self._metrics.acknowledged.inc()
        except BusUnavailable:
            self._metrics.unknown.inc()
            raise
        finally:
            self._held -= size
            if not self._held:
                self._idle.set()

    async def close(self, timeout_s: float = 15.0) -> None:
        """Take no more, wait for what is in flight, and stop."""
        self._closing = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            self._give_up("this service was shut down before Kafka acknowledged")
        await self._producer.close()

    async def _send(self, key: bytes, value: bytes | None, id_: str | None, span_context: SpanContext | None) -> None:
        headers = cloudevent_headers(
            source=self._source, type_=self._topic, time_ms=self._clock.now_ms(), content_type=CONTENT_TYPE, id_=id_
        )
        tracing.inject(headers, tracing.context_of(span_context))
        try:
            async with asyncio.timeout(self._delivery_timeout_s):
                producer = await self._producer.get()
                if self._failure is None:
                    self._failure = asyncio.get_running_loop().create_future()
                failure = self._failure
                sent = await self._accepted(producer, key, value, headers)
                await asyncio.wait([sent, failure], return_when=asyncio.FIRST_COMPLETED)
                if not sent.done():
                    raise BusUnavailable(f"the connection was given up after another failure: {failure.result()}")
                sent.result()
        except TimeoutError as e:
            reason = f"Kafka did not acknowledge within {self._delivery_timeout_s:g} s"
            self._give_up(reason)
            raise BusUnavailable(reason) from e
        except (KafkaError, AssertionError) as e:  # aiokafka asserts that it knows the partition
            self._give_up(reason_of(e))
            raise BusUnavailable(reason_of(e)) from e

    async def _accepted(
        self, producer: AIOKafkaProducer, key: bytes, value: bytes | None, headers: Headers
    ) -> asyncio.Future[Any]:
        """The acknowledgement to wait for."""
        while True:
            try:
                sent = await producer.send(self._topic, value, key, headers=headers)
            except KafkaTimeoutError:  # the partition's batch stayed full; nothing was taken, the deadline decides
                await asyncio.sleep(_FULL_PAUSE_S)
            else:
                sent.add_done_callback(_seen)
                return sent

    def _give_up(self, reason: str) -> None:
        """An idempotent producer is of no use after a failure. All who wait for it fail, so that none waits in vain."""
        failure, self._failure = self._failure, None
        if failure is not None:
            failure.set_result(reason)
            self._metrics.recreated.inc()
            self._producer.discard(reason)


def _seen(sent: asyncio.Future[Any]) -> None:
    """Who gave up waiting will not look at the outcome; asyncio would complain that nobody did."""
    if not sent.cancelled():
        sent.exception()
