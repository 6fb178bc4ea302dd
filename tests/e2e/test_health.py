"""Health in `vigie up`: a service is added, stops, is told of once, comes back; and Vigie's own parts are watched."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2 as httpx
import pytest
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.home import Home
from vigie_standalone.inbox.mailbox import Mailbox
from vigie_standalone.inbox.messages import Kind

from tests.e2e.up import Up
from tests.kit import eventually, unique

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(300)]

SERVICES = "/api/health/services"
SEED = {
    "name": "custom-service", "url": "http://custom-service:8080/health", "interval": 30000, "timeout": 5000,
    "retries": 3,
}  # fmt: skip
INTERVAL_S, FAILURES = 1.0, 2
LATE_S = 2.0
"""More than the thresholds say, on a machine that is busy with the rest of the tests."""
OWN = ("ingest", "aggregator", "api", "alerting", "healthcheck", "push", "kafka", "mongodb", "redis")


@asynccontextmanager
async def shop(port: int) -> AsyncIterator[None]:
    """A service that is well as long as it is there."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


def is_(client: httpx.AsyncClient, name: str, state: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return (await client.get(f"{SERVICES}/{name}")).json()["state"] == state

    return check


async def test_service_that_stops_is_red_within_its_thresholds_told_once_and_green_again(
    client: httpx.AsyncClient, vigie: Up
) -> None:
    name, port, mailbox = unique("shop"), free_port(), Mailbox(Home(vigie.directory / "home").inbox)
    ports = json.loads((vigie.directory / "home" / "ports.json").read_text(encoding="utf-8"))
    hook = {"type": "webhook", "destination": f"http://127.0.0.1:{ports['inbox-http']}/{name}"}
    down = f'target_up{{target="{name}"}} + target_muted{{target="{name}"}} == 0'
    rule = {"name": name, "expression": down, "notificationChannels": [hook]}
    assert (await client.post("/api/alerts/rules", json=rule)).status_code == 201
    added = {"name": name, "url": f"http://127.0.0.1:{port}/health", "interval": 1000, "timeout": 500, "retries": 1}
    more = {"failureThreshold": FAILURES, "public": True, "labels": {"team": "shops"}}

    def told() -> list[dict[str, Any]]:
        called = [m.text for _, m in mailbox.after(0) if m.kind is Kind.WEBHOOK and name in m.to]
        return [json.loads(text) for text in called]

    async with shop(port):
        made = await client.post(SERVICES, json=added)
        assert made.status_code == 201, made.text
        assert (await client.put(f"{SERVICES}/{name}", json=added | more)).status_code == 200
        await eventually(is_(client, name, "up"), 20)
    stopped = time.monotonic()
    await eventually(is_(client, name, "down"), 20)
    assert time.monotonic() - stopped <= (FAILURES + 1) * INTERVAL_S + LATE_S
    await eventually(told, 20)
    assert (told()[0]["status"], told()[0]["alerts"][0]["labels"]["team"]) == ("firing", "shops")
    known = (await client.get(f"{SERVICES}/{name}")).json()
    assert (known["status"], known["reason"]) == ("unhealthy", "the connection was refused")

    page = await client.get("/status/default")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert name in page.text
    assert "vigie-mongodb" not in page.text  # it is not public
    listed = vigie.vigie("targets", "list")
    assert listed.returncode == 0, listed.stderr
    assert name in listed.stdout

    async with shop(port):
        await eventually(is_(client, name, "up"), 20)
        await eventually(lambda: told()[-1]["status"] == "resolved", 20)
        assert [one["status"] for one in told()] == ["firing", "resolved"]
    [outage] = (await client.get(f"{SERVICES}/{name}/incidents")).json()["incidents"]
    assert outage["ended"] is not None
    assert (await client.delete(f"{SERVICES}/{name}")).status_code == 204
    assert (await client.get(f"{SERVICES}/{name}")).status_code == 404


async def test_service_of_the_reference_is_taken_as_printed(client: httpx.AsyncClient) -> None:
    assert (await client.post(SERVICES, json=SEED)).status_code == 201
    assert (await client.post(SERVICES, json=SEED)).status_code == 409
    found = (await client.get(f"{SERVICES}/custom-service")).json()
    assert {name: found[name] for name in SEED} == SEED
    assert "custom-service" in json.dumps((await client.get("/api/health")).json())
    assert (await client.delete(f"{SERVICES}/custom-service")).status_code == 204


async def test_every_part_of_vigie_is_up_from_the_first_start_and_shows_no_login(
    client: httpx.AsyncClient, vigie: Up
) -> None:
    names = {f"vigie-{part}" for part in OWN}

    async def all_up() -> bool:
        listed = (await client.get(SERVICES, params={"group": "vigie"})).json()["services"]
        return {one["name"] for one in listed if one["state"] == "up"} == names

    await eventually(all_up, 60)
    password = vigie.run_file()["servers"]["redis"]["url"].partition("@")[0].rpartition(":")[2]
    shown = (await client.get(f"{SERVICES}/vigie-redis")).text
    assert password
    assert password not in shown
    refused = await client.delete(f"{SERVICES}/vigie-redis")
    assert (refused.status_code, "enabled" in refused.json()["detail"]) == (409, True)


async def test_front_door_tells_of_healthcheck_as_of_its_own(client: httpx.AsyncClient) -> None:
    ready = (await client.get("/health/ready")).json()["services"]["healthcheck"]
    assert ready["code"] == 200
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert {"/api/health", SERVICES, f"{SERVICES}/{{name}}", "/api/health/check", "/status/{tenant}"} <= set(paths)
    assert "vigie_healthcheck_targets" in (await client.get("/internal/metrics/healthcheck")).text
