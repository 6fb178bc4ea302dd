"""Readiness: one shape, bounded in time, whatever the checks do."""

import asyncio
from typing import Any

import pytest
from vigie_web import health
from vigie_web.health import Check, readiness


async def fail() -> None:
    raise OSError("refused")


async def never() -> None:
    await asyncio.Event().wait()


async def said(answer: object) -> object:
    return answer


async def test_what_can_be_done_without_degrades_and_nothing_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_OTHER_S", 0.05)
    checks = [
        Check("kafka", lambda: True),
        Check("mongodb", lambda: said({"ok": 1})),
        Check("redis", fail, required=False),
        Check("search", never, required=False),
    ]
    found = await readiness(checks)
    assert found.ready
    assert found.model_dump() == {
        "status": "ready", "not_ready": [], "degraded": ["redis", "search"],
        "checks": {"kafka": True, "mongodb": True, "redis": False, "search": False},
        "kafka": "ok", "mongodb": "ok", "redis": "away", "search": "away",
    }  # fmt: skip


@pytest.mark.parametrize("ask", [fail, never, lambda: False, lambda: said(False), lambda: 1 / 0])
async def test_what_is_required_and_away_makes_not_ready(monkeypatch: pytest.MonkeyPatch, ask: Any) -> None:
    monkeypatch.setattr(health, "_REQUIRED_S", 0.05)
    found = await readiness([Check("mongodb", ask), Check("redis", lambda: True, required=False)])
    assert (found.status, found.not_ready, found.degraded) == ("not ready", ["mongodb"], [])


async def test_what_is_not_started_is_not_ready() -> None:
    found = await readiness(None)
    assert (found.status, found.not_ready) == ("not ready", ["start"])
