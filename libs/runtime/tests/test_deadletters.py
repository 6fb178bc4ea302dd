"""Dead letters keep their bytes and their story, and have a limit."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from vigie_runtime import clients
from vigie_runtime.clock import ManualClock
from vigie_runtime.deadletters import DeadLetters, Limit, Ratio
from vigie_runtime.errors import TooManyDeadLetters
from vigie_runtime.settings import Settings

from tests.kit import unique


def test_a_few_dead_letters_among_many_good_messages_are_fine() -> None:
    ratio = Ratio(Limit(ratio=0.5, least=20), ManualClock())
    ratio.good(1_000)
    for _ in range(500):
        ratio.dead()


def test_mostly_dead_input_stops_the_reader() -> None:
    ratio = Ratio(Limit(ratio=0.5, least=20), ManualClock())
    ratio.good(10)
    for _ in range(19):
        ratio.dead()
    with pytest.raises(TooManyDeadLetters, match="20 of the last 30"):
        ratio.dead()


def test_old_messages_no_longer_count() -> None:
    clock = ManualClock()
    ratio = Ratio(Limit(ratio=0.5, least=20, window_s=60), clock)
    for _ in range(19):
        ratio.dead()
    clock.advance(70)
    for _ in range(19):
        ratio.dead()


async def test_a_dead_letter_is_the_untouched_record_and_its_story(
    settings: Settings, make_topic: Callable[..., Awaitable[Any]]
) -> None:
    source, dead = await make_topic(1), await make_topic(1)
    producer = clients.kafka_producer(settings, client_id="test")
    await producer.start()
    await producer.send_and_wait(source.topic, b"\xff\x00", b"key", headers=[("ce_id", b"7"), ("odd", b"\xfe")])
    await producer.stop()
    consumer = clients.kafka_consumer(settings, source.topic, client_id="test", group_id=unique("group"))
    await consumer.start()
    record = await consumer.getone()
    await consumer.stop()

    letters = DeadLetters(
        lambda: clients.kafka_producer(settings, client_id="test"), "aggregator", "1.2", topic=dead.topic, partitions=1
    )
    await letters.send(record, "not a sample batch")
    await letters.close()

    consumer = clients.kafka_consumer(settings, dead.topic, client_id="test", group_id=unique("group"))
    await consumer.start()
    letter = await consumer.getone()
    await consumer.stop()
    assert (letter.value, letter.key) == (b"\xff\x00", b"key")
    assert dict(letter.headers) == {
        "ce_id": b"7", "odd": b"\xfe", "vigie_topic": source.topic.encode(), "vigie_partition": b"0",
        "vigie_offset": b"0", "vigie_reason": b"not a sample batch", "vigie_service": b"aggregator",
        "vigie_version": b"1.2",
    }  # fmt: skip
