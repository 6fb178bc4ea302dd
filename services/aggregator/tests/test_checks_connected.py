"""Checks from a real log into the real store: each once, whatever is read again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from vigie_aggregator.checks.consumer import stored_in
from vigie_aggregator.metrics import ALL, SERVICE, Metrics
from vigie_contracts.checks import Check, Verdict, record_key
from vigie_contracts.tenants import TenantId
from vigie_contracts.topics import CHECKS, DEAD
from vigie_runtime import clients
from vigie_runtime.bus.dead_letters import DeadLetters
from vigie_runtime.bus.events import EventConsumer
from vigie_runtime.bus.poison_skipping import PoisonSkippingConsumer
from vigie_runtime.clock import SystemClock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.settings import Settings
from vigie_storage import topics as recorded_topics
from vigie_storage.health.checks import Checks

from tests.integration.bus import records
from tests.kit import aiokafka_login, eventually, unique

pytestmark = pytest.mark.connected

ACME, NOW, COUNT = TenantId("acme"), 1_790_000_000_000, 300


class Killed(Checks):
    """What a process that is killed after storing, and before acknowledging, has done."""

    async def write(self, checks: Sequence[Check]) -> int:
        await super().write(checks)
        raise KeyError("killed")


async def test_each_check_of_the_log_is_stored_once_also_when_its_reader_is_killed(
    kafka: str, mongo_uri: str, database: Any
) -> None:
    settings = Settings(
        kafka_bootstrap_servers=kafka, mongodb_uri=mongo_uri, redis_url="redis://127.0.0.1:1/0",
        mongodb_database=database.name, kafka_session_timeout_ms=3_000, partitions=3,
    )  # fmt: skip
    topic, group = unique("checks"), unique("group")
    await recorded_topics.ensure(settings, [replace(CHECKS, name=topic, partitions=3), DEAD], database)
    made = [Check(f"c{n}", ACME, f"t{n % 7}", "http", NOW + n, Verdict.UP, 1.0) for n in range(COUNT)]
    sent = [msgspec.json.encode(one) for one in [*made, *made[:20]]]
    async with AIOKafkaProducer(bootstrap_servers=kafka, **aiokafka_login(), acks="all") as producer:
        for n, value in enumerate([*sent[:100], b'{"id": "no check"}', *sent[100:]]):
            await producer.send(topic, value, record_key(ACME, f"t{n % 7}"))
        await producer.flush()

    def consumer(store: Checks, metrics: Metrics, dead: DeadLetters) -> EventConsumer[Check]:
        return EventConsumer(
            stored_in(store, timedelta(days=1), metrics),
            SERVICE,
            lambda: clients.kafka_consumer(settings, client_id="test", group_id=group, kind=PoisonSkippingConsumer),
            topic=topic,
            dead_letters=dead,
            dead=metrics.dead,
            clock=SystemClock(),
        )

    checks, metrics = Checks(database), Metrics(MetricSet(ALL))
    await checks.prepare(timedelta(days=1))
    dead = DeadLetters(lambda: clients.kafka_producer(settings, client_id="dead"), "test", "1", None)
    with pytest.raises(KeyError, match="killed"):
        await asyncio.wait_for(consumer(Killed(database), metrics, dead).run(), 40)
    reader = consumer(checks, metrics, dead)
    running = asyncio.create_task(reader.run())
    try:

        async def all_there() -> bool:
            value = metrics.registry.get_sample_value
            counted = ("vigie_aggregator_checks_total", "vigie_aggregator_repeated_checks_total")
            return sum(value(name) or 0 for name in counted) == COUNT + 20

        await eventually(all_there, 30)
    finally:
        reader.stop()
        await running
        await dead.close()
    stored = [one for n in range(7) for one in await checks.page(ACME, f"t{n}", COUNT)]
    assert sorted(one.id for one in stored) == sorted(one.id for one in made)
    assert [one for one in await records(kafka, DEAD.name) if b"no check" in (one.value or b"")]
