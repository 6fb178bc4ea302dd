"""The log reader on a real Kafka and MongoDB: exactly once whatever happens to its members."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counting_reader import CountingHandler
from pymongo.asynchronous.database import AsyncDatabase
from vigie_contracts.samples import SampleColumns
from vigie_contracts.topics import Topic
from vigie_runtime import clients
from vigie_runtime.bus.log_reader import LogReader
from vigie_runtime.bus.publisher import SamplePublisher
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.errors import Fenced, Retryable
from vigie_runtime.settings import Settings
from vigie_standalone.embedded.servers import Server, Servers
from vigie_storage import topics as recorded_topics

from tests.kit import Process, eventually, unique

Db = AsyncDatabase[dict[str, Any]]
PROGRAM = Path(__file__).with_name("counting_reader.py")


@asynccontextmanager
async def publisher(settings: Settings, topic: TopicIdentity, **options: Any) -> AsyncIterator[SamplePublisher]:
    made = SamplePublisher(
        lambda: clients.kafka_producer(settings, client_id="test"),
        topic.topic,
        topic.partitions,
        source="/vigie/test",
        **options,
    )
    await made.start()
    yield made
    await made.close()


async def publish(to: SamplePublisher, count: int, size: int = 200) -> tuple[int, float]:
    """`count` samples of 500 series; what must be read: (samples, sum)."""
    rng = np.random.default_rng(count)
    series = rng.integers(0, 1 << 63, 500, dtype=np.uint64)
    total = 0.0
    for start in range(0, count, size * 20):
        sends = []
        for _ in range(min(20, (count - start) // size)):
            values = rng.integers(0, 100, size).astype(np.float64)
            total += float(values.sum())
            sends.append(to.publish(SampleColumns(rng.choice(series, size), np.full(size, 1_700_000_000_000), values)))
        await asyncio.gather(*sends)
    return count, total


async def counted(db: Db) -> tuple[int, float]:
    documents = await db.sums.find().to_list()
    return sum(d["count"] for d in documents), sum(d["sum"] for d in documents)


@asynccontextmanager
async def reading(
    settings: Settings, topic: TopicIdentity, handler: Any, **options: Any
) -> AsyncIterator[tuple[LogReader, asyncio.Task[None]]]:
    group = options.pop("group", unique("group"))
    mode = options.pop("mode", "group")
    reader = LogReader(
        lambda: clients.kafka_consumer(settings, client_id="test", group_id=group if mode == "group" else None),
        topic,
        handler,
        mode=mode,
        tick_s=0.1,
        **options,
    )
    task = asyncio.create_task(reader.run())
    try:
        yield reader, task
    finally:
        reader.stop()
        await asyncio.wait([task], timeout=20)
        assert task.done(), "the reader did not stop"


class Members:
    """Processes of one group."""

    def __init__(self, directory: Path, settings: Settings, topic: TopicIdentity) -> None:
        self.directory = directory
        password = settings.kafka_sasl_password
        secrets = {
            "mongodb_uri": settings.mongodb_uri,
            "redis_url": settings.redis_url,
            "kafka_sasl_password": password and password.get_secret_value(),
        }
        self.arguments = [
            json.dumps(settings.model_dump(mode="json") | secrets), json.dumps(asdict(topic)), unique("group")
        ]  # fmt: skip
        self.all: list[Process] = []

    def start(self) -> Process:
        name = f"member-{len(self.all)}"
        process = Process(
            name, [sys.executable, str(PROGRAM), *self.arguments],
            log_path=self.directory / f"{name}.log", ready=lambda: True,
        )  # fmt: skip
        process.start(30)
        self.all.append(process)
        return process

    def reads(self, member: Process) -> bool:
        return '"message": "reading"' in (self.directory / f"member-{self.all.index(member)}.log").read_text()


@pytest.fixture
def members(tmp_path: Path, settings: Settings):
    made: list[Members] = []

    def make(topic: TopicIdentity) -> Members:
        made.append(Members(tmp_path, settings, topic))
        return made[-1]

    yield make
    for group in made:
        for process in group.all:
            process.kill()


@pytest.mark.parametrize("mode", ["group", "assign"])
async def test_every_sample_is_read_once(settings: Settings, make_topic: Any, database: Db, mode: str) -> None:
    topic = await make_topic()
    async with publisher(settings, topic) as to:
        expected = await publish(to, 200_000)
    async with reading(settings, topic, CountingHandler(database), mode=mode) as (reader, _):
        await eventually(lambda: reader.ready and len(reader.partitions) == topic.partitions)
        await eventually(lambda: is_counted(database, expected))
        await eventually(lambda: sum(reader.lag().values()) == 0)
    # Nothing is read again after a restart, and what comes later is.
    async with publisher(settings, topic) as to:
        more = await publish(to, 10_000)
    async with reading(settings, topic, CountingHandler(database), mode=mode):
        await eventually(lambda: is_counted(database, (expected[0] + more[0], expected[1] + more[1])))


async def is_counted(db: Db, expected: tuple[int, float]) -> bool:
    got = await counted(db)
    assert got[0] <= expected[0], f"counted more than once: {got} of {expected}"
    assert got == expected, f"{got} of {expected}"
    return True


@pytest.mark.fault
@pytest.mark.timeout(120)
async def test_rebalances_kills_and_a_zombie_keep_the_sums_exact(
    settings: Settings, make_topic: Any, database: Db, members: Any
) -> None:
    topic = await make_topic()
    group: Members = members(topic)
    first = group.start()
    async with publisher(settings, topic) as to:
        expected = await publish(to, 20_000)
        await eventually(lambda: group.reads(first))

        async def keep_publishing() -> None:
            nonlocal expected
            while True:
                more = await publish(to, 4_000)
                expected = expected[0] + more[0], expected[1] + more[1]
                await asyncio.sleep(0.05)

        load = asyncio.create_task(keep_publishing())
        second = group.start()
        await eventually(lambda: group.reads(second))
        first.pause()  # SIGSTOP: its session ends, the second takes over, then it wakes up with stale memory
        await asyncio.sleep(settings.kafka_session_timeout_ms / 1000 + 2)
        first.resume()
        third = group.start()
        await eventually(lambda: group.reads(third))
        second.kill()
        await asyncio.sleep(3)
        first.stop()
        await asyncio.sleep(1)
        load.cancel()
        await asyncio.wait([load])
        assert load.cancelled()
    await eventually(lambda: total_is(database, topic, settings), 60)
    assert await counted(database) == await in_log(settings, topic)
    assert (await counted(database))[0] >= expected[0]


async def total_is(db: Db, topic: TopicIdentity, settings: Settings) -> bool:
    return await counted(db) == await in_log(settings, topic)


async def in_log(settings: Settings, topic: TopicIdentity) -> tuple[int, float]:
    """What a plain reading of the whole topic gives."""
    from vigie_contracts.samples import decode

    consumer = clients.kafka_consumer(settings, client_id="check")
    await consumer.start()
    try:
        tps = [clients.TopicPartition(topic.topic, p) for p in range(topic.partitions)]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        ends = await consumer.end_offsets(tps)
        count, total = 0, 0.0
        position = dict.fromkeys(tps, 0)
        while any(position[tp] < ends[tp] for tp in tps):
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    batch = decode(record.value)
                    count, total = count + len(batch), total + float(batch.values.sum())
                    position[tp] = record.offset + 1
        return count, total
    finally:
        await consumer.stop()


async def test_retryable_failures_are_waited_out_and_lose_nothing(
    settings: Settings, make_topic: Any, database: Db
) -> None:
    class Flaky(CountingHandler):
        failures = 0

        async def commit(self, partition: int) -> None:
            if self.failures < 12:
                self.failures += 1
                raise (Retryable("the store is away") if self.failures % 2 else Fenced(partition))
            await super().commit(partition)

    topic = await make_topic(3)
    async with publisher(settings, topic) as to:
        expected = await publish(to, 20_000)
    handler = Flaky(database)
    async with reading(settings, topic, handler):
        await eventually(lambda: is_counted(database, expected))
    assert handler.failures == 12


async def test_a_bug_in_the_handler_ends_the_reader(settings: Settings, make_topic: Any, database: Db) -> None:
    class Broken(CountingHandler):
        async def records(self, partition: int, records: Any) -> None:
            raise ZeroDivisionError

    topic = await make_topic(1)
    async with publisher(settings, topic) as to:
        await publish(to, 200)
    handler = Broken(database)
    async with reading(settings, topic, handler) as (reader, task):
        await asyncio.wait([task], timeout=20)
        assert isinstance(task.exception(), ZeroDivisionError)
        assert not reader.ready
    assert not [call for call in handler.calls if call[0] == "revoked"], "a broken state was stored"


async def test_deleted_records_are_reported_and_reading_goes_on(
    settings: Settings, make_topic: Any, database: Db
) -> None:
    topic = await make_topic(1)
    async with publisher(settings, topic) as to:
        for _ in range(5):
            await publish(to, 200)
    admin = clients.kafka_admin(settings)
    from confluent_kafka import TopicPartition as AdminPartition

    deleted = admin.delete_records([AdminPartition(topic.topic, 0, 3)])
    for future in deleted.values():
        await asyncio.to_thread(future.result, 20)
    await database.sums.insert_one({"_id": 0, "next": 1, "count": 200, "sum": 0.0})
    handler = CountingHandler(database)
    async with reading(settings, topic, handler):
        await eventually(lambda: database.sums.find_one({"next": {"$gte": 5}}))
    assert handler.lost == [(0, 1, 3)]
    assert (await counted(database))[0] == 600


async def test_log_that_was_cut_is_read_from_its_end_so_that_nothing_counts_twice(
    settings: Settings, make_topic: Any, database: Db
) -> None:
    topic = await make_topic(1)
    async with publisher(settings, topic) as to:
        await publish(to, 200)  # counted already
    await database.sums.insert_one({"_id": 0, "next": 1_000_000, "count": 0, "sum": 0.0})
    handler = CountingHandler(database)
    async with reading(settings, topic, handler) as (reader, _):
        await eventually(lambda: reader.ready and reader.partitions)
        async with publisher(settings, topic) as to:
            more = await publish(to, 400)
        await eventually(lambda: is_counted(database, more))
    ((partition, stored, start),) = handler.lost
    assert (partition, stored) == (0, 1_000_000)
    assert 0 < start < stored


@pytest.mark.fault
@pytest.mark.timeout(180)
async def test_kafka_and_mongodb_may_die_in_the_middle(own_servers: Servers) -> None:
    own_servers.start([Server.KAFKA, Server.MONGODB])
    settings = Settings(
        kafka_bootstrap_servers=own_servers.kafka.bootstrap, mongodb_uri=own_servers.mongo.uri,
        redis_url="redis://x", kafka_session_timeout_ms=3_000,
    )  # fmt: skip
    client = clients.mongo(settings)
    db = clients.database(client, settings)
    topic = (await recorded_topics.ensure(settings, [Topic("t", 4, "test")], db))["t"]
    async with publisher(settings, topic, delivery_timeout_s=60.0) as to:
        expected = await publish(to, 20_000)
        async with reading(settings, topic, CountingHandler(db)) as (reader, task):
            await eventually(lambda: reader.partitions)
            load = asyncio.create_task(publish(to, 40_000))
            await asyncio.to_thread(own_servers.mongo.members[0].kill)
            await asyncio.sleep(3)
            await asyncio.to_thread(own_servers.mongo.members[0].start, 60)
            await asyncio.to_thread(own_servers.kafka.brokers[0].kill)
            await asyncio.sleep(3)
            await asyncio.to_thread(own_servers.kafka.brokers[0].start, 60)
            more = await load
            expected = expected[0] + more[0], expected[1] + more[1]
            await eventually(lambda: counts(db, expected), 90)
            assert not task.done()
    assert await counted(db) == expected
    await client.close()


async def counts(db: Db, expected: tuple[int, float]) -> bool:
    return await counted(db) == expected
