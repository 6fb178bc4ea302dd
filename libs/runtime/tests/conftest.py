"""Settings over the session's real servers, and topics that nobody else uses."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from vigie_contracts.topics import Topic
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.settings import Settings
from vigie_storage import topics as recorded_topics

from tests.kit import unique

sys.path.insert(0, str(Path(__file__).parent))  # for the programs that tests run and share code with

MakeTopic = Callable[..., Awaitable[TopicIdentity]]


@pytest.fixture
def settings(kafka: str, mongo_uri: str, database: AsyncDatabase[dict[str, Any]]) -> Settings:
    return Settings(
        kafka_bootstrap_servers=kafka,
        mongodb_uri=mongo_uri,
        redis_url="redis://127.0.0.1:1/0",
        mongodb_database=database.name,
        kafka_session_timeout_ms=3_000,
    )


@pytest.fixture
def make_topic(settings: Settings, database: AsyncDatabase[dict[str, Any]]) -> MakeTopic:
    """`await make_topic(partitions=6)`: a fresh topic."""

    async def make(partitions: int = 6, name: str | None = None, config: dict[str, str] | None = None) -> TopicIdentity:
        spec = Topic(name or unique("topic"), partitions, "test", config or {})
        return (await recorded_topics.ensure(settings, [spec], database))[spec.name]

    return make
