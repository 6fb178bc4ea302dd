"""Fixtures of the aggregator's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from vigie_contracts.topics import DEAD, REPORTS
from vigie_runtime import clients
from vigie_runtime.settings import Settings
from vigie_storage import topics as recorded_topics

from services.aggregator.tests.report_stage import PARTITIONS, Stage
from tests.kit import aiokafka_login, unique


@pytest.fixture
async def stage(kafka: str, mongo_uri: str, database: Any) -> AsyncIterator[Stage]:
    settings = Settings(
        kafka_bootstrap_servers=kafka, mongodb_uri=mongo_uri, redis_url="redis://127.0.0.1:1/0",
        mongodb_database=database.name, kafka_session_timeout_ms=3_000, partitions=PARTITIONS,
    )  # fmt: skip
    topic = replace(REPORTS, name=unique("reports"), partitions=PARTITIONS)
    client = clients.mongo(settings)
    db = clients.database(client, settings)
    await recorded_topics.ensure(settings, [topic, DEAD], db)
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, **aiokafka_login(), acks="all", enable_idempotence=True
    ) as producer:
        made = Stage(settings, topic.name, unique("group"), db, producer)
        await made.store().prepare()
        yield made
    for dead_letters in made.closing:
        await dead_letters.close()
    await client.close()
