"""Canaries through the whole of alerting, by two processes on real servers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from vigie_alerting import canary
from vigie_alerting.engine import start as engine
from vigie_contracts.alerts import AlertState
from vigie_contracts.tenants import PLATFORM
from vigie_runtime.clients import Database
from vigie_storage.alerts.document import State

from services.alerting.tests.office import ACME, Office, opened, settings_for
from tests.kit.wait import eventually

pytestmark = pytest.mark.connected


async def idle(*_: Any, **__: Any) -> Any:
    """In place of the engine."""
    nothing = SimpleNamespace(rules={}, refused={})
    return SimpleNamespace(ready=True, runner=nothing, engine=nothing)


async def test_canaries_are_told_once_by_however_many_processes_and_no_tenant_sees_them(
    database: Database, kafka: str, mongo_uri: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "start", idle)
    monkeypatch.setattr(canary, "EVERY_MS", 3_000)
    servers = {"kafka_bootstrap_servers": kafka, "mongodb_uri": mongo_uri, "redis_url": redis_url}
    settings = settings_for(servers, database.name, alerting_canary=True)
    async with opened(settings) as one, opened(settings) as other:
        outbox = one.resources.stores.outbox

        def arrived() -> list[float]:
            measured = (each.app.state.service.metrics.registry.get_sample_value for each in (one, other))
            return [get("vigie_alerting_canary_seconds_count") or 0.0 for get in measured]

        await eventually(lambda: sum(arrived()) >= 3, 60)
        told = await outbox.listed(PLATFORM, State.SENT)
        firing = [each for each in told if each.transitions[0].to_state is AlertState.FIRING]
        due = [each.transitions[0].timestamp for each in firing]
        assert len(set(due)) == len(due), "each was told once"
        assert sum(arrived()) in (len(due), len(due) - 1, len(due) + 1)
        assert {each.address.type for each in told} == {canary.CANARY}
        assert all(each.group for each in firing), "by way of a group"
        took = [each.settled.timestamp() * 1000 - each.transitions[0].timestamp for each in firing if each.settled]
        assert all(1_000 <= each < 30_000 for each in took), "it waits for its group"

        await eventually(lambda: _shipped(one))
        listed = await one.call("GET", "/api/alerts")
        assert (listed["alerts"], set(listed["counts"].values())) == ([], {0})
        assert await outbox.listed(ACME, State.SENT) == []
        mine = [rule.name for rule in await one.resources.stores.rules.all(ACME)]
        assert mine.count("AlertsLate") == 1


async def _shipped(office: Office) -> bool:
    return await office.resources.stores.rules.count(ACME) == 14
