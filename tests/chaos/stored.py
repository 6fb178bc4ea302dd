"""Reads what was counted straight from MongoDB and Redis, past every service; only the codecs are shared."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis
from vigie_contracts import latest
from vigie_contracts.series import to_unsigned
from vigie_contracts.tiers import CHUNK_SLOTS, TIERS, Tier
from vigie_contracts.topics import SAMPLES
from vigie_storage.collections import windows
from vigie_windows import chunks

from tests.chaos.ledger import Cell, Cells, Counts, Ledger, Running
from tests.kit.kafka_login import librdkafka_login

KAFKA_TIMEOUT_S = 10

Database = AsyncDatabase[dict[str, Any]]
SeriesPlacement = dict[tuple[int, int], int]
"""(partition, ordinal) -> fingerprint, or FOREIGN."""
FOREIGN, HOMELESS = -2, -1
"""Fingerprints of a series that another test sent, and of a place where the catalogue has none."""


async def counts(
    database: Database, ledger: Ledger, tiers: Sequence[Tier] = TIERS, divided_from: int | None = None
) -> Counts:
    """All windows of the ledger's series, and their running state as MongoDB keeps it. `divided_from`: so many
    partitions there were; windows in places of other parts of one partition are nobody's then."""
    placements = await series_homes(database, ledger)
    if divided_from is not None:
        family = {(partition % divided_from, ordinal) for partition, ordinal in placements}
        parts = {partition for partition, _ in placements} | set(range(divided_from))
        left = {(part, ordinal) for part in parts for first, ordinal in family if part % divided_from == first}
        placements = dict.fromkeys(left, FOREIGN) | placements
    windows = {tier.name: await _windows(database, ledger.tenant, tier, placements) for tier in tiers}
    return Counts(windows, await _stored_running(database, ledger.tenant, placements))


async def series_homes(database: Database, ledger: Ledger) -> SeriesPlacement:
    """Where each series of the tenant lives. Two series in one place would be a disaster: it raises."""
    placements: SeriesPlacement = {}
    async for document in database.series.find({"tenant": ledger.tenant}):
        place = (document["partition"], document["ordinal"])
        if place in placements:
            raise AssertionError(f"two series share partition {place[0]}, ordinal {place[1]}")
        placements[place] = to_unsigned(document["_id"]) if document["name"].startswith(ledger.prefix) else FOREIGN
    return placements


async def cached_running(redis: Redis, database: Database, ledger: Ledger) -> dict[int, Running]:
    """The running state as Redis has it."""
    placements = await series_homes(database, ledger)
    found: dict[int, Running] = {}
    for name, packed in (await redis.hgetall(latest.hash_key(ledger.tenant))).items():
        partition, chunk = (int(part) for part in bytes(name).decode().split(":"))
        found |= _unpacked(partition, chunk, bytes(packed), placements)
    return found


async def _windows(database: Database, tenant: str, tier: Tier, placements: SeriesPlacement) -> Cells:
    documents: defaultdict[int, list[tuple[int, int, dict[str, Any]]]] = defaultdict(list)
    async for document in database[windows(tier).name].find({"_id.t": tenant}):
        place = document["_id"]
        documents[place["p"]].append((place["c"], place["w"], document))
    found: Cells = {}
    for partition, stored in documents.items():
        cells = chunks.decode_many(stored, tier.width_ms)
        columns = (cells.count, cells.sum, cells.min, cells.max, cells.first_ts, cells.first, cells.last_ts, cells.last)
        for row, start, *values in zip(cells.rows, cells.starts, *columns, strict=True):
            fingerprint = placements.get((partition, int(row)), HOMELESS)
            if fingerprint != FOREIGN:
                found[fingerprint, int(start)] = Cell(*(value.item() for value in values))
    return found


async def _stored_running(database: Database, tenant: str, placements: SeriesPlacement) -> dict[int, Running]:
    found: dict[int, Running] = {}
    async for document in database.latest.find({"_id.t": tenant}):
        place = document["_id"]
        found |= _unpacked(place["p"], place["c"], bytes(document["data"]), placements)
    return found


def _unpacked(partition: int, chunk: int, packed: bytes, placements: SeriesPlacement) -> dict[int, Running]:
    state = latest.unpack(packed)
    columns = (state.counts, state.sums, state.timestamps, state.values)
    found = {
        placements.get((partition, chunk * CHUNK_SLOTS + int(slot)), HOMELESS): Running(
            *(value.item() for value in values)
        )
        for slot, *values in zip(state.slots, *columns, strict=True)
    }
    found.pop(FOREIGN, None)
    return found


async def ends(bootstrap: str, topic: str = SAMPLES.name) -> dict[int, int]:
    """The end offset of every partition of a topic; nothing when there is no such topic. Raises KafkaException."""
    return await asyncio.to_thread(_ends, bootstrap, topic)


def _ends(bootstrap: str, topic: str) -> dict[int, int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, **librdkafka_login(), "group.id": "verifier", "log_level": 0})
    try:
        described = consumer.list_topics(topic, timeout=KAFKA_TIMEOUT_S).topics[topic]
        if described.error is not None:
            return {}
        places = [TopicPartition(topic, partition) for partition in described.partitions]
        return {place.partition: _end(consumer, place) for place in places}
    finally:
        consumer.close()


def _end(consumer: Consumer, place: TopicPartition) -> int:
    watermarks = consumer.get_watermark_offsets(place, timeout=KAFKA_TIMEOUT_S)
    if watermarks is None:
        raise KafkaException(f"no answer for {place}")
    return watermarks[1]


async def behind(
    database: Database,
    bootstrap: str,
    tiers: Sequence[Tier] = TIERS,
    topic: str = SAMPLES.name,
    log: Mapping[int, int] | None = None,
) -> str:
    """Which partitions and tiers have not been counted to the end of the log, or to where it ended when `ends` gave
    `log`; empty when all are."""
    try:
        log = await ends(bootstrap, topic) if log is None else log
    except KafkaException as error:
        return f"Kafka does not answer: {error}"
    if not log:
        return f"no topic {topic}"
    documents = {d["_id"]: d async for d in database.partitions.find({})}
    lagging: list[str] = []
    for partition, end in log.items():
        stored = documents.get(f"{topic}/{partition}", {}).get("next", {})
        lagging += [
            f"{partition}/{tier.name}: {stored.get(tier.name)} of {end}"
            for tier in tiers
            if end and (stored.get(tier.name) or 0) < end
        ]
    return ", ".join(lagging)
