"""A topic, a group and a database of reports for one test, and what must be stored of what was sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c
from vigie_aggregator.metrics import ALL, SERVICE, Metrics
from vigie_aggregator.reports.consumer import stored_in
from vigie_aggregator.reports.reading import Incoming
from vigie_aggregator.reports.storing import ReportStore
from vigie_contracts.reports import Report, record_key
from vigie_runtime import clients
from vigie_runtime.bus.dead_letters import DeadLetters, Limit
from vigie_runtime.bus.events import EventConsumer
from vigie_runtime.bus.poison_skipping import PoisonSkippingConsumer
from vigie_runtime.clock import SystemClock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.settings import Settings

from services.aggregator.tests import naive
from tests.kit import aiokafka_login, eventually

PARTITIONS = 3
ZONES = ("UTC", "Europe/Paris")
CHANGE_MS = 1_792_890_000_000
"""25 October 2026, 01:00 UTC: clocks in Paris go from 03:00 back to 02:00."""
HOUR_MS = 3_600_000


@dataclass
class Stage:
    """A topic, a group and a database of one test."""

    settings: Settings
    topic: str
    group: str
    db: Any
    producer: AIOKafkaProducer
    sent: list[Report] = field(default_factory=list[Report])
    partitions: dict[str, int] = field(default_factory=dict[str, int])
    closing: list[DeadLetters] = field(default_factory=list[DeadLetters])

    def store(self, days: int = 90) -> ReportStore:
        """That of one process."""
        return ReportStore(self.db, self.topic, SystemClock(), zones=ZONES, retention=timedelta(days=days))

    async def send(self, reports: Sequence[Report]) -> None:
        """In this order, as the gateway does."""
        sends = [
            await self.producer.send(self.topic, msgspec.json.encode(report), record_key(report.tenant, report.subject))
            for report in reports
        ]
        for report, done in zip(reports, await asyncio.gather(*sends), strict=True):
            self.partitions[report.tenant] = done.partition
        self.sent += reports

    def consumer(
        self,
        store: Any = None,
        *,
        dead: DeadLetters | None = None,
        kind: type[PoisonSkippingConsumer] = PoisonSkippingConsumer,
    ) -> tuple[EventConsumer[Incoming], Metrics]:
        metrics = Metrics(MetricSet(ALL))
        dead = dead or self.dead_letters()
        self.closing.append(dead)
        made = EventConsumer(
            stored_in(store or self.store(), metrics),
            SERVICE,
            lambda: clients.kafka_consumer(self.settings, client_id="test", group_id=self.group, kind=kind),
            topic=self.topic,
            dead_letters=dead,
            dead=metrics.dead,
            clock=SystemClock(),
        )
        return made, metrics

    def dead_letters(self, limit: Limit | None = None) -> DeadLetters:
        return DeadLetters(lambda: clients.kafka_producer(self.settings, client_id="dead"), "test", "1", limit)

    @asynccontextmanager
    async def reading(
        self, store: Any = None, **options: Any
    ) -> AsyncIterator[tuple[EventConsumer[Incoming], Metrics]]:
        consumer, metrics = self.consumer(store, **options)
        task = asyncio.create_task(consumer.run())
        try:
            yield consumer, metrics
        finally:
            consumer.stop()
            await asyncio.wait([task], timeout=30)
            assert task.done(), "the consumer did not stop"
        await task

    async def exact(self, deadline: float = 60.0) -> None:
        """Every document equals the plain count of the distinct reports that were sent."""

        async def equal() -> bool:
            bodies = {document["_id"]: document["body"] async for document in self.db.reports.find()}
            assert bodies == {report.id: report.body for report in self.sent}
            expected = naive.documents(self.sent, ZONES, lambda report: self.partitions[report.tenant])
            for name, documents in expected.items():
                found = dict([naive.stored(name, document) async for document in self.db[name].find()])
                assert found == documents, name
            return True

        await eventually(equal, deadline, interval=0.2)


def reports(count: int, *, tenants: int = 5, seed: int = 1, around_ms: int = CHANGE_MS) -> list[Report]:
    """Of two days, in no order. Numbers whose sums are exact in any order."""
    rng = random.Random(seed)
    made: list[Report] = []
    for n in range(count):
        body: dict[str, Any] = {
            "uptime": rng.randrange(100_000),
            "activeUsers": rng.randrange(100),
            "exercisesCompletedToday": rng.randrange(500),
        }
        if rng.random() < 0.7:
            body |= {"aiLatency": rng.randrange(4_000) / 4, "version": f"1.{rng.randrange(3)}.0"}
        if rng.random() < 0.5:
            body["additionalData"] = {"cpuUsage": rng.randrange(400) / 4, "platform": "linux", "$odd": {"a.b": [None]}}
        at = around_ms + rng.randrange(-30 * HOUR_MS, 30 * HOUR_MS)
        made.append(Report(f"{seed}-{n}", f"tenant-{rng.randrange(tenants)}", "node", "node", at, body))
    return made


def value(metric: Any) -> float:
    return metric._value.get()


def record(report: Report) -> Any:
    return clients.ConsumerRecord("t", 0, 0, CHANGE_MS, 0, None, msgspec.json.encode(report), None, -1, 0, ())


async def put_unreadable(stage: Stage, partition: int) -> None:
    """A record that the Kafka client cannot decode: the name of its header is not UTF-8. No client writes one, so the
    bytes of a batch are changed, and its checksum with them."""
    async with AIOKafkaProducer(
        bootstrap_servers=stage.settings.kafka_bootstrap_servers, **aiokafka_login(), acks="all"
    ) as producer:
        batch = producer.create_batch()
        batch.append(key=None, value=b"{}", timestamp=None, headers=[("ZZZZ", b"")])
        data = bytearray(bytes(batch._build()).replace(b"ZZZZ", b"\xff\xfe\xfd\xfc"))
        data[17:21] = calc_crc32c(bytes(data[21:])).to_bytes(4, "big")
        batch._buffer = data
        await (await producer.send_batch(batch, stage.topic, partition=partition))
