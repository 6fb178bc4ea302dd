"""A service that starts together with its servers waits for them: who waits for it would give it up if it ended."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pymongo import AsyncMongoClient
from vigie_runtime.clients import Database
from vigie_standalone.embedded.ports import free_port

from tests.kit.processes import Spawner, http_ready
from tests.kit.wait import unique

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

BUSY_MS = 3_000
"""Longer than the store may take for what stands within one bound."""


@pytest_asyncio.fixture
async def busy(mongo_client: AsyncMongoClient[dict[str, Any]], database: Database) -> AsyncIterator[None]:
    """MongoDB takes its time for an index, as it does for the many of all services that start at once."""
    data = {
        "failCommands": ["createIndexes"],
        "namespace": f"{database.name}.audit",
        "blockConnection": True,
        "blockTimeMS": BUSY_MS,
    }
    admin = mongo_client.admin
    await admin.command({"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": data})
    yield
    await admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@pytest.mark.usefixtures("kafka", "redis_url", "busy")
def test_ingest_becomes_ready_although_mongodb_is_busy_when_it_starts(spawn: Spawner, database: Database) -> None:
    port = free_port()
    environment = {
        "VIGIE_MONGODB_DATABASE": database.name,
        "VIGIE_SAMPLES_TOPIC": unique("samples"),
        "VIGIE_REPORTS_TOPIC": unique("reports"),
        "VIGIE_INGEST_HOST": "127.0.0.1",
        "VIGIE_INGEST_PORT": str(port),
    }
    began = time.monotonic()
    process = spawn.module("vigie_ingest", env=environment, ready=http_ready(f"http://127.0.0.1:{port}/health/ready"))
    assert process.alive
    assert time.monotonic() - began > BUSY_MS / 1000
    assert "waiting for MongoDB" in process.log_tail(200)
