"""Dead letters keep their bytes and their story, and have a limit."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from vigie_runtime import clients
from vigie_runtime.bus import dead_letters as deadletters
from vigie_runtime.bus.dead_letters import DeadLetters, Limit, Ratio
from vigie_runtime.clients import MessageSizeTooLargeError
from vigie_runtime.clock import ManualClock
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


class SmallKafka:
    """A producer, and its lease, that takes no more than 1 000 bytes."""

    def __init__(self, *_: Any) -> None:
        self.sent: list[tuple[bytes, bytes | None, dict[str, bytes]]] = []

    async def get(self) -> "SmallKafka":
        return self

    async def send_and_wait(self, topic: str, value: bytes, key: bytes | None = None, *, headers: Any) -> None:
        if len(value) + len(key or b"") + sum(len(name) + len(data) for name, data in headers) > 1_000:
            raise MessageSizeTooLargeError("too large")
        self.sent.append((value, key, dict(headers)))


async def test_record_that_is_too_large_for_a_dead_letter_leaves_a_stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadletters, "ProducerHolder", SmallKafka)
    letters = DeadLetters(lambda: None, "aggregator", "1.2")  # pyright: ignore[reportArgumentType]
    record = clients.ConsumerRecord("t", 3, 9, 0, 0, b"key", b"v" * 990, None, -1, -1, (("ce_id", b"7"),))
    await letters.send(record, "not a sample batch")
    kafka: Any = letters._producer
    ((value, key, headers),) = kafka.sent
    assert (value, key) == (b"", None)
    assert (headers["vigie_partition"], headers["vigie_offset"]) == (b"3", b"9")
    assert headers["vigie_left_out"] == b"990 bytes of value"
