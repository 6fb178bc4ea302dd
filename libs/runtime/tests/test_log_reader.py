"""The log reader against a consumer in memory: logs that were cut, replaced or cannot be decoded, and slow handlers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from vigie_runtime import clients
from vigie_runtime.bus import log_reader as logreader
from vigie_runtime.bus.log_reader import LogReader
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.bus.unreadable import HEADER
from vigie_runtime.clients import TopicPartition
from vigie_runtime.errors import Retryable, TopicReplaced

from tests.kit import eventually

TOPIC = TopicIdentity("t", "cluster", "topic-1", 3)
UNREADABLE = b"unreadable"


def _record(partition: int, offset: int, value: bytes) -> Any:
    return clients.ConsumerRecord("t", partition, offset, 0, 0, None, value, None, -1, -1, ())


class Consumer:
    """Partitions of the log in memory, read as aiokafka does: an unreadable record fails everything asked with it."""

    def __init__(self, log: dict[int, list[bytes]]) -> None:
        self.log = log
        self.position: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def assign(self, tps: Iterable[TopicPartition]) -> None:
        self.position = dict.fromkeys(tps, 0)

    def pause(self, *tps: TopicPartition) -> None:
        self.paused.update(tps)

    def resume(self, *tps: TopicPartition) -> None:
        self.paused.difference_update(tps)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.position[tp] = offset

    def highwater(self, tp: TopicPartition) -> int:
        return len(self.log[tp.partition])

    async def beginning_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 0)

    async def end_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: len(self.log[tp.partition]) for tp in tps}

    async def getmany(
        self, *tps: TopicPartition, timeout_ms: int, max_records: int | None
    ) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0.001)  # a poll gives the others their turn, and takes a moment
        drained: dict[TopicPartition, list[Any]] = {}
        for tp in (tp for tp in (tps or self.position) if tp not in self.paused):
            begin = self.position[tp]
            values = self.log[tp.partition][begin : None if max_records is None else begin + max_records]
            if UNREADABLE in values:
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
            if values:
                drained[tp] = [_record(tp.partition, begin + n, value) for n, value in enumerate(values)]
                self.position[tp] = begin + len(values)
                if max_records is not None:
                    break
        return drained


class Handler:
    """Keeps what it is given."""

    def __init__(self, stored: dict[int, int] | None = None) -> None:
        self.stored = stored or {}
        self.read: dict[int, list[Any]] = {}
        self.lost: list[tuple[int, int, int]] = []
        self.loads: list[int] = []
        self.left: list[int] = []

    async def assigned(self, partition: int) -> int | None:
        self.loads.append(partition)
        return self.stored.get(partition)

    async def records(self, partition: int, records: Sequence[Any]) -> None:
        self.read.setdefault(partition, []).extend(records)

    async def revoked(self, partitions: Sequence[int]) -> None:
        self.left += partitions

    async def lost_log(self, partition: int, stored: int, start: int) -> None:
        self.lost.append((partition, stored, start))

    async def tick(self) -> None: ...

    def committed(self, partition: int) -> int | None:
        return self.stored.get(partition)

    def values(self, partition: int) -> list[bytes]:
        return [record.value for record in self.read.get(partition, [])]


@asynccontextmanager
async def reading(
    log: dict[int, list[bytes]], handler: Any, identify: Callable[[], TopicIdentity | None] | None = None
) -> AsyncIterator[tuple[LogReader, asyncio.Task[None]]]:
    reader = LogReader(
        lambda: Consumer(log),  # pyright: ignore[reportArgumentType] - what the reader uses of it
        replace(TOPIC, partitions=len(log)),
        handler,
        mode="assign",
        tick_s=0.05,
        identify=identify,
    )
    task = asyncio.create_task(reader.run())
    try:
        yield reader, task
    finally:
        reader.stop()
        await asyncio.wait([task], timeout=10)
        assert task.done(), "the reader did not stop"


async def test_unreadable_records_are_passed_over_and_everything_else_is_read_once() -> None:
    log = {
        0: [b"a", b"b"],
        1: [b"c", UNREADABLE, b"d", b"e", UNREADABLE],
        2: [UNREADABLE, b"f"],
    }
    handler = Handler()
    async with reading(log, handler) as (reader, _):
        await eventually(lambda: sum(map(len, handler.read.values())) == 9)
        await eventually(lambda: sum(reader.lag().values()) == 0)
        log[1].append(b"g")
        await eventually(lambda: handler.values(1)[-1] == b"g")
    assert [handler.values(p) for p in range(3)] == [
        [b"a", b"b"], [b"c", None, b"d", b"e", None, b"g"], [None, b"f"]
    ]  # fmt: skip
    stub = handler.read[1][1]
    assert (stub.offset, stub.value) == (1, None)
    assert b"UnicodeDecodeError" in dict(stub.headers)[HEADER]


async def test_log_that_ends_before_what_was_counted_is_read_from_its_end() -> None:
    log = {0: [b"a", b"b"]}
    handler = Handler({0: 7})
    async with reading(log, handler, lambda: TOPIC):
        await eventually(lambda: handler.lost)
        log[0].append(b"c")
        await eventually(lambda: handler.values(0) == [b"c"])
    assert handler.lost == [(0, 7, 2)]


async def test_log_that_ends_before_what_one_tier_counted_is_known_though_another_lags() -> None:
    class Lagging(Handler):
        async def assigned(self, partition: int) -> int | None:
            return 1

    handler = Lagging({0: 7})
    async with reading({0: [b"a", b"b"]}, handler, lambda: TOPIC):
        await eventually(lambda: handler.lost)
    assert handler.lost == [(0, 7, 2)]
    assert handler.values(0) == []


@pytest.mark.parametrize("stored", [1, 7])
async def test_topic_made_anew_ends_the_reader_before_an_old_offset_is_used(stored: int) -> None:
    handler = Handler({0: stored})
    async with reading({0: [b"a", b"b"]}, handler, lambda: replace(TOPIC, topic_id="topic-2")) as (_, task):
        await asyncio.wait([task], timeout=10)
        with pytest.raises(TopicReplaced, match="deleted and made again"):
            task.result()
    assert (handler.read, handler.lost) == ({}, [])


async def test_store_that_is_away_is_waited_for_once_and_not_by_every_partition() -> None:
    class Away(Handler):
        away = True

        async def assigned(self, partition: int) -> int | None:
            self.loads.append(partition)
            if self.away:
                raise Retryable("no primary")
            return None

    handler = Away()
    reader = LogReader(lambda: None, TOPIC, handler, mode="assign")  # pyright: ignore[reportArgumentType]
    consumer: Any = Consumer({0: [], 1: [], 2: []})
    consumer.assign([TopicPartition("t", p) for p in range(3)])
    reader.hold(consumer, [TopicPartition("t", p) for p in range(3)])
    await reader._load_due(consumer)
    assert len(handler.loads) == 1
    handler.away = False
    await reader._load_due(consumer)
    assert len(handler.loads) == 3


async def test_nothing_is_fetched_until_every_partition_that_is_due_was_loaded() -> None:
    """A fetch under way would hold up what Kafka is asked for the next partition."""
    log = {0: [b"a"], 1: [b"b"], 2: [b"c"]}

    class Loaded(Handler):
        async def assigned(self, partition: int) -> int | None:
            assert consumer.paused == set(consumer.position)
            return await super().assigned(partition)

    handler = Loaded()
    reader = LogReader(lambda: None, TOPIC, handler, mode="assign")  # pyright: ignore[reportArgumentType]
    consumer: Any = Consumer(log)
    consumer.assign([TopicPartition("t", p) for p in log])
    reader.hold(consumer, [TopicPartition("t", p) for p in log])
    await reader._load_due(consumer)
    assert (handler.loads, reader.partitions, consumer.paused) == ([0, 1, 2], {0, 1, 2}, set())


async def test_what_was_loaded_is_read_though_the_next_partition_cannot_be() -> None:
    class Away(Handler):
        async def assigned(self, partition: int) -> int | None:
            if partition == 1:
                raise Retryable("no primary")
            return await super().assigned(partition)

    reader = LogReader(lambda: None, TOPIC, Away(), mode="assign")  # pyright: ignore[reportArgumentType]
    consumer: Any = Consumer({0: [], 1: [], 2: []})
    consumer.assign([TopicPartition("t", p) for p in range(3)])
    reader.hold(consumer, [TopicPartition("t", p) for p in range(3)])
    await reader._load_due(consumer)
    assert consumer.paused == {TopicPartition("t", 1), TopicPartition("t", 2)}


async def test_partition_that_was_taken_away_and_held_again_while_others_loaded_stays_paused() -> None:
    tps = [TopicPartition("t", p) for p in range(2)]

    class Rebalanced(Handler):
        async def assigned(self, partition: int) -> int | None:
            if partition == 1:
                reader._own.revoke()
                reader.hold(consumer, tps)
            return await super().assigned(partition)

    handler = Rebalanced()
    reader = LogReader(lambda: None, TOPIC, handler, mode="assign")  # pyright: ignore[reportArgumentType]
    consumer: Any = Consumer({0: [b"a"], 1: []})
    consumer.assign(tps)
    reader.hold(consumer, tps)
    await reader._load_due(consumer)
    assert (reader.partitions, consumer.paused) == (set(), set(tps))


async def test_revocation_waits_no_longer_than_its_time_for_a_busy_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logreader, "REVOKE_TIMEOUT_S", 0.1)
    done = asyncio.Event()

    class Slow(Handler):
        async def records(self, partition: int, records: Sequence[Any]) -> None:
            await done.wait()

    handler = Slow()
    async with reading({0: [b"a"], 1: []}, handler) as (reader, _):
        await eventually(lambda: reader._lock.locked() and reader.partitions == {0, 1})
        await asyncio.wait_for(reader.release(), 2)
        assert reader.partitions == set()
        assert handler.left == []
        done.set()
        await eventually(lambda: handler.left == [0, 1])
        assert reader.partitions == set(), "what was handed over last does not bring the partition back"


class Quiet(Consumer):
    """Answers a poll after its whole time, as a log in which nothing comes does."""

    asked_ms = 0

    async def getmany(
        self, *tps: TopicPartition, timeout_ms: int, max_records: int | None
    ) -> dict[TopicPartition, list[Any]]:
        self.asked_ms = timeout_ms
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000):
                await asyncio.Event().wait()
        return {}


async def test_quiet_log_is_polled_once_a_tick_and_a_new_assignment_does_not_wait_for_it() -> None:
    handler, consumer = Handler(), Quiet({0: [], 1: []})
    made: Any = consumer
    reader = LogReader(lambda: made, replace(TOPIC, partitions=2), handler, mode="assign", tick_s=60)
    task = asyncio.create_task(reader.run())
    await eventually(lambda: reader.ready)
    await eventually(lambda: consumer.asked_ms > 50_000)
    reader.hold(made, [TopicPartition("t", 1)])
    await eventually(lambda: reader.partitions == {1})
    reader.stop()
    async with asyncio.timeout(5):
        await task
    assert handler.left == [1]
