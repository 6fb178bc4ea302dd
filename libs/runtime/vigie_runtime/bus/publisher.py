"""Puts samples on the bus: gathers those of many callers for a few milliseconds and sends them as large records."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode
from vigie_contracts.headers import Headers, cloudevent_headers
from vigie_contracts.limits import MAX_RECORD_SAMPLES
from vigie_contracts.samples import SampleColumns

from vigie_runtime import logging, tracing
from vigie_runtime.bus.batches import GatheredSamples, Record
from vigie_runtime.bus.producer_holder import ProducerFactory, ProducerHolder
from vigie_runtime.bus.publisher_metrics import PublisherMetrics
from vigie_runtime.clients import AIOKafkaProducer, KafkaError, KafkaTimeoutError
from vigie_runtime.clock import Clock, SystemClock
from vigie_runtime.errors import BufferFull, BusUnavailable, reason_of
from vigie_runtime.metrics import MetricSet

log = logging.get(__name__)

CONTENT_TYPE: Final = "application/vnd.vigie.samples+msgpack"
MAX_LINKS: Final = 32
_SEAL_FACTOR: Final = 2
_SEAL_AGE_S: Final = 1.0
"""Who comes later does not share the deadline of a gathering that has waited that long."""
_FULL_PAUSE_S: Final = 0.02
_SMALL: Final = 5_000
"""A gathering of fewer samples is sent alone. A flush of 16 samples costs as much as one of 300 (about 0.5 ms, most of
it per partition), so what comes while a small one is under way gathers, however fast Kafka acknowledges."""
_A_CROWD: Final = 8
"""From so many callers on, a flush need not linger once as many are back as there were a moment ago."""


class _Caller:
    """One `publish` call inside a gathering: its samples are [start, end)."""

    __slots__ = ("done", "end", "start")

    def __init__(self, done: asyncio.Future[None], start: int, end: int) -> None:
        self.done = done
        self.start = start
        self.end = end


class _Gathering:
    """Samples that will be, or are being, sent together."""

    __slots__ = ("born", "callers", "contexts", "deadline", "failed", "reason", "samples", "span", "timer", "unsettled")

    def __init__(self, born: float, delivery_timeout_s: float) -> None:
        self.born = born
        self.deadline = born + delivery_timeout_s
        self.samples = GatheredSamples()
        self.callers: list[_Caller] = []
        self.contexts: list[SpanContext] = []
        self.unsettled: dict[int, Record] = {}
        """Records not acknowledged yet, those not sent yet included."""
        self.failed: list[Record] = []
        self.reason = ""
        self.span: Span | None = None
        self.timer: asyncio.TimerHandle | None = None


class SamplePublisher:
    """Publishes samples in batches over all callers, acknowledged by Kafka (acks=all), within a limit of memory.

    A record that fails concerns only the callers whose samples it carries.
    The samples of one series keep the order in which `publish` was called with them.
    """

    def __init__(
        self,
        producer_factory: ProducerFactory,
        topic: str,
        partitions: int,
        *,
        source: str,
        max_buffered_samples: int = 2_000_000,
        linger_ms: float = 3.0,
        max_record_samples: int = MAX_RECORD_SAMPLES,
        max_in_flight: int = 4,
        delivery_timeout_s: float = 10.0,
        clock: Clock | None = None,
        metrics: MetricSet | None = None,
    ) -> None:
        """`source` is who publishes, `/vigie/ingest` for example: the CloudEvents source of every record.
        `max_buffered_samples` counts what waits and what is in flight. `max_in_flight` gatherings are sent at once;
        more wait and grow. `metrics` is a set that was made with `PUBLISHER_METRICS` among its declarations."""
        self._topic = topic
        self._partitions = partitions
        self._source = source
        self._limit = max_buffered_samples
        self._linger_s = linger_ms / 1000
        self._max_record = max_record_samples
        self._max_in_flight = max_in_flight
        self._delivery_timeout_s = delivery_timeout_s
        self._clock = clock or SystemClock()
        self._metrics = PublisherMetrics(metrics)
        self._tracer = tracing.tracer(__name__)
        self._producer = ProducerHolder(producer_factory, topic, partitions)
        self._waiting: deque[_Gathering] = deque()
        self._in_flight: set[_Gathering] = set()
        self._held = 0
        self._changed = asyncio.Event()
        self._crowd = 0
        """How many callers there were when a gathering last ended; 0 when they were few."""
        self._last_end = 0.0
        self._spoilt = ""
        """Why the producer must not be used again; what is in flight may still end well."""
        self._sending: asyncio.Timeout | None = None
        self._loop: asyncio.AbstractEventLoop
        self._runner: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def ready(self) -> bool:
        """Whether samples can be sent now: connected, and nothing has failed since."""
        return self._producer.ready and not self._closing

    @property
    def held(self) -> int:
        """Samples that wait or are in flight."""
        return self._held

    async def start(self) -> None:
        """Begin to connect. Does not wait for Kafka: `ready` tells, and samples may be published meanwhile."""
        self._loop = asyncio.get_running_loop()  # to ask for it is a system call, and `publish` runs for every request
        self._producer.connect()
        self._runner = asyncio.create_task(self._run(), name="sample-publisher")

    async def publish(self, columns: SampleColumns, span_context: SpanContext | None = None) -> None:
        """Return when every record that carries these samples is acknowledged by all in-sync replicas.

        Raises BufferFull at once, having taken nothing; BusUnavailable when it is unknown whether (some of) the
        samples were written; ValueError for columns that do not fit together.
        """
        n = len(columns.values)
        if n == 0:
            return
        if self._closing:
            raise BusUnavailable("this service is shutting down: send again to another one")
        if self._held + n > self._limit:
            self._metrics.refused.inc(n)
            raise BufferFull(self._held, self._limit)
        gathering = self._open()
        start = gathering.samples.count
        gathering.samples.add(columns)
        done: asyncio.Future[None] = self._loop.create_future()
        gathering.callers.append(_Caller(done, start, start + n))
        if span_context is not None and len(gathering.contexts) <= MAX_LINKS:
            gathering.contexts.append(span_context)
        self._held += n
        if start == 0 or len(gathering.callers) == self._crowd or self._grown(start, start + n):
            self._changed.set()
        await done

    async def close(self, timeout_s: float = 15.0) -> None:
        """Take no more, send what waits, and stop. What is not acknowledged after `timeout_s` fails."""
        self._closing = True
        self._changed.set()
        try:
            async with asyncio.timeout(timeout_s):
                while self._waiting or self._in_flight:
                    self._changed.set()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            log.error("closed before Kafka acknowledged everything", samples=self._held)
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
        for gathering in [*self._in_flight, *self._waiting]:
            self._give_up(gathering, "this service was shut down before Kafka acknowledged")
        await self._producer.close()

    def _grown(self, before: int, now: int) -> bool:
        """Whether so many samples change when their gathering is sent."""
        return before < _SMALL <= now or now >= self._max_record

    def _open(self) -> _Gathering:
        now = time.monotonic()
        if self._waiting:
            last = self._waiting[-1]
            if last.samples.count < _SEAL_FACTOR * self._max_record and now - last.born < _SEAL_AGE_S:
                return last
        gathering = _Gathering(now, self._delivery_timeout_s)
        gathering.timer = self._loop.call_later(self._delivery_timeout_s, self._expire, gathering)
        self._waiting.append(gathering)
        return gathering

    async def _run(self) -> None:
        while True:
            await self._until(self._may_send)
            await self._linger(self._waiting[0])
            producer = await self._producer.get()
            if self._may_send():  # it may have expired meanwhile, or the producer may have failed
                await self._send(self._waiting.popleft(), producer)

    def _may_send(self) -> bool:
        if not self._waiting or self._spoilt or len(self._in_flight) >= self._max_in_flight:
            return False
        small = self._waiting[0].samples.count < _SMALL
        return not small or not any(gathering.samples.count < _SMALL for gathering in self._in_flight)

    async def _send(self, gathering: _Gathering, producer: AIOKafkaProducer) -> None:
        self._in_flight.add(gathering)
        reason = ""
        try:
            async with asyncio.timeout(max(0.0, gathering.deadline - time.monotonic())) as self._sending:
                await self._send_records(gathering, producer)
        except TimeoutError:
            reason = self._late()
        except Exception as e:  # a bug must end these callers, not the loop that serves all
            log.exception("sending samples failed in an unexpected way", samples=gathering.samples.count)
            reason = reason_of(e)
        finally:
            self._sending = None
        if reason:
            self._fail(gathering, reason)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def _linger(self, gathering: _Gathering) -> None:
        while gathering.samples.count < self._max_record and not self._closing:
            if 0 < self._crowd <= len(gathering.callers):
                return
            # Those who were just answered come back within the linger time: a small gathering waits for them.
            small = gathering.samples.count < _SMALL
            begin = max(gathering.born, self._last_end) if small else gathering.born
            rest = begin + self._linger_s - time.monotonic()
            if rest <= 0:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(rest):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def _send_records(self, gathering: _Gathering, producer: AIOKafkaProducer) -> None:
        records = list(gathering.samples.records(self._partitions, self._max_record))
        if not records:  # whoever opened it gave columns that do not fit together
            self._finish(gathering)
            return
        gathering.unsettled = dict(enumerate(records))
        self._metrics.flushed(gathering.samples.count, time.monotonic() - gathering.born)
        headers = self._headers(gathering)
        for number, record in enumerate(records):
            try:
                await self._send_record(gathering, number, record, headers, producer)
            except (KafkaError, AssertionError) as e:  # aiokafka asserts that it knows the partition
                self._settle(gathering, number, e)
            if gathering not in self._in_flight:
                return  # given up while that waited

    async def _send_record(
        self, gathering: _Gathering, number: int, record: Record, headers: Headers, producer: AIOKafkaProducer
    ) -> None:
        own = [("ce_id", f"{headers[0][1].decode()}-{number}".encode()), *headers[1:]]
        while True:
            try:
                sent = await producer.send(self._topic, record.value, partition=record.partition, headers=own)
                break
            except KafkaTimeoutError:  # the partition's batch stayed full; nothing was taken, the deadline decides
                await asyncio.sleep(_FULL_PAUSE_S)

        def settled(future: asyncio.Future[Any]) -> None:
            error = asyncio.CancelledError("cancelled") if future.cancelled() else future.exception()
            self._settle(gathering, number, error)

        sent.add_done_callback(settled)

    def _headers(self, gathering: _Gathering) -> Headers:
        headers = cloudevent_headers(
            source=self._source, type_=self._topic, time_ms=self._clock.now_ms(), content_type=CONTENT_TYPE
        )
        headers.sort(key=lambda pair: pair[0] != "ce_id")
        if gathering.contexts:
            first, *others = gathering.contexts
            span = self._tracer.start_span(
                f"{self._topic} publish",
                tracing.context_of(first),
                SpanKind.PRODUCER,
                links=[Link(other) for other in others],
                attributes={"messaging.system": "kafka", "messaging.destination.name": self._topic},
            )
            gathering.span = span
            tracing.inject(headers, tracing.context_of(span.get_span_context()))
        return headers

    def _settle(self, gathering: _Gathering, number: int, error: BaseException | None) -> None:
        if gathering not in self._in_flight:
            return  # given up before
        record = gathering.unsettled.pop(number)
        if error is not None:
            gathering.failed.append(record)
            gathering.reason = self._spoilt = reason_of(error)
        if not gathering.unsettled:
            self._finish(gathering)

    def _expire(self, gathering: _Gathering) -> None:
        if gathering in self._in_flight:
            self._fail(gathering, self._late())
        elif gathering in self._waiting:  # no producer, or no room in flight, for all that time
            self._waiting.remove(gathering)
            self._give_up(gathering, self._late())

    def _late(self) -> str:
        return f"Kafka did not acknowledge within {self._delivery_timeout_s:g} s"

    def _fail(self, gathering: _Gathering, reason: str) -> None:
        """Wait no longer: end this gathering and, because its producer is given up, all others that are in flight."""
        if gathering not in self._in_flight:
            return
        self._give_up(gathering, reason)
        for other in list(self._in_flight):
            self._give_up(other, f"the connection was given up after another failure: {reason}")
        if self._sending is not None and not self._sending.expired():
            self._sending.reschedule(0)
        self._replace_producer(reason)

    def _replace_producer(self, reason: str) -> None:
        self._spoilt = ""
        self._metrics.recreated.inc()
        self._producer.discard(reason)

    def _give_up(self, gathering: _Gathering, reason: str) -> None:
        gathering.reason = gathering.reason or reason
        self._finish(gathering)

    def _finish(self, gathering: _Gathering) -> None:
        """Tell every caller how it ended."""
        self._in_flight.discard(gathering)
        if gathering.timer is not None:
            gathering.timer.cancel()
        if self._spoilt and not self._in_flight:
            self._replace_producer(self._spoilt)
        self._held -= gathering.samples.count
        self._last_end = time.monotonic()
        crowd = len(gathering.callers) + sum(len(waiting.callers) for waiting in self._waiting)
        self._crowd = crowd if crowd >= _A_CROWD else 0
        self._changed.set()
        unsure = self._unsure(gathering)
        lost = 0
        for caller in gathering.callers:
            failed = unsure is not None and bool(unsure[caller.start : caller.end].any())
            lost += caller.end - caller.start if failed else 0
            if not caller.done.done():  # a caller that was cancelled no longer waits
                if failed:
                    caller.done.set_exception(BusUnavailable(gathering.reason))
                else:
                    caller.done.set_result(None)
        self._metrics.finished(gathering.samples.count - lost, lost, self._last_end - gathering.born)
        if gathering.span is not None:
            if gathering.reason:
                gathering.span.set_status(StatusCode.ERROR, gathering.reason)
            gathering.span.end()

    @staticmethod
    def _unsure(gathering: _Gathering) -> Any:
        """Per sample, whether it may not have been written; None when all were."""
        if not gathering.reason:
            return None
        doubtful = [*gathering.failed, *gathering.unsettled.values()]
        unsure = np.full(gathering.samples.count, not doubtful)
        for record in doubtful:
            unsure[record.members] = True
        return unsure
