"""The gateway as a process of its own, with a real Kafka, MongoDB and Redis."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from pymongo.asynchronous.database import AsyncDatabase
from vigie_contracts import samples, topics
from vigie_contracts.series import Kind, SeriesKey, to_signed
from vigie_standalone.embedded.servers import Server, Servers

from tests.kit import Process, Spawner, aiokafka_login, eventually, free_port, http_ready

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]
PARTITIONS = 4
Start = Callable[..., Process]


@dataclass
class Running:
    """A gateway process and how to talk to it."""

    http: httpx2.AsyncClient
    process: Process
    topic: str

    async def post(self, path: str, body: object, **headers: str) -> httpx2.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, content=json.dumps(body), headers={"content-type": "application/json"} | sent)


def start(spawn: Spawner, topic: str, database: str, **env: str) -> tuple[str, Process]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = spawn.module(
        "vigie_ingest",
        env={
            "VIGIE_INGEST_HOST": "127.0.0.1",
            "VIGIE_INGEST_PORT": str(port),
            "VIGIE_SAMPLES_TOPIC": topic,
            "VIGIE_REPORTS_TOPIC": f"{topic}-reports",
            "VIGIE_MONGODB_DATABASE": database,
            "VIGIE_PARTITIONS": str(PARTITIONS),
            "VIGIE_INGEST_CATALOGUE_WAIT_S": "2",
            "VIGIE_ANONYMOUS": "default:write",
            **env,
        },
        ready=http_ready(f"{url}/health/ready"),
    )
    return url, process


@pytest_asyncio.fixture(loop_scope="session")
async def running(
    spawn: Spawner,
    kafka: str,
    redis_url: str,
    database: AsyncDatabase[dict[str, Any]],
    unique: Callable[[str], str],
) -> AsyncIterator[Running]:
    topic = unique("samples")
    tenant = unique("t")
    anonymous = f"{tenant}:write"
    url, process = start(spawn, topic, database.name, VIGIE_DEFAULT_TENANT=tenant, VIGIE_ANONYMOUS=anonymous)
    async with httpx2.AsyncClient(base_url=url, timeout=20) as http:
        yield Running(http, process, topic)


async def on_topic(bootstrap: str, topic: str) -> list[tuple[int, int, float, bytes | None]]:
    """Every sample on the topic: fingerprint, timestamp, value, request key."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, **aiokafka_login(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[tuple[int, int, float, bytes | None]] = []
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for partition, records in (await consumer.getmany(timeout_ms=1000)).items():
                for record in records:
                    assert dict(record.headers)["ce_type"].decode() == topic
                    batch = samples.decode(record.value)
                    for i in range(len(batch)):
                        fingerprint = int(batch.fingerprints[batch.index[i]])
                        assert fingerprint % PARTITIONS == partition.partition
                        which = -1 if batch.key_index is None else int(batch.key_index[i])
                        key = batch.keys[which] if which >= 0 else None
                        found.append((fingerprint, int(batch.timestamps[i]), float(batch.values[i]), key))
        return found
    finally:
        await consumer.stop()


async def test_what_was_accepted_is_on_the_topic_and_in_the_catalogue(
    running: Running, kafka: str, database: AsyncDatabase[dict[str, Any]]
) -> None:
    batch = [{"name": "m", "type": "gauge", "value": i, "labels": {"i": str(i % 20)}} for i in range(200)]
    replies = await asyncio.gather(
        running.post("/api/metrics/custom", {"name": "c", "type": "counter", "value": 5, "labels": {"service": "a"}}),
        running.post("/api/metrics/batch", [*batch, {"name": "bad name", "type": "gauge", "value": 1}]),
        running.post(
            "/api/events",
            {"specversion": "1.0", "id": "1", "source": "/booking", "type": "booking.created", "data": {"quantity": 2}},
            content_type="application/cloudevents+json",
        ),
    )
    assert [reply.status_code for reply in replies] == [201, 201, 201], [reply.text for reply in replies]
    assert replies[1].json()["accepted"] == 200
    assert replies[1].json()["errors"][0]["index"] == 200
    found = await on_topic(kafka, running.topic)
    assert len(found) == 203
    assert sum(value for _, _, value, _ in found) == 5 + sum(range(200)) + 2 + 1
    catalogued = {doc["_id"] async for doc in database.series.find({}, {"_id": 1})}
    assert catalogued == {to_signed(fingerprint) for fingerprint, *_ in found}
    tenant = (await database.series.find_one())["tenant"]  # pyright: ignore[reportOptionalSubscript]
    key = SeriesKey(tenant, "c", Kind.COUNTER, (("service", "a"),))
    assert replies[0].json()["metric"]["fingerprint"] == f"{key.fingerprint:016x}"


async def test_repeat_with_the_key_replays_the_answer_and_writes_nothing(running: Running, kafka: str) -> None:
    body = [{"name": "m", "type": "counter", "value": 3}] * 5
    first = await running.post("/api/metrics/batch", body, idempotency_key="k-1")
    again = await running.post("/api/metrics/batch", body, idempotency_key="k-1")
    other = await running.post("/api/metrics/batch", body[:2], idempotency_key="k-1")
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    found = await on_topic(kafka, running.topic)
    assert len(found) == 5
    assert len({key for *_, key in found}) == 1
    assert None not in {key for *_, key in found}


async def test_concurrent_repeats_get_one_201_and_conflicts(running: Running, kafka: str) -> None:
    body = {"name": "m", "type": "counter", "value": 3}
    sent = await asyncio.gather(
        *(running.post("/api/metrics/custom", body, idempotency_key=uuid.UUID(int=7).hex) for _ in range(20))
    )
    statuses = {reply.status_code for reply in sent}
    assert 201 in statuses
    assert statuses <= {201, 409}
    assert len(await on_topic(kafka, running.topic)) == 1


async def test_broken_requests_over_a_socket_leave_the_gateway_well(running: Running) -> None:
    port = running.http.base_url.port
    head = b"POST /api/metrics/custom HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for sent in (
        head,
        head + b"Content-Length: 50\r\n\r\n{",
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"\x16\x03",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 10)
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"Content-Length: 99999999\r\n\r\n")
    assert b" 413 " in await asyncio.wait_for(reader.read(200), 10)
    writer.close()
    assert (await running.post("/api/metrics/custom", {"name": "m", "type": "gauge", "value": 1})).status_code == 201
    metrics = (await running.http.get("/metrics")).text
    assert 'vigie_ingest_requests_total{route="/api/metrics/custom",status="5xx"} 0.0' in metrics


async def test_stop_drains_what_was_taken(running: Running, kafka: str) -> None:
    body = [{"name": "m", "type": "counter", "value": 1, "labels": {"i": i}} for i in range(100)]
    requests = [asyncio.create_task(running.post("/api/metrics/batch", body)) for _ in range(20)]
    await asyncio.sleep(0.01)
    running.process.stop()
    results = await asyncio.gather(*requests, return_exceptions=True)
    accepted = sum(100 for result in results if isinstance(result, httpx2.Response) and result.status_code == 201)
    assert len(await on_topic(kafka, running.topic)) >= accepted


@pytest.mark.timeout(240)
async def test_stores_away_known_series_flow_and_new_ones_wait(
    spawn: Spawner, own_servers: Servers, kafka: str, unique: Callable[[str], str]
) -> None:
    addresses = await asyncio.to_thread(own_servers.start, [Server.MONGODB, Server.REDIS])
    topic = unique("samples")
    url, process = start(
        spawn,
        topic,
        "vigie",
        KAFKA_BOOTSTRAP_SERVERS=kafka,
        MONGODB_URI=addresses[Server.MONGODB].url,
        REDIS_URL=addresses[Server.REDIS].url,
    )
    known = {"name": "known", "type": "counter", "value": 1}
    async with httpx2.AsyncClient(base_url=url, timeout=20) as http:
        gateway = Running(http, process, topic)
        assert (await gateway.post("/api/metrics/custom", known)).status_code == 201
        await asyncio.to_thread(own_servers.stop)

        for i in range(10):  # Redis away: keyed requests go on, and fast
            began = asyncio.get_running_loop().time()
            reply = await gateway.post("/api/metrics/custom", known, idempotency_key=f"k{i}")
            assert reply.status_code == 201, reply.text
            assert asyncio.get_running_loop().time() - began < 3
        reply = await gateway.post("/api/metrics/custom", {**known, "name": "new"})
        assert reply.status_code == 503
        assert reply.json()["type"] == "/problems/store-unavailable"
        assert reply.headers["retry-after"]
        assert (await gateway.post("/api/metrics/custom", known)).status_code == 201
        ready = await http.get("/health/ready")
        assert (ready.status_code, sorted(ready.json()["degraded"])) == (200, ["mongodb", "redis"])

        await asyncio.to_thread(own_servers.start, [Server.MONGODB, Server.REDIS])

        async def new_is_taken() -> bool:
            return (await gateway.post("/api/metrics/custom", {**known, "name": "new"})).status_code == 201

        await eventually(new_is_taken, 60)
    assert len(await on_topic(kafka, topic)) == 13


def test_topic_of_the_settings_is_the_contracts_one() -> None:
    from vigie_ingest.settings import IngestSettings

    assert IngestSettings.model_fields["samples_topic"].default == topics.SAMPLES.name
