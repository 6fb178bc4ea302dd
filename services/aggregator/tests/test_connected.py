"""The aggregator as a process, against real Kafka, MongoDB and Redis: sums equal what was produced, exactly."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka.admin import AdminClient
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from vigie_contracts.latest import hash_key, unpack
from vigie_contracts.samples import SampleBatch, encode
from vigie_contracts.series import Kind, series_key
from vigie_contracts.tiers import TIERS, Tier
from vigie_contracts.topics import DEAD, SAMPLES
from vigie_runtime.bus import topics
from vigie_runtime.settings import Settings
from vigie_storage import topics as recorded_topics
from vigie_storage.collections import windows
from vigie_storage.series.writer import Registered, SeriesWriter
from vigie_windows import chunks

from tests.kit import Process, Spawner, aiokafka_login, eventually, free_port, http_ready, librdkafka_login

PARTITIONS = 3
pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]
Totals = dict[tuple[int, int, int], tuple[int, float]]
"""(partition, ordinal, window start) -> count, sum"""


@dataclass
class Stage:
    """A topic and a database of one test, with series registered and a producer."""

    settings: Settings
    topic: str
    group: str
    tenant: str
    db: Any
    producer: AIOKafkaProducer
    spawn: Spawner
    placements: list[Registered] = field(default_factory=list)
    samples: list[tuple[Registered, int, float]] = field(default_factory=list)
    sent: dict[int, int] = field(default_factory=dict)
    """Partition -> end of its log."""

    async def register(self, count: int) -> None:
        keys = [series_key(self.tenant, "load_total", Kind.COUNTER, {"n": n}) for n in range(count)]
        catalogue = SeriesWriter(self.db, PARTITIONS)
        await catalogue.ensure_indexes()
        self.placements = [placed for placed in await catalogue.register(keys) if isinstance(placed, Registered)]
        assert len(self.placements) == count

    async def produce(self, samples: int, *, key: bytes | None = None, count: bool = True) -> None:
        """Random samples of random series, one record per partition."""
        now = time.time_ns() // 1_000_000
        chosen = random.choices(self.placements, k=samples)
        rows = [
            (placed, now - random.choice((0, 500, 15_000, 90_000)), float(random.randint(1, 9))) for placed in chosen
        ]
        for partition in range(PARTITIONS):
            mine = [row for row in rows if row[0].partition == partition]
            if mine:
                sent = await self.producer.send_and_wait(self.topic, _value(mine, key), partition=partition)
                self.sent[partition] = sent.offset + 1
        if count:
            self.samples += rows

    def aggregator(self, **env: str) -> Process:
        port = free_port()
        return self.spawn.module(
            "vigie_aggregator",
            env={
                "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_bootstrap_servers,
                "MONGODB_URI": self.settings.mongodb_uri,
                "REDIS_URL": self.settings.redis_url,
                "VIGIE_MONGODB_DATABASE": self.db.name,
                "VIGIE_SAMPLES_TOPIC": self.topic,
                "VIGIE_REPORTS_TOPIC": f"{self.topic}-reports",
                "VIGIE_CHECKS_TOPIC": f"{self.topic}-checks",
                "VIGIE_COMMANDS_TOPIC": f"{self.topic}-commands",
                "VIGIE_AGGREGATOR_GROUP": self.group,
                "VIGIE_AGGREGATOR_PORT": str(port),
                "VIGIE_PARTITIONS": str(PARTITIONS),
                "VIGIE_KAFKA_SESSION_TIMEOUT_MS": "3000",
                "VIGIE_COMMIT_INTERVAL_S": "0.1",
                "VIGIE_COARSE_INTERVAL_S": "1",
                **env,
            },
            ready=http_ready(f"http://127.0.0.1:{port}/health/ready"),
        )

    def expected(self, tier: Tier) -> Totals:
        totals: dict[tuple[int, int, int], list[float]] = defaultdict(lambda: [0, 0.0])
        for placed, ts, value in self.samples:
            total = totals[placed.partition, placed.ordinal, tier.floor(ts)]
            total[0] += 1
            total[1] += value
        return {key: (int(count), total) for key, (count, total) in totals.items()}

    async def stored(self, tier: Tier) -> Totals:
        totals: Totals = {}
        async for document in self.db[windows(tier).name].find():
            where = document["_id"]
            cells = chunks.decode(document, where["c"], where["w"], tier.width_ms)
            for row, count, total in zip(cells.rows.tolist(), cells.count.tolist(), cells.sum.tolist(), strict=True):
                totals[where["p"], row, where["w"]] = (count, total)
        return totals

    async def settled(self, deadline: float = 60) -> None:
        """Every tier has exactly what was produced."""
        assert self.samples

        async def equal() -> bool:
            for tier in TIERS:
                stored, expected = await self.stored(tier), self.expected(tier)
                counted, wanted = sum(c for c, _ in stored.values()), sum(c for c, _ in expected.values())
                marks = [(p["_id"][-1], p["next"]) async for p in self.db.partitions.find()]
                assert counted == wanted, f"{tier.name}: {counted} samples of {wanted}, next {marks}, sent {self.sent}"
                assert stored == expected
            return True

        await eventually(equal, deadline, interval=0.3)


def _value(rows: Sequence[tuple[Registered, int, float]], key: bytes | None = None) -> bytes:
    fingerprints, index = np.unique(np.array([row[0].fingerprint for row in rows], np.uint64), return_inverse=True)
    return encode(
        SampleBatch(
            fingerprints,
            index.astype(np.uint32),
            np.array([row[1] for row in rows], np.int64),
            np.array([row[2] for row in rows], np.float64),
            (key,) if key else (),
            np.zeros(len(rows), np.int32) if key else None,
        )
    )


@asynccontextmanager
async def staged(
    kafka: str, mongo_uri: str, redis_url: str, database: Any, *, spawn: Spawner, unique: Callable[[str], str]
) -> AsyncIterator[Stage]:
    settings = Settings(
        kafka_bootstrap_servers=kafka, mongodb_uri=mongo_uri, redis_url=redis_url, mongodb_database=database.name
    )  # type: ignore[call-arg]
    topic = unique("samples")
    await _make(settings, topic, database)
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, **aiokafka_login(), acks="all", enable_idempotence=True
    ) as producer:
        stage = Stage(settings, topic, unique("group"), unique("tenant"), database, producer, spawn)
        await stage.register(300)
        yield stage


async def _make(settings: Settings, topic: str, database: Any) -> None:
    from dataclasses import replace

    await recorded_topics.ensure(settings, topics.specs(PARTITIONS, (replace(SAMPLES, name=topic), DEAD)), database)


@pytest.fixture
async def stage(
    kafka: str, mongo_uri: str, redis_url: str, database: Any, *, spawn: Spawner, unique: Callable[[str], str]
) -> AsyncIterator[Stage]:
    async with staged(kafka, mongo_uri, redis_url, database, spawn=spawn, unique=unique) as made:
        yield made


async def test_counts_everything_and_shows_it_in_redis(stage: Stage) -> None:
    await stage.produce(5_000)
    process = stage.aggregator()
    await stage.produce(5_000)
    await stage.settled()
    async with Redis.from_url(stage.settings.redis_url) as redis:
        shown = await _shown(redis, stage.tenant)
        assert shown == len(stage.samples)
        # A Redis that lost everything is filled again.
        await redis.delete(
            hash_key(stage.tenant), *[key async for key in redis.scan_iter(f"vigie::latest:{stage.db.name}*")]
        )
        await eventually(lambda: _is_shown(redis, stage), 30)
    process.stop()
    assert process.returncode == 0
    partition = await stage.db.partitions.find_one({"_id": f"{stage.topic}/0"})
    assert partition["next"]["10s"] == partition["next"]["1h"], "a clean stop leaves no tier behind"
    assert partition["dirty_since"] == {"1m": None, "1h": None}


async def _shown(redis: Redis, tenant: str) -> int:
    fields = await redis.hgetall(hash_key(tenant))
    return sum(int(unpack(data).counts.sum()) for data in fields.values())


async def _is_shown(redis: Redis, stage: Stage) -> bool:
    return await _shown(redis, stage.tenant) == len(stage.samples)


@pytest.mark.fault
async def test_kill_9_under_load_loses_and_doubles_nothing(stage: Stage) -> None:
    process = stage.aggregator()
    for _ in range(6):
        end = time.monotonic() + random.uniform(0.3, 1.2)
        while time.monotonic() < end:
            await stage.produce(500)
        process.kill()
        await stage.produce(500)
        process = await asyncio.to_thread(stage.aggregator)
    await stage.settled(90)


@pytest.mark.fault
async def test_two_owners_at_once_are_fenced_not_doubled(stage: Stage) -> None:
    """Two groups read the same topic into the same database: every commit of one fences the other."""
    stage.aggregator()
    stage.group += "-other"
    await asyncio.to_thread(stage.aggregator)
    for _ in range(20):
        await stage.produce(300)
        await asyncio.sleep(0.1)
    await stage.settled(90)


async def test_repeated_request_counts_once_across_a_restart(stage: Stage) -> None:
    key = random.randbytes(16)
    await stage.produce(100, key=key)
    process = stage.aggregator()
    await stage.settled()
    await stage.produce(100, key=key, count=False)
    process.kill()
    await asyncio.to_thread(stage.aggregator)
    await stage.produce(100, key=key, count=False)
    await stage.produce(10)
    await stage.settled()
    assert await stage.db.requests.count_documents({}) == PARTITIONS


async def test_poison_records_are_dead_letters_and_harm_nobody(stage: Stage) -> None:
    stranger = Registered(12345 * PARTITIONS, 0, 0, created=False)
    await stage.produce(100)
    for value in (b"", b"nonsense", _value([(stranger, 1_700_000_000_000, 1.0)])):
        await stage.producer.send_and_wait(stage.topic, value, partition=0)
    await stage.produce(100)
    await asyncio.to_thread(stage.aggregator)
    await stage.settled()
    reasons = await _dead_of(stage)
    assert [reason.split(":")[0] for reason in reasons] == ["undecodable", "undecodable", "unknown_series"]


async def _dead_of(stage: Stage) -> list[str]:
    reasons: list[str] = []
    async with AIOKafkaConsumer(
        bootstrap_servers=stage.settings.kafka_bootstrap_servers, **aiokafka_login()
    ) as consumer:
        tp = TopicPartition(DEAD.name, 0)
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        while len(reasons) < 3:
            for record in (await consumer.getmany(tp, timeout_ms=10_000)).get(tp, []):
                headers = dict(record.headers)
                if headers["vigie_topic"].decode() == stage.topic:
                    reasons.append(headers["vigie_reason"].decode())
    return reasons


@pytest.mark.fault
async def test_recreated_topic_is_counted_from_its_beginning(stage: Stage) -> None:
    key = random.randbytes(16)
    await stage.produce(200, key=key)
    process = stage.aggregator()
    await stage.settled()
    process.stop()
    admin = AdminClient({"bootstrap.servers": stage.settings.kafka_bootstrap_servers, **librdkafka_login()})
    await asyncio.to_thread(admin.delete_topics([stage.topic])[stage.topic].result)

    async def remade() -> bool:
        try:
            await _make(stage.settings, stage.topic, stage.db)
        except Exception as e:
            raise AssertionError from e
        return True

    await eventually(remade, 60)
    await stage.produce(200, key=key, count=False)
    await stage.produce(200)
    process = await asyncio.to_thread(stage.aggregator)
    await stage.settled()
    assert "another log" in process.log_tail(200)


@pytest.mark.fault
async def test_redis_away_does_not_stop_counting(stage: Stage) -> None:
    await asyncio.to_thread(stage.aggregator, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    await stage.produce(1_000)
    await stage.settled()


@pytest.mark.fault
@pytest.mark.timeout(300)
async def test_step_down_and_failing_commits_lose_nothing(
    kafka: str, mongo_cluster: Any, redis_url: str, spawn: Spawner, unique: Callable[[str], str]
) -> None:
    async with AsyncMongoClient(mongo_cluster.uri, serverSelectionTimeoutMS=30_000) as client:
        database = client[unique("test")]
        async with staged(kafka, mongo_cluster.uri, redis_url, database, spawn=spawn, unique=unique) as stage:
            stage.aggregator()
            await stage.produce(1_000)
            await stage.settled()
            for _ in range(2):
                with suppress(PyMongoError):  # the connection may break before the answer
                    await client.admin.command("replSetStepDown", 3, force=True)
                for _ in range(10):
                    await stage.produce(200)
            await stage.settled(120)
            await client.admin.command(
                "configureFailPoint",
                "failCommand",
                mode={"times": 6},
                data={"failCommands": ["commitTransaction"], "closeConnection": True},
            )
            for _ in range(10):
                await stage.produce(200)
            await stage.settled(120)
