"""Reads a Kafka log from offsets that the handler keeps in its own store: the frame of exactly-once consumption.

aiokafka hands out records before a listener that awaits has finished, so on assignment every partition is paused at
once, then loaded (`handler.assigned`) and sought, and only when all are, resumed. That happens in the reader's own
loop: a listener that waits for MongoDB would stop the member's heartbeats. One lock keeps the handler's calls apart
from a revocation.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from math import ceil
from typing import Any, Final, Literal

from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.bus.interruptible import Interruptible
from vigie_runtime.bus.kafka_offsets import KafkaOffsets
from vigie_runtime.bus.loading import Loading
from vigie_runtime.bus.log_reader_metrics import LogReaderMetrics
from vigie_runtime.bus.ownership import LoadReason, Ownership
from vigie_runtime.bus.partition_handler import PartitionHandler
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.bus.unreadable import Search, stub
from vigie_runtime.clients import (
    AIOKafkaConsumer,
    ConsumerRebalanceListener,
    IllegalStateError,
    KafkaError,
    KafkaRecord,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicPartition,
    is_authorization_error,
)
from vigie_runtime.errors import Fenced, Retryable, reason_of
from vigie_runtime.metrics import MetricSet

log = logging.get(__name__)

Mode = Literal["group", "assign"]
REVOKE_TIMEOUT_S: Final = 20.0
"""Less than the rebalance time-out of `clients.kafka_consumer` (30 s), waiting for the lock included."""
STOP_TIMEOUT_S: Final = 10.0
SEARCH_POLL_MS: Final = 500
_RESTART: Final = Backoff(0.2, 5.0)


class LogReader:
    """`await run()` in a task; `stop()` makes it store what is pending, leave the group and return."""

    def __init__(
        self,
        consumer_factory: Callable[[], AIOKafkaConsumer],
        topic_identity: TopicIdentity,
        handler: PartitionHandler,
        *,
        mode: Mode = "group",
        partitions: Iterable[int] | None = None,
        tick_s: float = 0.5,
        identify: Callable[[], TopicIdentity | None] | None = None,
        metrics: MetricSet | None = None,
    ) -> None:
        """`consumer_factory` makes a consumer without topics (with a group for mode "group"), with
        `clients.kafka_consumer`. Mode "assign" reads `partitions`, by default all. `tick_s` is the longest time between
        two ticks while the handler is not busy. `identify` says, blocking, which topic bears the name now
        (`topics.identify`): when it is another one the reader ends with TopicReplaced. `metrics` is a set made with
        `LOGREADER_METRICS` among its own."""
        self._factory = consumer_factory
        self._identity = topic_identity
        self._handler = handler
        self._mode: Mode = mode
        self._assigned = list(partitions) if partitions is not None else list(range(topic_identity.partitions))
        self._tick_s = tick_s
        self._search = Search()
        self._metrics = LogReaderMetrics(metrics)
        self._metrics.wanted.set(len(self._assigned) if mode == "assign" else topic_identity.partitions)
        self._loading = Loading(topic_identity, handler, identify, self._metrics)
        self._kafka_offsets = KafkaOffsets(topic_identity.topic, handler, self._metrics)
        self._own = Ownership()
        self._lock = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None
        self._waiting, self._polling = Interruptible(), Interruptible()
        self._stopping = False
        self._failure: BaseException | None = None
        self._next_tick = 0.0
        self._gaps: dict[int, tuple[int, int]] = {}
        self._held = False
        """Whether partitions were assigned yet."""
        self._leaving: set[int] = set()
        """Taken away, and the handler does not know it yet."""

    @property
    def ready(self) -> bool:
        """Whether the reader is connected and every partition it has is loaded."""
        return self._consumer is not None and self._own.settled and self._failure is None

    @property
    def caught_up(self) -> bool:
        """Whether the reader knows its partitions, be it none, and has read each to where its log ended when it was
        loaded."""
        return self._held and self._own.caught_up and self._failure is None

    @property
    def partitions(self) -> set[int]:
        """The partitions that are loaded and read."""
        return set(self._own.next)

    def lag(self) -> dict[int, int]:
        """Per live partition, the records in the log that were not handed over, as far as the last answer knew."""
        known: dict[int, int] = {}
        for partition, offset in self._own.next.items():
            with suppress(AssertionError, AttributeError):  # no longer assigned; between two consumers
                end = self._consumer.highwater(self._tp(partition)) if self._consumer else None
                known[partition] = max(0, end - offset) if end is not None else 0
        return known

    def stop(self) -> None:
        """Make `run` return soon: pending state is stored first."""
        self._stopping = True
        self._waiting.end()
        self._polling.end()

    async def run(self) -> None:
        """Read until `stop`. Raises what the handler raised when it is neither Fenced nor Retryable, and errors of
        authorization; everything else that Kafka or MongoDB do is waited out."""
        failures = 0
        while not self._stopping:
            started = time.monotonic()
            try:
                await self._session()
            except (KafkaError, OSError) as e:
                if e is self._failure or is_authorization_error(e):
                    raise
                failures = failures + 1 if time.monotonic() - started < 60 else 1
                self._metrics.restarts.inc()
                log.warning("the Kafka consumer is replaced", topic=self._identity.topic, reason=reason_of(e))
                await self._pause(_RESTART.pause_s(failures))

    async def _session(self) -> None:
        """One consumer, from its start to its end."""
        consumer = self._factory()
        if self._mode == "group":
            consumer.subscribe([self._identity.topic], listener=_Listener(self, consumer))
        try:
            if not await self._interruptible(consumer.start()):
                return
            if self._mode == "assign":
                tps = [self._tp(partition) for partition in self._assigned]
                consumer.assign(tps)
                self.hold(consumer, tps)
            self._consumer = consumer
            while not self._stopping:
                await self._turn(consumer)
        finally:
            self._consumer = None
            await self._end(consumer)

    async def _turn(self, consumer: AIOKafkaConsumer) -> None:
        if self._failure is not None:
            raise self._failure
        batches, stamps = await self._poll(consumer)
        async with self._lock:
            if self._leaving:
                await self._call(consumer, None, self._let_go())
            for tp, records in batches.items():
                # Else they will be read again: the position was, or is going to be, set anew.
                if self._own.stamps.get(tp.partition) == stamps.get(tp.partition):
                    await self._call(consumer, tp.partition, self._deliver(consumer, tp.partition, records))
            if time.monotonic() >= self._next_tick:
                await self._tick(consumer)
            await self._load_due(consumer)
        if self._mode == "group":
            self._kafka_offsets.tell(consumer, self._own.next)

    async def _poll(self, consumer: AIOKafkaConsumer) -> tuple[dict[TopicPartition, list[KafkaRecord]], dict[int, int]]:
        timeout_ms = max(1, ceil(self._rest_s() * 1000))
        suspect = self._search.suspect(self._own.next)
        asked = [] if suspect is None else [self._tp(suspect)]
        if asked:
            timeout_ms = max(timeout_ms, SEARCH_POLL_MS)
        limit = self._search.max_records
        batches: dict[TopicPartition, list[KafkaRecord]] = {}
        try:
            # Ended early it loses nothing: the client hands records out in the moment in which it returns.
            async with self._polling:
                batches = await consumer.getmany(*asked, timeout_ms=timeout_ms, max_records=limit)
                self._search.passed(sum(map(len, batches.values())))
        except UnicodeDecodeError as e:
            batches = self._unreadable(consumer, reason_of(e))
        except OffsetOutOfRangeError as e:
            for tp in e.args[0]:
                self._reload(consumer, tp.partition, LoadReason.OUT_OF_RANGE, "its position is outside of the log")
        except NoOffsetForPartitionError:  # asked before the partition was sought; it has been, or will be
            pass
        # Of this very moment: nothing was awaited since the records were handed out.
        return batches, dict(self._own.stamps)

    def _rest_s(self) -> float:
        """Until there is something to do without a record: a tick, or a partition to load."""
        now = time.monotonic()
        tick, loading = max(0.0, self._next_tick - now), self._own.wait_s(now)
        return tick if loading is None else min(tick, loading)

    def _unreadable(self, consumer: AIOKafkaConsumer, reason: str) -> dict[TopicPartition, list[KafkaRecord]]:
        """The client could not decode a record: hand over a stub instead when it is known which. Must not await."""
        for partition, offset in self._own.next.items():  # what was read together with it is lost: read again
            with suppress(IllegalStateError):
                consumer.seek(self._tp(partition), offset)
        found = self._search.failed(self._own.next)
        if found is None:
            return {}
        tp, offset = self._tp(found), self._own.next[found]
        log.error(
            "a record cannot be read, it is passed over", topic=tp.topic, partition=found, offset=offset, reason=reason
        )
        self._metrics.unreadable.inc()
        with suppress(IllegalStateError):
            consumer.seek(tp, offset + 1)
        return {tp: [stub(tp.topic, found, offset, reason)]}

    async def _deliver(self, consumer: AIOKafkaConsumer, partition: int, records: list[KafkaRecord]) -> None:
        expected = self._own.next.get(partition)
        if expected is None or not records:
            return
        if records[0].offset != expected and not await self._gap_is_real(consumer, partition, records[0].offset):
            return
        started = time.monotonic()
        await self._handler.records(partition, records)
        self._own.delivered(partition, records[-1].offset + 1)
        self._metrics.records.inc(len(records))
        self._metrics.batch.observe(len(records))
        self._metrics.handling.observe(time.monotonic() - started)

    async def _gap_is_real(self, consumer: AIOKafkaConsumer, partition: int, found: int) -> bool:
        """Compaction and transaction markers leave gaps. Retention that passed us, a log that was cut, or records that
        got lost on the way must not look like one: a gap is believed when it is still there at a second reading."""
        expected = self._own.next[partition]
        if found < expected:
            self._reload(consumer, partition, LoadReason.OUT_OF_RANGE, f"offset {found} came where {expected} was due")
            return False
        if self._gaps.get(partition) != (expected, found):
            self._gaps[partition] = (expected, found)
            with suppress(IllegalStateError):
                consumer.seek(self._tp(partition), expected)
            return False
        beginning = (await self._loading.ends(consumer, partition))[0]
        if beginning > expected:
            self._reload(consumer, partition, LoadReason.OUT_OF_RANGE, f"the log begins at {beginning} now")
        return beginning <= expected

    async def _tick(self, consumer: AIOKafkaConsumer) -> None:
        self._next_tick = time.monotonic() + self._tick_s
        await self._call(consumer, None, self._handler.tick())
        self._metrics.live.set(len(self._own.next))
        self._metrics.lag.set(sum(self.lag().values()))

    async def _load_due(self, consumer: AIOKafkaConsumer) -> None:
        """Load what is due, then resume all of it. A broker answers the requests of a connection one after the other:
        a fetch of the first partition would hold up each question for the ends of the next ones by its whole wait."""
        loaded: list[int] = []
        try:
            for partition, reason in self._own.due(time.monotonic()):
                if self._stopping:
                    return
                if partition not in self._own.owned:  # taken away meanwhile
                    continue
                await self._call(consumer, partition, self._load(consumer, partition))
                if partition not in self._own.next:
                    return  # what is away for one is likely away for all: not each waits for it with the lock held
                loaded.append(partition)
                self._metrics.loads[reason].inc()
        finally:
            for partition in loaded:
                if partition in self._own.next:  # else it was taken away, and may be held again
                    with suppress(IllegalStateError):
                        consumer.resume(self._tp(partition))

    async def _load(self, consumer: AIOKafkaConsumer, partition: int) -> None:
        stamp = self._own.stamps.get(partition)
        start, end = await self._loading.begin(consumer, partition)
        if self._own.stamps.get(partition) != stamp:
            return  # taken away meanwhile, perhaps given back: then it is due again
        tp = self._tp(partition)
        try:
            consumer.seek(tp, start)
        except IllegalStateError as e:
            raise Retryable(f"{tp.topic}/{partition} was taken away while it was loaded") from e
        self._own.loaded(partition, start, end)
        log.info("reading", topic=tp.topic, partition=partition, offset=start, end=end)

    async def _call(self, consumer: AIOKafkaConsumer, partition: int | None, call: Awaitable[None]) -> None:
        """Await what calls the handler; when that fails in a way that passes, load again what it concerns."""
        try:
            await call
        except Fenced as e:
            for concerned in {e.partition, e.partition if partition is None else partition}:
                self._reload(consumer, concerned, LoadReason.FENCED, reason_of(e))
        except Retryable as e:
            for concerned in list(self._own.next) if partition is None else [partition]:
                self._reload(consumer, concerned, LoadReason.RETRY, reason_of(e))
        except Exception as e:
            self._failure = e
            raise

    def _reload(self, consumer: AIOKafkaConsumer, partition: int, reason: LoadReason, why: str) -> None:
        if partition not in self._own.owned:
            return
        with suppress(IllegalStateError):
            consumer.pause(self._tp(partition))
        pause = self._own.reload(partition, reason, time.monotonic())
        log.warning(
            "the partition is loaded again",
            topic=self._identity.topic, partition=partition, cause=reason.value, reason=why, after_s=round(pause, 2),
        )  # fmt: skip

    def hold(self, consumer: AIOKafkaConsumer, tps: Iterable[TopicPartition]) -> None:
        """Nothing is fetched of the new partitions until they are loaded. Must not await."""
        tps = list(tps)
        consumer.pause(*tps)
        for tp in tps:
            consumer.seek(tp, 0)  # a partition with a position is not looked up in Kafka's committed offsets
        self._own.assign([tp.partition for tp in tps], time.monotonic())
        self._held = True
        self._polling.end()

    async def release(self) -> None:
        """Everything is taken away: let the handler store what is pending, within REVOKE_TIMEOUT_S."""
        self._leaving.update(self._own.revoke())  # at once: whoever holds the lock stops handing over
        self._kafka_offsets.forget()
        if not self._leaving:
            return
        try:
            async with asyncio.timeout(REVOKE_TIMEOUT_S), self._lock:
                await self._let_go()
        except TimeoutError as e:
            log.warning("pending state was not stored in time; the next owner reads it again", reason=reason_of(e))
        except Exception as e:  # noqa: BLE001 - aiokafka would only log it; `run` raises it
            self._failure = e
            self._polling.end()

    async def _let_go(self) -> None:
        """Tell the handler what was taken away, and not given back since."""
        leaving, self._leaving = sorted(self._leaving - self._own.owned), set()
        try:
            await self._handler.revoked(leaving)
        except (Fenced, Retryable) as e:
            log.warning("pending state was not stored; the next owner reads it again", reason=reason_of(e))

    async def _end(self, consumer: AIOKafkaConsumer) -> None:
        if self._failure is None:
            await self.release()
        self._kafka_offsets.cancel()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await consumer.stop()
        except (KafkaError, TimeoutError) as e:
            log.warning("the Kafka consumer did not stop in time", reason=reason_of(e))
        except asyncio.CancelledError as e:
            # When the brokers are away, aiokafka lets the cancellation of its own tasks out of `stop`: not ours.
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            log.warning("the Kafka consumer did not stop cleanly", reason=reason_of(e))
        if self._failure is not None:
            raise self._failure

    async def _interruptible(self, work: Awaitable[Any]) -> bool:
        """Whether it was finished before `stop`."""
        async with self._waiting:
            await work
            return True
        return False

    async def _pause(self, seconds: float) -> None:
        if not self._stopping:
            await self._interruptible(asyncio.sleep(seconds))

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._identity.topic, partition)


class _Listener(ConsumerRebalanceListener):
    def __init__(self, reader: LogReader, consumer: AIOKafkaConsumer) -> None:
        self._reader = reader
        self._consumer = consumer

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride] - both are allowed
        self, revoked: set[TopicPartition]
    ) -> None:
        await self._reader.release()

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, assigned: set[TopicPartition]
    ) -> None:
        self._reader.hold(self._consumer, assigned)
