"""The front door with the service of live connections behind it."""

import json
from typing import Any

from vigie_standalone.front import FrontDoor

from standalone.tests.test_front import App, ask, door, lifespan


async def test_live_paths_and_websockets_are_pushs() -> None:
    front = FrontDoor(App("ingest", []), App("api", []), push=App("push", []))
    for method, path in (("GET", "/ws"), ("POST", "/socket.io/"), ("GET", "/socket.io/"), ("GET", "/api/stream")):
        assert (await ask(front, method, path)).json()["app"] == "push"
        assert (await ask(door(), method, path)).json()["app"] == "api"
    assert (await ask(front, "GET", "/wsx")).json()["app"] == "api"
    assert (await ask(front, "GET", "/internal/metrics/push")).json()["path"] == "/internal/metrics"
    ready = (await ask(front, "GET", "/health/ready")).json()
    assert set(ready["services"]) == {"ingest", "api", "push"}
    for path, owner in (("/ws", "push"), ("/socket.io/", "push"), ("/other", "api")):
        sent: list[dict[str, Any]] = []
        await front({"type": "websocket", "path": path}, _nothing, _into(sent))
        assert json.loads(sent[-1]["body"])["app"] == owner


async def test_push_starts_last_and_stops_first() -> None:
    log: list[str] = []
    await lifespan(FrontDoor(App("ingest", log), App("api", log), push=App("push", log)))
    assert log == ["ingest up", "api up", "push up", "push down", "api down", "ingest down"]


async def _nothing() -> dict[str, Any]:
    raise AssertionError


def _into(sent: list[dict[str, Any]]) -> Any:
    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    return send
