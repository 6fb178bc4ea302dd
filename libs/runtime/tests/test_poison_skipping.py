"""Whatever the Kafka client fails at, nothing that it moved past is acknowledged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException, KafkaConnectionError
from aiokafka.structs import ConsumerRecord, TopicPartition
from vigie_runtime.bus.poison_skipping import PoisonSkippingConsumer

RECORDS = 4
BAD = 2
"""Offset of the record that cannot be read, in the last partition."""
PLACES = [TopicPartition("reports", number) for number in range(3)]


class Log:
    """What a broker and the client under test do, as far as positions go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        self.error: Exception | None = error
        self.position = dict.fromkeys(PLACES, 0)
        self.acknowledged = dict.fromkeys(PLACES, 0)
        self.away = 0
        """How many questions about offsets fail."""

        async def committed(_: Any, place: TopicPartition) -> int | None:
            if self.away:
                self.away -= 1
                raise KafkaConnectionError("no coordinator")
            return self.acknowledged[place] or None

        async def beginning_offsets(_: Any, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
            return dict.fromkeys(places, 0)

        async def getmany(
            _: Any, *partitions: TopicPartition, timeout_ms: int, max_records: int | None
        ) -> dict[TopicPartition, list[Any]]:
            found: dict[TopicPartition, list[Any]] = {}
            for place in partitions or PLACES:
                for offset in range(self.position[place], RECORDS)[:max_records]:
                    if self.error is not None and (place, offset) == (PLACES[-1], BAD):
                        raise self.error
                    self.position[place] = offset + 1
                    found.setdefault(place, []).append(
                        ConsumerRecord(place.topic, place.partition, offset, 0, 0, None, b"", None, -1, 0, ())
                    )
            return found

        for name, method in {
            "assignment": lambda _: set(PLACES),  # pyright: ignore[reportUnknownLambdaType]
            "seek": lambda _, place, offset: self.position.update({place: offset}),  # pyright: ignore
            "committed": committed,
            "beginning_offsets": beginning_offsets,
            "getmany": getmany,
        }.items():  # fmt: skip
            monkeypatch.setattr(AIOKafkaConsumer, name, method)

    async def read(self, consumer: PoisonSkippingConsumer, calls: int = 40) -> list[tuple[int, int, bool]]:
        """What was handed out, all of it acknowledged as FastStream does: by the client's positions."""
        seen: list[tuple[int, int, bool]] = []
        for _ in range(calls):
            try:
                found = await consumer.getmany()
            except KafkaConnectionError:
                continue
            for place, records in found.items():
                seen += [(place.partition, record.offset, bool(record.headers)) for record in records]
            if found:
                self.acknowledged = dict(self.position)
        return seen


EVERYTHING = [(place.partition, offset) for place in PLACES for offset in range(RECORDS)]


@pytest.mark.parametrize("away", [0, 1, 2, 4])
@pytest.mark.parametrize(
    "error", [CorruptRecordException("Invalid CRC"), UnicodeDecodeError("utf-8", b"x", 0, 1, "no")], ids=["crc", "utf8"]
)
async def test_unreadable_record_is_a_stub_and_its_neighbours_in_all_partitions_are_handed_out(
    monkeypatch: pytest.MonkeyPatch, error: Exception, away: int
) -> None:
    log = Log(monkeypatch, error)
    log.away = away
    seen = await log.read(PoisonSkippingConsumer())
    assert sorted(seen) == [(*place, place == (PLACES[-1].partition, BAD)) for place in EVERYTHING]
    assert log.acknowledged == dict.fromkeys(PLACES, RECORDS)


@pytest.mark.parametrize("away", [0, 1, 2])
async def test_after_any_other_failure_it_begins_again_where_the_group_is(
    monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    log = Log(monkeypatch, ZeroDivisionError("a bug"))
    consumer = PoisonSkippingConsumer()
    with pytest.raises(ZeroDivisionError):
        await consumer.getmany()
    log.error, log.away = None, away
    seen = await log.read(consumer)
    assert sorted(seen) == [(*place, False) for place in EVERYTHING]
