"""The subscriber of the reports topic: batches in, stored, then acknowledged. FastStream around a store.

A batch is acknowledged when all of it is stored or set aside, so whatever happens before that, somebody reads it again;
the store knows what it has. While MongoDB is away the batch waits here, and with it the topic.
"""

from __future__ import annotations

import asyncio
import logging as stdlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage
from opentelemetry.trace import Link
from vigie_runtime import logging, tracing
from vigie_runtime.bus.dead_letters import DeadRecord
from vigie_runtime.clients import AIOKafkaConsumer, ConsumerRebalanceListener, KafkaError, KafkaRecord
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Retryable, reason_of

from vigie_aggregator.errors import PoisonRecord
from vigie_aggregator.metrics import Metrics
from vigie_aggregator.reports.reading import Incoming, read

log = logging.get(__name__)

# Two lines per batch, and a warning at every start that it makes no topics: what matters of that is said here.
_faststream: Final = stdlib.getLogger(f"{__name__}.faststream")
_faststream.setLevel(stdlib.ERROR)

MAX_RECORDS: Final = 500
"""In a batch."""
MAX_SHARE_BYTES: Final = 8 << 20
"""Of the documents of one transaction, unless a single one is larger: MongoDB holds a transaction in its cache, and
refuses one that is large for it however often it is tried."""
MAX_LINKS: Final = 32
"""Senders that the span of a batch links to."""
_POLL_MS: Final = 100
_TICK_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_LAG_TIMEOUT_S: Final = 0.5


class Store(Protocol):
    """What is used of `storing.ReportStore`."""

    async def store(self, batch: Sequence[Incoming]) -> int: ...
    def forget_partitions(self) -> None: ...


class DeadLetters(Protocol):
    """What is used of `vigie_runtime.bus.dead_letters.DeadLetters`."""

    def good(self, messages: int = 1) -> None: ...
    async def send(self, record: DeadRecord, reason: str) -> None: ...


def shares(batch: Iterable[Incoming], max_bytes: int = MAX_SHARE_BYTES) -> Iterator[list[Incoming]]:
    """The batch in its order, divided into as many transactions as its bytes need."""
    share: list[Incoming] = []
    held = 0
    for report in batch:
        size = len(report.document.raw)
        if share and held + size > max_bytes:
            yield share
            share, held = [], 0
        share.append(report)
        held += size
    if share:
        yield share


class _Stopped(Exception):  # noqa: N818 - no error: the batch is left to the next reader
    pass


class ReportsSubscriber:
    """`await run()` in a task; `stop()` lets it finish its batch, leave the group and return."""

    def __init__(
        self,
        topic: str,
        consumer: Callable[[], AIOKafkaConsumer],
        *,
        store: Store,
        dead_letters: DeadLetters,
        clock: Clock,
        metrics: Metrics,
        stop_timeout_s: float = 10.0,
    ) -> None:
        """`consumer` makes a `vigie_runtime.bus.poison_skipping.PoisonSkippingConsumer` of a group, without topics."""
        self._store = store
        self._dead_letters = dead_letters
        self._clock = clock
        self._metrics = metrics
        self._tracer = tracing.tracer(__name__)
        self._stop = asyncio.Event()
        self._failure: Exception | None = None
        self._failing = False
        self._in_hand = 0
        self._membership = _Membership(store.forget_partitions)
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
        self._subscriber(self._handle)

    @property
    def ready(self) -> bool:
        """Whether this process is a member of the group and can store."""
        return self._membership.joined and not self._failing and self._failure is None

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stop.set()

    async def run(self) -> None:
        """Read until `stop`. Raises what is no passing trouble of Kafka or MongoDB: too many dead letters, a bug."""
        try:
            await self._until_started()
            while not self._stop.is_set() and self._failure is None:
                self._metrics.report_lag.set(await self._lag())
                await self._pause(_TICK_S)
        finally:
            self._stop.set()
            await self._broker.stop()
        if self._failure is not None:
            raise self._failure

    async def _until_started(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stop.is_set():
            try:
                await self._broker.start()
            except (KafkaError, OSError) as e:
                log.warning("Kafka is not reachable, trying again", reason=reason_of(e))
                await self._broker.stop()
                pause = await self._pause(pause)
            else:
                return

    async def _parsed(self, records: tuple[KafkaRecord, ...]) -> KafkaAckableMessage:
        # FastStream's own parser fails, for the whole batch, at a header whose value is null or not UTF-8.
        return KafkaAckableMessage(
            body=b"", headers={}, batch_headers=[], raw_message=records, consumer=self._subscriber.consumer
        )

    async def _handle(self, message: KafkaAckableMessage) -> None:
        # An acknowledgement covers all that was handed out before it, also what a failure or the stop left undone.
        if self._failure is not None or self._stop.is_set():
            return
        records: Any = message.raw_message
        self._in_hand = len(records)
        try:
            await self._take(records)
            await self._acknowledge(message, len(records))
        except _Stopped:
            log.info("stopped with a batch of reports that is not stored; it will be read again", records=len(records))
        except Exception as e:  # noqa: BLE001  # FastStream would log it and go on behind the batch: here it ends the service
            self._failure = e
            self._stop.set()
        finally:
            self._in_hand = 0

    async def _acknowledge(self, message: KafkaAckableMessage, records: int) -> None:
        try:
            await message.ack()
        except KafkaError as e:  # the partitions have moved on to another member, which reads the batch again
            log.info("a batch of reports is stored but not acknowledged", records=records, reason=reason_of(e))

    async def _take(self, records: Sequence[KafkaRecord]) -> None:
        """Store the batch, and set aside what nobody can store."""
        good: list[Incoming] = []
        dead: list[tuple[KafkaRecord, PoisonRecord]] = []
        for record in records:
            try:
                good.append(read(record))
            except PoisonRecord as e:
                dead.append((record, e))
        # First: a limit stops the service when most records are dead, so it must know of those that are not.
        self._dead_letters.good(len(good))
        contexts = (tracing.extract(record.headers or ()) for record in records[:MAX_LINKS])
        links = [Link(context) for context in contexts if context is not None]
        with self._tracer.start_as_current_span("aggregator reports", links=links) as span:
            span.set_attribute("vigie.records", len(records))
            for share in shares(good):
                await self._patiently(lambda share=share: self._stored(share))
        for record, poison in dead:
            await self._patiently(lambda record=record, poison=poison: self._bury(record, poison))

    async def _stored(self, reports: Sequence[Incoming]) -> None:
        begun = self._clock.monotonic()
        new = await self._store.store(reports)
        self._metrics.report_commits.observe(self._clock.monotonic() - begun)
        self._metrics.reports.inc(new)
        self._metrics.repeated.inc(len(reports) - new)

    async def _bury(self, record: KafkaRecord, poison: PoisonRecord) -> None:
        await self._dead_letters.send(record, str(poison))
        self._metrics.dead[poison.reason].inc()

    async def _patiently(self, work: Callable[[], Any]) -> None:
        """Until it succeeds. Raises _Stopped when the stop comes before that."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await work()
            except Retryable as e:
                self._failing = True
                self._metrics.report_failures.inc()
                log.warning("reports cannot be stored now, trying again", reason=reason_of(e))
            else:
                self._failing = False
                return
            if self._stop.is_set():
                raise _Stopped
            pause = await self._pause(pause)

    async def _pause(self, seconds: float) -> float:
        """Wait so long, or until the stop; how long to wait next time."""
        wait = asyncio.create_task(self._clock.sleep(seconds))
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait([wait, stop], return_when=asyncio.FIRST_COMPLETED)
        wait.cancel()
        stop.cancel()
        return min(seconds * 2, _LONGEST_PAUSE_S)

    async def _lag(self) -> int:
        """Records of this member's partitions that are in the log and not stored, as far as the last answer knew."""
        consumer: AIOKafkaConsumer | None = self._subscriber.consumer
        behind = self._in_hand
        if consumer is None:
            return behind
        try:
            async with asyncio.timeout(_LAG_TIMEOUT_S):
                for place in consumer.assignment():
                    position = await consumer.position(place)
                    behind += max(0, (consumer.highwater(place) or 0) - position)
        except (KafkaError, TimeoutError, AssertionError):  # in the middle of a rebalance: the next tick knows more
            pass
        return behind


class _Membership(ConsumerRebalanceListener):
    """Whether the group has given this member its partitions, be they none."""

    def __init__(self, left: Callable[[], None]) -> None:
        self.joined = False
        self._left = left

    def on_partitions_revoked(self, revoked: object) -> None:
        self.joined = False
        self._left()

    def on_partitions_assigned(self, assigned: object) -> None:
        self.joined = True


class _Broker(KafkaBroker):
    """FastStream's broker, with the consumer that all of Vigie uses: its security, time-outs and bounds are set in one
    place. No producer, no administration."""

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
        self.config.broker_config.builder = lambda **_: self._make_consumer()
        return self.config.broker_config.builder


async def _undecoded(message: KafkaAckableMessage) -> KafkaAckableMessage:
    """The handler gets the message: what a record says is read there, one record at a time."""
    return message
