"""App metrics over a live connection and over HTTP: through Kafka into the history, each once, and live to viewers."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import jwt
import pytest
from pymongo.asynchronous.database import AsyncDatabase
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM, Audit
from vigie_identity.tenants import Tenants
from vigie_runtime.clock import SystemClock
from websockets.asyncio.client import ClientConnection, connect

from tests.kit import Spawner, eventually, free_port, http_ready

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]

SECRET = "a secret that this test shares with nobody else at all"
DEADLINE_S = 60.0


def token(name: str, role: str, tenant: str, *apps: str) -> str:
    since = int(time.time())
    claims = {
        "iss": "test", "aud": "vigie", "sub": name, "iat": since, "exp": since + 600, "tenants": {tenant: role},
        "apps": list(apps),
    }  # fmt: skip
    return jwt.encode(claims, SECRET, "HS256")


async def told(live: ClientConnection, type_: str) -> dict[str, Any]:
    """The next message of this type."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            message = json.loads(await live.recv())
            assert message["type"] != "error" or type_ == "error", message
            if message["type"] == type_:
                return message


async def asked(live: ClientConnection, answer: str, **message: Any) -> dict[str, Any]:
    await live.send(json.dumps(message))
    return await told(live, answer)


async def test_metrics_of_an_app_reach_its_history_and_its_viewers_and_nobody_else(
    spawn: Spawner,
    kafka: str,
    redis_url: str,
    database: AsyncDatabase[dict[str, Any]],
    unique: Callable[[str], str],
) -> None:
    acme, rival = unique("acme"), unique("rival")
    clock = SystemClock()
    tenants = Tenants(database, Audit(database, clock), clock)
    for one in (acme, rival):
        await tenants.create(TenantId(one), one, SYSTEM)
    topic = unique("samples")
    shared = {
        "VIGIE_SAMPLES_TOPIC": topic,
        "VIGIE_REPORTS_TOPIC": f"{topic}-reports",
        "VIGIE_CHECKS_TOPIC": f"{topic}-checks",
        "VIGIE_COMMANDS_TOPIC": f"{topic}-commands",
        "VIGIE_MONGODB_DATABASE": database.name,
        "VIGIE_PARTITIONS": "2",
        "VIGIE_JWT_SHARED_SECRET": SECRET,
        "VIGIE_JWT_SHARED_ISSUER": "test",
        "VIGIE_ANONYMOUS": "nothing",
        "VIGIE_CONSUMER_GROUP": topic,
    }
    url: dict[str, str] = {}
    for service in ("ingest", "aggregator", "push", "api"):
        port = free_port()
        url[service] = f"http://127.0.0.1:{port}"
        env = {f"VIGIE_{service.upper()}_HOST": "127.0.0.1", f"VIGIE_{service.upper()}_PORT": str(port)}
        spawn.module(f"vigie_{service}", env=shared | env, ready=http_ready(f"{url[service]}/health/ready"))
    live_url = url["push"].replace("http", "ws") + "/ws"
    sender, viewer = token("sender", "USER", acme, "shop"), token("viewer", "READONLY", acme, "shop")
    other, stranger = token("other", "USER", acme, "desk"), token("stranger", "ADMIN", rival)
    now = int(time.time() * 1000)
    said = {"userId": "u", "appId": "shop", "metrics": {"cpu": {"usage": "42.5"}}, "timestamp": now // 1000}

    async with (
        connect(f"{live_url}?token={viewer}") as watching,
        connect(f"{live_url}?token={stranger}") as foreign,
        connect(f"{live_url}?token={sender}") as app,
        connect(f"{live_url}?token={other}") as unassigned,
    ):
        await asked(watching, "subscribed", type="subscribe", channel="app", appId="shop")
        await asked(foreign, "subscribed", type="subscribe", channel="app", appId="shop")
        refused = await asked(unassigned, "error", type="subscribe", channel="app", appId="shop")
        assert refused["code"] == "not-found"
        # Several at once, then the last one again.
        for i in range(10):
            body = said | {"timestamp": now - 10 + i}
            await app.send(json.dumps({"type": "metrics", "id": i, "data": body}))
        await app.send(json.dumps({"type": "metrics", "id": 9, "data": said | {"timestamp": now - 1}}))
        assert {(await told(app, "ack"))["id"] for _ in range(11)} == set(range(10))
        refused = await asked(unassigned, "error", type="metrics", id="x", data=said)
        assert (refused["id"], refused["code"]) == ("x", "not-found")
        refused = await asked(app, "error", type="metrics", id="y", data=said | {"metrics": {"cpu": {"usage": []}}})
        assert (refused["id"], refused["field"]) == ("y", "metrics.cpu.usage")
        shown = await told(watching, "metrics")
        assert shown["payload"]["metrics"] == said["metrics"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await told(foreign, "metrics")

    async with httpx.AsyncClient(timeout=20) as http:

        async def get(path: str, who: str, status: int = 200) -> Any:
            answer = await http.get(url["api"] + path, headers={"authorization": f"Bearer {who}"})
            assert answer.status_code == status, answer.text
            return answer.json()

        for _ in range(2):
            answer = await http.post(
                url["ingest"] + "/api/apps/shop/metrics", json=said, headers={"authorization": f"Bearer {sender}"}
            )
            assert answer.status_code == 201, answer.text

        async def all_there() -> bool:
            page = await get("/api/apps/shop/metrics?limit=1000&to=now%2B1m&from=now-1h", viewer)
            assert len(page["data"]) == 11, len(page["data"])
            numbers = await get("/api/apps/shop/metrics/aggregated?from=now-1h&to=now%2B1m", viewer)
            assert [(one["path"], one["count"]) for one in numbers["data"]] == [("cpu.usage", 11)]
            return True

        await eventually(all_there, DEADLINE_S, retry_on=(AssertionError,))
        assert [one["reports"] for one in (await get("/api/apps", viewer))["apps"]] == [11]
        await get("/api/apps/shop/metrics", other, 404)
        assert (await get("/api/apps", other))["apps"] == []
        assert (await get("/api/apps", stranger))["apps"] == []
        assert (await get("/api/apps/shop/metrics", stranger))["data"] == []
