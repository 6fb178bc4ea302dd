"""The publisher on a real Kafka that dies and comes back."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vigie_contracts.samples import SampleColumns, decode
from vigie_contracts.topics import Topic
from vigie_runtime import clients
from vigie_runtime.bus.publisher import SamplePublisher
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.errors import BusUnavailable
from vigie_runtime.settings import Settings
from vigie_standalone.embedded.servers import Server, Servers
from vigie_storage import topics as recorded_topics

from tests.kit import eventually


async def values_in(settings: Settings, topic: TopicIdentity) -> dict[int, list[float]]:
    """Per series, the values in the log, in its order."""
    consumer = clients.kafka_consumer(settings, client_id="check")
    await consumer.start()
    try:
        tps = [clients.TopicPartition(topic.topic, p) for p in range(topic.partitions)]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        ends = await consumer.end_offsets(tps)
        position = dict.fromkeys(tps, 0)
        found: dict[int, list[float]] = {}
        while any(position[tp] < ends[tp] for tp in tps):
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    batch = decode(record.value)
                    rows = zip(batch.fingerprints[batch.index].tolist(), batch.values.tolist(), strict=True)
                    for fingerprint, value in rows:
                        found.setdefault(fingerprint, []).append(value)
                    position[tp] = record.offset + 1
        return found
    finally:
        await consumer.stop()


@pytest.mark.fault
@pytest.mark.timeout(180)
async def test_what_was_acknowledged_survives_a_broker_that_is_killed_twice(
    own_servers: Servers, mongo_uri: str, database: Any, tmp_path: Path
) -> None:
    """Each caller sends 0, 1, 2, ... of its own series and repeats what was not acknowledged: the log must hold every
    number, in order, apart from repeats after an unknown outcome."""
    own_servers.start([Server.KAFKA])
    broker = own_servers.kafka.brokers[0]
    settings = Settings(
        kafka_bootstrap_servers=own_servers.kafka.bootstrap, mongodb_uri=mongo_uri, redis_url="redis://x",
        mongodb_database=database.name,
    )  # fmt: skip
    topic = (await recorded_topics.ensure(settings, [Topic("t", 4, "test")], database))["t"]
    publisher = SamplePublisher(
        lambda: clients.kafka_producer(settings, client_id="test"), "t", 4, source="/vigie/test", delivery_timeout_s=8.0
    )
    await publisher.start()
    acknowledged: dict[int, list[float]] = {}
    unknown: dict[int, set[float]] = {}
    stop = asyncio.Event()

    async def caller(series: int) -> None:
        value = 0.0
        while not stop.is_set():
            try:
                await publisher.publish(
                    SampleColumns(np.full(50, series, np.uint64), np.arange(50), value + np.arange(50))
                )
            except BusUnavailable:
                unknown.setdefault(series, set()).add(value)
                continue
            acknowledged.setdefault(series, []).extend((value + np.arange(50)).tolist())
            value += 50
            await asyncio.sleep(0.01)

    callers = [asyncio.create_task(caller(series)) for series in range(40)]
    for down_s in (0.0, 7.0):  # a restart within the delivery time-out, and one beyond it
        await asyncio.sleep(1.5)
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(down_s)
        await asyncio.to_thread(broker.start, 60)
        before = len(acknowledged[0])
        await eventually(lambda before=before: publisher.ready and len(acknowledged[0]) > before + 500, 60)
    stop.set()
    await asyncio.gather(*callers)
    await publisher.close()
    assert publisher.held == 0

    written = await values_in(settings, topic)
    repeats = 0
    for series, sent in acknowledged.items():
        assert set(sent) <= set(written[series]), "an acknowledged sample is missing"
        first_seen = list(dict.fromkeys(written[series]))
        assert first_seen == sorted(first_seen), "samples of a series were reordered"
        extra = len(written[series]) - len(first_seen)
        assert extra == 0 or series in unknown, "a sample was doubled although nothing was in doubt"
        repeats += extra
    assert unknown, "the longer outage should have outlasted the delivery time-out"
