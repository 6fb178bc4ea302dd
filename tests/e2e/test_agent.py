"""The agent that `vigie up` runs for its machine: shown within half a minute, and obeyed by its services, once."""

import asyncio
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
import pytest

from services.agent.tests.systemd_double import Unit, systemd_double
from tests.e2e.up import Up
from tests.kit import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(600)]

HOST = "e2e-host"
PASSWORD = "a-long-password-of-the-administrator"
BUSY = 98
"""Per cent of all cores."""
SITE = {"id": "shop", "host": HOST, "account": "root", "directory": "/var/www/shop"}


class Asking:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def call(self, method: str, path: str, *allowed: int, **json: Any) -> Any:
        answer = await self.http.request(method, path, **({"json": json} if json else {}))
        assert answer.status_code in (allowed or (200,)), answer.text
        return answer.json()


async def logged_in(up: Up) -> Asking:
    http = httpx.AsyncClient(base_url=up.url, timeout=30, trust_env=False)
    asking = Asking(http)
    session = await asking.call("POST", "/auth/login", username="admin", password=PASSWORD)
    token = session.get("accessToken") or session["access_token"]
    http.headers["authorization"] = f"Bearer {token}"
    http.headers["x-scope-orgid"] = "default"
    return asking


def agent_of(up: Up) -> psutil.Process:
    return psutil.Process(up.run_file()["processes"]["agent"])


async def test_this_machine_is_shown_and_its_services_are_controlled_at_most_once(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        systemd.units = {"twoine-shop-api": Unit(), "twoine-blog": Unit()}
        systemd.start("twoine-shop-api")
        up = Up(
            tmp_path / "up",
            env={
                "DBUS_SYSTEM_BUS_ADDRESS": systemd.address,
                "VIGIE_AGENT_ALLOW_ACTIONS": "start,stop,restart",
                "VIGIE_AGENT_HOST": HOST,
                "VIGIE_AGENT_INTERVAL_S": "10",
                "VIGIE_ADMIN_PASSWORD": PASSWORD,
            },
        )
        try:
            await _walk(up, systemd)
        finally:
            up.kill()


async def _walk(up: Up, systemd: Any) -> None:
    await asyncio.to_thread(up.start)
    vigie = await logged_in(up)

    async def shown() -> Any:
        answer = await vigie.http.get("/stats/server")
        return answer.json() if answer.status_code == 200 else None

    stats = await eventually(shown, 30, interval=0.5)
    assert stats["host"] == HOST
    assert stats["cpu"]["cores"] == os.cpu_count()
    key = up.directory / "home" / "secrets" / "agent-key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text().strip() not in up.output()

    await vigie.call("PUT", "/stats/config", 200, collectionInterval=10)
    await vigie.call("POST", "/api/sites", 201, **SITE)

    async def services() -> Any:
        found = await vigie.http.get("/stats/services/shop")
        return found.status_code == 200 and [one["name"] for one in found.json()["services"]]

    async def seen() -> bool:
        return await services() == ["twoine-shop-api"]

    await eventually(seen, 60, interval=0.5)

    async def done(id_: str) -> Any:
        found = await vigie.call("GET", f"/api/commands/{id_}")
        return found if found["state"] != "pending" else None

    given = await vigie.call("POST", "/api/sites/shop/services/twoine-shop-api/restart", 202)
    ended = await eventually(lambda: done(given["id"]), 40, interval=0.2)
    assert (ended["state"], ended["message"]) == ("done", "")
    assert systemd.calls == [("RestartUnit", "twoine-shop-api")]

    # Killed or frozen around a command: api, ingest and push are one process here. Each is done once, and answered.
    front = psutil.Process(up.run_file()["processes"]["front"])
    given = await vigie.call("POST", "/api/sites/shop/services/twoine-shop-api/restart", 202)
    front.send_signal(signal.SIGKILL)

    async def answered() -> Any:
        try:
            return await done(given["id"])
        except (httpx.TransportError, AssertionError):  # while it starts again
            return None

    ended = await eventually(answered, 60, interval=0.2)
    assert (ended["state"], ended["message"]) == ("done", "")
    assert systemd.calls == [("RestartUnit", "twoine-shop-api")] * 2
    broker = next(one for one in up.processes() if "kafka.Kafka" in " ".join(one.cmdline()))
    broker.send_signal(signal.SIGSTOP)
    try:
        asked = asyncio.create_task(vigie.call("POST", "/api/sites/shop/services/twoine-shop-api/restart", 202))
        await eventually(lambda: len(systemd.calls) == 3, 60, interval=0.1)
    finally:
        broker.send_signal(signal.SIGCONT)
    given = await asked
    ended = await eventually(answered, 60, interval=0.2)
    assert (ended["state"], ended["message"]) == ("done", "")
    assert systemd.calls == [("RestartUnit", "twoine-shop-api")] * 3

    # Killed while systemd is at it: the supervisor starts it again, and it does not do it again.
    systemd.delay_s = 30
    given = await vigie.call("POST", "/api/sites/shop/services/twoine-shop-api/stop", 202)
    await eventually(lambda: len(systemd.calls) == 4, 40)
    agent = agent_of(up)
    agent.send_signal(signal.SIGKILL)
    ended = await eventually(lambda: done(given["id"]), 90, interval=0.5)
    assert ended["state"] == "unknown"
    assert systemd.calls == [("RestartUnit", "twoine-shop-api")] * 3 + [("StopUnit", "twoine-shop-api")]
    await _burn(vigie)


async def _burn(vigie: Asking) -> None:
    """A program that takes all cores raises `cpu_high` at the configured threshold, and its end resolves it."""
    limits = {"cpu": {"warning": BUSY, "critical": 99.9}}
    await vigie.call("PUT", "/stats/config", 200, alertThresholds=limits)
    rules = (await vigie.call("GET", "/api/alerts/rules?name=cpu_high"))["rules"]
    path = f"/api/alerts/rules/{rules[0]['id']}"

    async def follows() -> bool:
        return (await vigie.call("GET", path))["threshold"] == BUSY

    await eventually(follows, 20)
    await vigie.call("PATCH", path, 200, forMs=0)  # a minute, as it is shipped: nobody waits for that here

    async def is_now(status: str) -> bool:
        found = await vigie.call("GET", f"/stats/alerts?type=cpu_high&host={HOST}&status={status}")
        return bool(found["alerts"])

    async def becomes(status: str, within_s: float, excused: Callable[[float], bool]) -> bool:
        """Whether it does. What else this machine does, or how little of it is ours, excuses that it does not."""
        try:
            await eventually(lambda: is_now(status), within_s, interval=0.5)
        except AssertionError:
            percent = (await vigie.call("GET", "/stats/server"))["cpu"]["percent"]
            if not excused(percent):
                raise
            warnings.warn(f"cpu_high was not seen {status}: this machine is {percent} % busy", stacklevel=1)
            return False
        return True

    burners = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        raised = await becomes("active", 60, lambda percent: percent <= BUSY)
    finally:
        for one in burners:
            one.kill()
            await one.wait()
    if raised:
        await becomes("resolved", 45, lambda percent: percent > BUSY)
