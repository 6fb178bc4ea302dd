"""What the database does not know of yet: records that lie in Kafka behind what was counted and stored."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, cast

from vigie_contracts.topics import SAMPLES
from vigie_runtime.clients import AIOKafkaConsumer, KafkaRecord, TopicPartition
from vigie_runtime.settings import Settings

from vigie_standalone.backup import records
from vigie_standalone.backup.manifest import LogTail
from vigie_standalone.kafka_access import consuming, producing

CLIENT: Final = "vigie-backup"
SILENCE_S: Final = 30.0
"""A broker that has records and gives none for so long is taken for one that is away."""
_POLL_MS: Final = 500
_MOST: Final = 500
"""Records that are read, or are on their way, at once."""

Positions = Mapping[TopicPartition, int]
Change = Callable[[KafkaRecord], bytes | None]
"""The value that is kept of a record."""


def reading(settings: Settings, group: str | None = None) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
    """A consumer that is not a member of its group. Raises KafkaUnavailableError, also for what happens inside."""
    return consuming(settings, CLIENT, group)


async def stored(consumer: AIOKafkaConsumer, wanted: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Up to where the consumer's group has stored what it reads; 0 where nobody has said."""
    partitions = list(wanted)
    consumer.assign(partitions)
    return {one: await consumer.committed(one) or 0 for one in partitions}


def untouched(record: KafkaRecord) -> bytes | None:
    """The value as it is."""
    return record.value


async def save(
    consumer: AIOKafkaConsumer, positions: Positions, ends: Positions, directory: Path, change: Change = untouched
) -> list[LogTail]:
    """Write what lies in each partition from its position to its end. Raises KafkaError."""
    begins = await consumer.beginning_offsets(list(positions))
    tails: list[LogTail] = []
    for partition, first in positions.items():
        start = max(first, begins[partition])
        name = LogTail(partition.topic, partition.partition, first, 0, "").file
        count, digest = 0, hashlib.sha256()
        with (directory / name).open("xb") as stream:
            async for record in _range(consumer, partition, start, ends[partition]):
                headers = [(key, value) for key, value in record.headers]
                saved = records.SavedRecord(record.timestamp, record.key, change(record), headers)
                digest.update(records.append(stream, saved))
                count += 1
        tails.append(LogTail(partition.topic, partition.partition, first, count, digest.hexdigest(), start - first))
    return tails


async def first(consumer: AIOKafkaConsumer, positions: Positions) -> KafkaRecord | None:
    """The record at the first of these positions; None when there is none. Raises KafkaError."""
    for partition, begin in positions.items():
        ends = await consumer.end_offsets([partition])
        async for record in _range(consumer, partition, begin, min(begin + 1, ends[partition])):
            return record
    return None


async def replay(settings: Settings, tails: Iterable[LogTail], directory: Path) -> int:
    """Send saved records to where they came from, each partition in its order; how many Kafka has acknowledged.
    Raises KafkaUnavailableError."""
    sent = 0
    oldest_ms = round(time.time() * 1000) - int(SAMPLES.config["retention.ms"]) // 2
    async with producing(settings, CLIENT) as producer:
        for tail in tails:
            waiting: list[asyncio.Future[Any]] = []
            for record in records.read(directory / tail.file):
                future = await producer.send(
                    tail.topic,
                    record.value,
                    key=record.key,
                    partition=tail.partition,
                    timestamp_ms=max(record.timestamp, oldest_ms),  # else Kafka deletes it before it is read
                    headers=record.headers,
                )
                waiting.append(future)
                if len(waiting) >= _MOST:
                    await asyncio.gather(*waiting)
                    waiting.clear()
                sent += 1
            await asyncio.gather(*waiting)
    return sent


async def rewind(settings: Settings, group: str, positions: Positions) -> None:
    """Have a group without members read on from there. Raises KafkaUnavailableError."""
    async with reading(settings, group) as consumer:
        consumer.assign(list(positions))
        await consumer.commit(dict(positions))


async def renew(settings: Settings, topic: str, partitions: int, kept: Mapping[str, bytes]) -> int:
    """Have a compacted topic say these values of all keys that it has, however new those are that it says now: readers
    keep the newest until they read of its end. How many keys it had. Raises KafkaUnavailableError."""
    wanted = [TopicPartition(topic, number) for number in range(partitions)]
    gone: list[tuple[int, bytes]] = []
    async with reading(settings) as consumer:
        consumer.assign(wanted)
        ends = await consumer.end_offsets(wanted)
        for partition, begin in (await consumer.beginning_offsets(wanted)).items():
            alive: dict[bytes, bool] = {}
            async for record in _range(consumer, partition, begin, ends[partition]):
                alive[record.key or b""] = record.value is not None
            gone += [(partition.partition, key) for key, lives in alive.items() if lives]
    async with producing(settings, CLIENT) as producer:
        for number, key in gone:
            await producer.send_and_wait(topic, None, key=key, partition=number)
            if (value := kept.get(key.decode(errors="replace"))) is not None:
                await producer.send_and_wait(topic, value, key=key, partition=number)
    return len(gone)


async def is_empty(settings: Settings, topics: Mapping[str, int]) -> dict[str, bool]:
    """Of each topic, given with its partitions, whether no record ever lay in it. Raises KafkaUnavailableError."""
    async with reading(settings) as consumer:
        wanted = [TopicPartition(topic, number) for topic, count in topics.items() for number in range(count)]
        ends = await consumer.end_offsets(wanted)
    return {topic: not any(end for one, end in ends.items() if one.topic == topic) for topic in topics}


async def _range(
    consumer: AIOKafkaConsumer, partition: TopicPartition, begin: int, end: int
) -> AsyncIterator[KafkaRecord]:
    if begin >= end:
        return
    consumer.assign([partition])
    consumer.seek(partition, begin)
    silent_since = asyncio.get_running_loop().time()
    while (position := await consumer.position(partition)) < end:
        found = await consumer.getmany(partition, timeout_ms=_POLL_MS, max_records=_MOST)
        for record in found.get(partition, []):
            if record.offset < end:
                yield cast("KafkaRecord", record)
        if await consumer.position(partition) > position:
            silent_since = asyncio.get_running_loop().time()
        elif asyncio.get_running_loop().time() > silent_since + SILENCE_S:
            raise TimeoutError(f"it gave nothing of {partition.topic}/{partition.partition} for {SILENCE_S:.0f} s")
