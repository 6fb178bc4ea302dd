"""Reads dead letters with their story: what `dead_letters` wrote."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from vigie_contracts.headers import header
from vigie_contracts.topics import DEAD

from vigie_runtime.clients import AIOKafkaConsumer, ConsumerRecord, TopicPartition

PREFIX: Final = "vigie_"
STORY: Final = frozenset(PREFIX + part for part in ("topic", "partition", "offset", "reason", "service", "version"))
"""The headers that `vigie_runtime.bus.dead_letters` adds; all others are the record's own."""
FILTER_WINDOW: Final = 50_000
"""How many of the newest dead letters are looked through for those of one topic."""
POLL_MS: Final = 1_000


@dataclass(frozen=True)
class DeadLetter:
    """One dead record and its story."""

    topic: str
    partition: int
    offset: int
    reason: str
    service: str
    died_ms: int
    size: int
    """Bytes of its value."""
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    """The record's own."""


def parse(record: ConsumerRecord[bytes, bytes]) -> DeadLetter | None:
    """The dead letter in a record of the topic, None when its story is not told as Vigie tells it."""
    topic = header(record.headers, f"{PREFIX}topic")
    partition, offset = header(record.headers, f"{PREFIX}partition"), header(record.headers, f"{PREFIX}offset")
    if not topic or not _number(partition) or not _number(offset):
        return None
    return DeadLetter(
        topic=topic,
        partition=int(partition or 0),
        offset=int(offset or 0),
        reason=header(record.headers, f"{PREFIX}reason") or "no reason given",
        service=" ".join(
            part
            for part in (header(record.headers, f"{PREFIX}service"), header(record.headers, f"{PREFIX}version"))
            if part
        ),
        died_ms=record.timestamp,
        size=len(record.value or b""),
        key=record.key,
        value=record.value,
        headers=tuple((name, value) for name, value in record.headers if name not in STORY),
    )


async def newest(
    consumer: AIOKafkaConsumer, limit: int, topic: str = "", *, stories_only: bool = False
) -> list[DeadLetter]:
    """The newest `limit` dead letters (of `topic` only, when given), oldest first. `stories_only`: without what was in
    the records. The consumer has been started, and has no assignment yet."""
    if DEAD.name not in await consumer.topics():
        return []  # no service has run on this Kafka yet
    partitions = [TopicPartition(DEAD.name, number) for number in range(DEAD.partitions)]
    consumer.assign(partitions)
    begin = await consumer.beginning_offsets(partitions)
    end = await consumer.end_offsets(partitions)
    window = max(limit, FILTER_WINDOW) if topic else limit
    for partition in partitions:
        consumer.seek(partition, max(begin[partition], end[partition] - window))
    found: deque[DeadLetter] = deque(maxlen=limit)
    while any([await consumer.position(p) < end[p] for p in partitions]):
        for records in (await consumer.getmany(timeout_ms=POLL_MS, max_records=500)).values():
            letters = (parse(record) for record in records)
            wanted = (letter for letter in letters if letter and topic in ("", letter.topic))
            found.extend(replace(one, key=None, value=None, headers=()) if stories_only else one for one in wanted)
    return sorted(found, key=lambda letter: letter.died_ms)


def _number(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdigit()
