"""Fixtures of alerting's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from vigie_alerting.engine import start as engine
from vigie_runtime.clients import Database

from services.alerting.tests.office import ACME, Office, opened, settings_for
from services.alerting.tests.stage import Stage
from tests.kit.wait import eventually


@pytest.fixture
async def stage(database: Any) -> AsyncIterator[Stage]:
    made = Stage(database)
    await made.prepare()
    yield made
    await made.http.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def office(
    database: Database, kafka: str, mongo_uri: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Office]:
    """Without the engine, which would resolve what no sample stands behind."""
    monkeypatch.setattr(engine, "start", _idle)
    servers = {"kafka_bootstrap_servers": kafka, "mongodb_uri": mongo_uri, "redis_url": redis_url}
    async with opened(settings_for(servers, database.name)) as made:
        await eventually(lambda: _shipped(made))
        yield made


async def _idle(*_: Any, **__: Any) -> Any:
    nothing = SimpleNamespace(rules={}, refused={})
    return SimpleNamespace(ready=True, runner=nothing, engine=nothing)


async def _shipped(office: Office) -> bool:
    return await office.resources.stores.rules.count(ACME) == 13
