"""Dead letters: records that no consumer could process, kept with their story on `vigie.dead.v1`.

Replaying sends the untouched record back to where it came from; the dead letter itself stays until it expires.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vigie_contracts.headers import header
from vigie_contracts.topics import DEAD
from vigie_runtime import logging
from vigie_runtime.clients import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from vigie_runtime.settings import Settings

from vigie_standalone.embedded.kafka import login
from vigie_standalone.kafka_access import consuming, producing

PREFIX = "vigie_"
STORY = frozenset(PREFIX + part for part in ("topic", "partition", "offset", "reason", "service", "version"))
"""The headers that `vigie_runtime.bus.dead_letters` adds; all others are the record's own."""
FILTER_WINDOW = 50_000
"""How many of the newest dead letters are looked through for those of one topic."""
POLL_MS = 1_000
READ_TIMEOUT_S = 120
CLIENT = "vigie-dead"


@dataclass(frozen=True)
class DeadLetter:
    """One dead record and its story."""

    topic: str
    partition: int
    offset: int
    reason: str
    service: str
    died_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    """The record's own."""


async def read(bootstrap: str, limit: int, topic: str = "", password: str = "") -> list[DeadLetter]:
    """The newest `limit` dead letters (of `topic` only, when given), oldest first.

    `password` is that of an embedded Kafka."""
    async with consuming(_settings(bootstrap, password), CLIENT) as consumer, asyncio.timeout(READ_TIMEOUT_S):
        return await _newest(consumer, limit, topic)


async def replay(bootstrap: str, letters: Sequence[DeadLetter], password: str = "") -> int:
    """Send the records back to their topic and partition, in order; returns how many Kafka acknowledged."""
    async with producing(_settings(bootstrap, password), CLIENT) as producer:
        for letter in letters:
            await producer.send_and_wait(
                letter.topic,
                letter.value,
                key=letter.key,
                partition=letter.partition,
                headers=list(letter.headers),
            )
    return len(letters)


def parse(record: ConsumerRecord) -> DeadLetter | None:
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
        key=record.key,
        value=record.value,
        headers=tuple((name, value) for name, value in record.headers if name not in STORY),
    )


def describe(letter: DeadLetter) -> str:
    """One line."""
    when = datetime.fromtimestamp(letter.died_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    size = len(letter.value or b"")
    return (
        f"{when}  {letter.topic}/{letter.partition}@{letter.offset}  {size} bytes  {letter.service or '-'}  "
        f"{letter.reason}"
    )


def summary(letters: Sequence[DeadLetter]) -> list[str]:
    """How many per topic and reason, most first."""
    counts = Counter((letter.topic, letter.reason) for letter in letters)
    return [f"{count:>6}  {topic}  {reason}" for (topic, reason), count in counts.most_common(20)]


async def _newest(consumer: AIOKafkaConsumer, limit: int, topic: str) -> list[DeadLetter]:
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
            found.extend(letter for letter in letters if letter and topic in ("", letter.topic))
    return sorted(found, key=lambda letter: letter.died_ms)


def _settings(bootstrap: str, password: str) -> Settings:
    """Kafka's security settings come from the environment as for a service, those of an embedded one are known; the
    other servers are not used. What the Kafka client has to say is no part of the answer."""
    logging.configure("vigie", "error")
    return Settings(
        kafka_bootstrap_servers=bootstrap,
        mongodb_uri="mongodb://unused",
        redis_url="redis://unused",
        **login(password),
    )


def _number(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdigit()
