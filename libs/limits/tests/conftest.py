"""What the tests share: clients like those of a service, on the session's real servers."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from vigie_runtime import clients
from vigie_runtime.clients import Database
from vigie_runtime.settings import Settings


def settings_for(mongo_uri: str = "mongodb://127.0.0.1:1", redis_url: str = "redis://127.0.0.1:1") -> Settings:
    """Settings; nobody listens where nothing is named."""
    return Settings(kafka_bootstrap_servers="127.0.0.1:1", mongodb_uri=mongo_uri, redis_url=redis_url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def limits_client(mongo_uri: str) -> AsyncIterator[clients.MongoClient]:
    """The client that services have: majority writes, times with a zone."""
    async with clients.mongo(settings_for(mongo_uri)) as client:
        yield client


@pytest.fixture
def db(limits_client: clients.MongoClient, database: Any) -> Database:
    """A fresh database."""
    return limits_client[database.name]
