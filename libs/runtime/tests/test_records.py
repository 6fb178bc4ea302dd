"""The publisher of single records: acknowledged, or not; and who learns of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError
from vigie_contracts.headers import header
from vigie_contracts.topics import Topic
from vigie_runtime import clients
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.errors import BufferFull, BusUnavailable
from vigie_runtime.settings import Settings
from vigie_standalone.embedded.servers import Server, Servers
from vigie_storage import topics as recorded_topics

from tests.kit import eventually


class FakeProducer:
    """Acknowledges at once; values that say so are never acknowledged, or fail, or find the batch full twice."""

    made = 0

    def __init__(self) -> None:
        FakeProducer.made += 1
        self.number = FakeProducer.made
        self.full = 2
        self._sender = self._message_accumulator = self
        self.sender_task = None
        self._batches: dict[Any, Any] = {}
        self._pending_batches: set[Any] = set()

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def partitions_for(self, topic: str) -> set[int]:
        return {0, 1}

    async def send(self, topic: str, value: bytes, key: bytes, headers: Any) -> asyncio.Future[None]:
        if value == b"full" and self.full:
            self.full -= 1
            raise KafkaTimeoutError
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if value == b"fails":
            sent.set_exception(KafkaError("no"))
        elif value != b"lost":
            sent.set_result(None)
        return sent


def publisher(**options: Any) -> RecordPublisher:
    return RecordPublisher(FakeProducer, "topic", 2, **{"source": "/vigie/test", "delivery_timeout_s": 0.3, **options})  # type: ignore[arg-type]


async def test_record_that_is_not_acknowledged_in_time_fails_with_those_behind_it_and_the_next_one_succeeds() -> None:
    made = publisher()
    await made.start()
    before = FakeProducer.made
    first = asyncio.create_task(made.publish(b"k", b"lost"))
    await eventually(lambda: made.held > 0)
    await made.publish(b"k", b"good")
    second = asyncio.create_task(made.publish(b"k", b"lost"))
    for task in (first, second):
        with pytest.raises(BusUnavailable):
            await task
    await made.publish(b"k", b"good")
    assert FakeProducer.made == before + 2
    assert made.held == 0
    await made.close()


async def test_error_of_one_record_fails_those_that_wait_with_it_at_once() -> None:
    made = publisher(delivery_timeout_s=30.0)
    await made.start()
    waiting = asyncio.create_task(made.publish(b"k", b"lost"))
    await eventually(lambda: made.held > 0)
    with pytest.raises(BusUnavailable, match="no"):
        await made.publish(b"k", b"fails")
    with pytest.raises(BusUnavailable, match="given up"):
        await asyncio.wait_for(waiting, 5)
    await made.close()


async def test_a_full_batch_is_waited_for() -> None:
    made = publisher()
    await made.start()
    await made.publish(b"k", b"full")
    await made.close()


async def test_what_would_be_too_much_is_refused_at_once() -> None:
    made = publisher(max_buffered_bytes=10)
    await made.start()
    waiting = asyncio.create_task(made.publish(b"k", b"lost"))
    await eventually(lambda: made.held == 5)
    with pytest.raises(BufferFull, match="5 bytes wait"):
        await made.publish(b"kkk", b"vvv")
    with pytest.raises(BusUnavailable):
        await waiting
    await made.publish(b"kkk", b"vvv")
    await made.close()


async def test_close_waits_for_what_is_in_flight_and_no_longer_than_allowed() -> None:
    made = publisher(delivery_timeout_s=30.0)
    await made.start()
    waiting = asyncio.create_task(made.publish(b"k", b"lost"))
    await eventually(lambda: made.held > 0)
    await made.close(0.05)
    with pytest.raises(BusUnavailable, match="shut down"):
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(BusUnavailable):
        await made.publish(b"k", b"v")


async def test_records_of_a_key_stand_in_order_in_one_partition_with_their_headers(
    settings: Settings, make_topic: Any
) -> None:
    topic = await make_topic(4)
    made = RecordPublisher(
        lambda: clients.kafka_producer(settings, client_id="test"), topic.topic, 4, source="/vigie/test"
    )
    await made.start()
    await asyncio.gather(*(made.publish(f"k{n % 8}".encode(), str(n).encode(), id_=f"id-{n}") for n in range(200)))
    await made.close()
    found = await _records(settings, topic.topic, 4)
    assert len(found) == 200
    by_key: dict[bytes, list[Any]] = {}
    for record in found:
        by_key.setdefault(record.key, []).append(record)
    for records in by_key.values():
        assert len({record.partition for record in records}) == 1
        values = [int(record.value) for record in records]
        assert values == sorted(values)
    one = found[0]
    assert header(one.headers, "ce_id") == f"id-{int(one.value)}"
    assert header(one.headers, "ce_type") == topic.topic
    assert header(one.headers, "content-type") == "application/json"


@pytest.mark.fault
@pytest.mark.timeout(120)
async def test_what_was_acknowledged_survives_a_broker_that_is_killed(
    own_servers: Servers, mongo_uri: str, database: Any
) -> None:
    own_servers.start([Server.KAFKA])
    settings = Settings(
        kafka_bootstrap_servers=own_servers.kafka.bootstrap, mongodb_uri=mongo_uri, redis_url="redis://x",
        mongodb_database=database.name,
    )  # fmt: skip
    await recorded_topics.ensure(settings, [Topic("t", 2, "test")], database)
    made = RecordPublisher(
        lambda: clients.kafka_producer(settings, client_id="test"), "t", 2, source="/vigie/test", delivery_timeout_s=5.0
    )
    await made.start()
    acknowledged: list[int] = []

    async def send(n: int) -> None:
        while n not in acknowledged:
            try:
                await made.publish(str(n % 5).encode(), str(n).encode())
                acknowledged.append(n)
            except BusUnavailable:
                await asyncio.sleep(0.2)  # as a sender would: Kafka is away for a while

    first = asyncio.gather(*(send(n) for n in range(100)))
    await first
    broker = own_servers.kafka.brokers[0]
    broker.kill()
    second = asyncio.gather(*(send(n) for n in range(100, 200)))
    await asyncio.to_thread(broker.launch)
    await asyncio.to_thread(broker.wait_ready, 60)
    await asyncio.wait_for(second, 60)
    await made.close()
    assert {int(record.value) for record in await _records(settings, "t", 2)} == set(range(200))


async def _records(settings: Settings, topic: str, partitions: int) -> list[Any]:
    consumer = clients.kafka_consumer(settings, client_id="check")
    await consumer.start()
    try:
        places = [clients.TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        while len(found) < sum(ends.values()):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
        return found
    finally:
        await consumer.stop()
