"""Consumes a topic of facts: a batch is read, stored, and only then acknowledged.

    events.batches(REPORTS, read, store)

A batch is acknowledged when every record of it is stored or set aside, so whatever happens before that, somebody reads
it again: `store` must know what it has. While `store` cannot, the batch waits here, and with it the topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import prometheus_client as prom
from opentelemetry.trace import Link
from prometheus_client import CollectorRegistry
from vigie_contracts.topics import Topic

from vigie_runtime import clients, logging, tracing
from vigie_runtime.backoff import Backoff
from vigie_runtime.bus import topics
from vigie_runtime.bus.batch_reader import Acknowledge, BatchReader
from vigie_runtime.bus.dead_letters import DeadLetters
from vigie_runtime.bus.event_metrics import EventMetrics
from vigie_runtime.bus.poison_skipping import PoisonSkippingConsumer
from vigie_runtime.clients import AIOKafkaConsumer, KafkaRecord
from vigie_runtime.clock import Clock
from vigie_runtime.errors import DeadReason, InvalidMessage, Retryable, reason_of
from vigie_runtime.lifespan import Lifespan, patiently
from vigie_runtime.settings import Settings

log = logging.get(__name__)

T = TypeVar("T")

MAX_LINKS: Final = 32
"""Senders that the span of a batch links to."""
_TICK_S: Final = 1.0
_BACKOFF: Final = Backoff(0.05, 5.0, jitter=0.0)


@dataclass(frozen=True, slots=True)
class Batches(Generic[T]):
    """A consumer as a service declares it; `batches` makes one."""

    topic: Topic
    read: Callable[[KafkaRecord], T]
    store: Callable[[Sequence[T]], Awaitable[None]]
    divide: Callable[[Sequence[T]], Iterable[Sequence[T]]]
    prepare: Callable[[], Awaitable[None]]
    released: Callable[[], None]


async def _nothing() -> None:
    pass


def batches(
    topic: Topic,
    read: Callable[[KafkaRecord], T],
    store: Callable[[Sequence[T]], Awaitable[None]],
    *,
    divide: Callable[[Sequence[T]], Iterable[Sequence[T]]] = lambda items: [items] if items else [],
    prepare: Callable[[], Awaitable[None]] = _nothing,
    released: Callable[[], None] = lambda: None,
) -> Batches[T]:
    """Declare a consumer of `topic`, one member of the service's group.

    `read` makes an item of a record, or raises InvalidMessage: then the record is set aside. `store` takes items once
    more whenever it is unknown whether it had them, and raises Retryable when it cannot take them now; what else is
    raised is a bug, and ends the service, at the next start again: so `read` refuses all that `store` cannot take.
    `divide` makes several calls of `store` of a batch. `prepare` is awaited once before the first batch, and whatever
    it raises ends the start; `released` is called when partitions may go to another member.
    """
    return Batches(topic, read, store, divide, prepare, released)


class _Stopped(Exception):  # noqa: N818 - no error: the batch is left to the next reader
    pass


class EventConsumer(Generic[T]):
    """Runs a declared consumer: `run()` in a task, until `stop()` lets it finish its batch and leave the group."""

    def __init__(
        self,
        declared: Batches[T],
        service: str,
        consumer: Callable[[], AIOKafkaConsumer],
        *,
        topic: str,
        dead_letters: DeadLetters,
        dead: Mapping[DeadReason, prom.Counter],
        clock: Clock,
        registry: CollectorRegistry | None = None,
        stop_timeout_s: float = 10.0,
    ) -> None:
        """`consumer` makes a PoisonSkippingConsumer of a group, without topics. `topic`: the name that the declared one
        has here. `dead` counts what `dead_letters` takes."""
        self._declared = declared
        self._topic = topic
        self._span = f"{service} {declared.topic.word}"
        self._dead_letters = dead_letters
        self._dead = dead
        self._clock = clock
        self.metrics = EventMetrics(service, declared.topic, registry)
        self._tracer = tracing.tracer(__name__)
        self._stop = asyncio.Event()
        self._failure: Exception | None = None
        self._failing = False
        self._in_hand = 0
        self._reader = BatchReader(
            topic, consumer, self._handle, released=declared.released, stop_timeout_s=stop_timeout_s
        )

    @property
    def ready(self) -> bool:
        """Whether this process is a member of the group and can store."""
        return self._reader.joined and not self._failing and self._failure is None

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stop.set()

    async def run(self) -> None:
        """Read until `stop`. Raises what is no passing trouble of Kafka or the store: too many dead letters, a bug."""
        try:
            async for _ in _BACKOFF.attempts(self._pause):
                if self._stop.is_set() or await self._reader.start():
                    break
            while not self._stop.is_set() and self._failure is None:
                self.metrics.lag.set(self._in_hand + await self._reader.lag())
                await self._pause(_TICK_S)
        finally:
            self._stop.set()
            await self._reader.stop()
        if self._failure is not None:
            raise self._failure

    async def _handle(self, records: Sequence[KafkaRecord], acknowledge: Acknowledge) -> None:
        # An acknowledgement covers all that was handed out before it, also what a failure or the stop left undone.
        if self._failure is not None or self._stop.is_set():
            return
        self._in_hand = len(records)
        try:
            await self._take(records)
            await acknowledge()
            self.metrics.records.inc(len(records))
        except _Stopped:
            log.info(
                "stopped with a batch that is not stored; it will be read again",
                topic=self._topic, records=len(records),
            )  # fmt: skip
        except Exception as e:  # noqa: BLE001  # FastStream would log it and go on behind the batch: here it ends the service
            log.error(
                "a batch ends the service; the next reader begins with the same records",
                topic=self._topic, offsets=_offsets(records), reason=reason_of(e),
            )  # fmt: skip
            self._failure = e
            self._stop.set()
        finally:
            self._in_hand = 0

    async def _take(self, records: Sequence[KafkaRecord]) -> None:
        """Store the batch, and set aside what nobody can store."""
        good: list[T] = []
        dead: list[tuple[KafkaRecord, InvalidMessage]] = []
        for record in records:
            try:
                good.append(self._declared.read(record))
            except InvalidMessage as e:
                dead.append((record, e))
        # First: a limit stops the service when most records are dead, so it must know of those that are not.
        self._dead_letters.good(len(good))
        contexts = (tracing.extract(record.headers or ()) for record in records[:MAX_LINKS])
        links = [Link(context) for context in contexts if context is not None]
        with self._tracer.start_as_current_span(self._span, links=links) as span:
            span.set_attribute("vigie.records", len(records))
            for items in self._declared.divide(good):
                await self._until_done(lambda items=items: self._store(items))
        for record, error in dead:
            await self._until_done(lambda record=record, error=error: self._bury(record, error))

    async def _store(self, items: Sequence[T]) -> None:
        started = self._clock.monotonic()
        await self._declared.store(items)
        self.metrics.stores.observe(self._clock.monotonic() - started)

    async def _bury(self, record: KafkaRecord, error: InvalidMessage) -> None:
        await self._dead_letters.send(record, str(error))
        self._dead[error.reason].inc()

    async def _until_done(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Raises _Stopped when the stop comes before the work succeeds."""
        async for _ in _BACKOFF.attempts(self._pause):
            try:
                await work()
            except Retryable as e:
                self._failing = True
                self.metrics.failures.inc()
                log.warning("a batch cannot be stored now, trying again", topic=self._topic, reason=reason_of(e))
            else:
                self._failing = False
                return
            if self._stop.is_set():
                raise _Stopped

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until the stop."""
        wait = asyncio.create_task(self._clock.sleep(seconds))
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait([wait, stop], return_when=asyncio.FIRST_COMPLETED)
        wait.cancel()
        stop.cancel()


def _offsets(records: Sequence[KafkaRecord]) -> dict[int, str]:
    """By partition the first and the last one, for the log."""
    found: dict[int, list[int]] = {}
    for record in records:
        found.setdefault(record.partition, []).append(record.offset)
    return {partition: f"{min(offsets)}-{max(offsets)}" for partition, offsets in sorted(found.items())}


async def start(
    declared: Batches[T],
    life: Lifespan,
    settings: Settings,
    service: str,
    *,
    group: str,
    dead: Mapping[DeadReason, prom.Counter],
    clock: Clock,
    registry: CollectorRegistry,
) -> EventConsumer[T]:
    """Make a declared consumer part of the life of a service: prepared, reading, and at the stop the reverse.

    `group`: of the service; each of its consumers has one of its own, named after it and the topic."""
    word = declared.topic.word
    await life.up(f"store of {word}", patiently(f"preparing the store of {word}", declared.prepare))
    letters = DeadLetters.of(settings, service)
    life.on_down("dead letters", letters.close)
    consumer = EventConsumer(
        declared,
        service,
        lambda: clients.kafka_consumer(
            settings,
            client_id=f"vigie-{service}-{word}",
            group_id=f"{group}-{word}",
            kind=PoisonSkippingConsumer,
        ),
        topic=topics.deployed(settings, [declared.topic])[0].name,
        dead_letters=letters,
        dead=dead,
        clock=clock,
        registry=registry,
    )
    life.run(word, consumer.run(), consumer.stop)
    return consumer
