"""Dead letters are shown with their story, and go back untouched."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from vigie_contracts.topics import DEAD
from vigie_runtime.bus import dead_reading
from vigie_runtime.bus.dead_letters import DeadLetters
from vigie_standalone import dead
from vigie_standalone.embedded.servers import Server, Servers
from vigie_standalone.kafka_access import KafkaUnavailableError

from tests.kit.kafka_login import aiokafka_login


@dataclass
class Record:
    """As much of a ConsumerRecord as is used."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp: int = 0


@pytest.mark.timeout(200)
async def test_dead_records_are_listed_and_replayed_to_where_they_came_from(
    own_servers: Servers, unique: Callable[[str], str]
) -> None:
    bootstrap = own_servers.start([Server.KAFKA])[Server.KAFKA].url
    assert await dead.read(bootstrap, 10) == []  # no such topic yet
    origin, other = unique("origin"), unique("other")
    await make_topics(bootstrap, {origin: 3, other: 1, DEAD.name: 1})
    own = [("ce_id", b"1"), ("traceparent", b"00-aa-bb-01")]
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, **aiokafka_login()) as producer:
        for number in range(3):
            headers = [*own, *story(origin, 2, number)]
            await producer.send_and_wait(DEAD.name, b"value-%d" % number, key=b"key", headers=headers)
        await producer.send_and_wait(DEAD.name, b"x", headers=story(other, 0, 9))
        await producer.send_and_wait(DEAD.name, b"told by nobody")

    letters = await dead.read(bootstrap, 2, origin)
    assert [letter.value for letter in letters] == [b"value-1", b"value-2"]
    assert f"{origin}/2@1  7 bytes  aggregator 1.2.3  bad version byte" in dead.describe(letters[0])
    assert dead.summary(letters) == [f"     2  {origin}  bad version byte"]
    assert len(await dead.read(bootstrap, 100)) == 4

    assert await dead.replay(bootstrap, letters) == 2
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, **aiokafka_login(), auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign([TopicPartition(origin, number) for number in range(3)])
        records = [await consumer.getone(), await consumer.getone()]
    assert [(r.partition, r.key, r.value, list(r.headers)) for r in records] == [
        (2, b"key", b"value-1", own),
        (2, b"key", b"value-2", own),
    ]


def test_story_is_read_as_the_runtime_writes_it() -> None:
    record = Record("vigie.samples.v1", 3, 42, b"k", b"v", [("ce_id", b"1")])
    letters = DeadLetters(lambda: None, "aggregator", "1.2.3")
    told = letters._story(record, "bad version byte")
    assert {name for name, _ in told} == dead_reading.STORY
    dead_record = Record(DEAD.name, 0, 0, b"k", b"v", [("ce_id", b"1"), *told])
    letter = dead_reading.parse(dead_record)
    assert letter is not None
    assert (letter.topic, letter.partition, letter.offset) == ("vigie.samples.v1", 3, 42)
    assert letter.headers == (("ce_id", b"1"),)
    assert "aggregator 1.2.3  bad version byte" in dead.describe(letter)


async def test_unreachable_kafka_is_a_sentence() -> None:
    with pytest.raises(KafkaUnavailableError, match=r"127\.0\.0\.1:1 cannot be used"):
        await dead.read("127.0.0.1:1", 1)


def story(topic: str, partition: int, offset: int) -> list[tuple[str, bytes]]:
    told = {"topic": topic, "partition": partition, "offset": offset, "reason": "bad version byte"}
    told |= {"service": "aggregator", "version": "1.2.3"}
    return [(f"{dead_reading.PREFIX}{name}", str(value).encode()) for name, value in told.items()]


async def make_topics(bootstrap: str, topics: dict[str, int]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **aiokafka_login())
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, count, 1) for name, count in topics.items()])
    finally:
        await admin.close()
