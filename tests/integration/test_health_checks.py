"""Targets are checked on time over real servers, by others when their prober is killed; an outage is one incident."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import httpx2 as httpx
import msgspec
import pytest
from vigie_contracts.checks import Check
from vigie_runtime.clients import Database
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process

from tests.integration.bus import records
from tests.kit.processes import Spawner, http_ready
from tests.kit.wait import eventually

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]

SERVICES = "/api/health/services"


class Shops:
    """A server that is asked, by path; `open` False: it answers 503."""

    def __init__(self) -> None:
        self.open, self.url = True, ""
        self.asked: dict[str, list[float]] = {}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.setdefault(head.split()[1].decode(), []).append(time.monotonic())
        status = b"200 OK" if self.open else b"503 Service Unavailable"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def shops() -> AsyncIterator[Shops]:
    made = Shops()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


class Probers:
    """Processes of one group."""

    def __init__(self, spawn: Spawner, database: str) -> None:
        self._spawn, self.name = spawn, database
        self.environment = {
            "VIGIE_MONGODB_DATABASE": database,
            "VIGIE_SAMPLES_TOPIC": f"samples-{database}",
            "VIGIE_CHECKS_TOPIC": f"checks-{database}",
            "VIGIE_COMMANDS_TOPIC": f"commands-{database}",
            "VIGIE_TARGETS_TOPIC": f"targets-{database}",
            "VIGIE_HEALTHCHECK_GROUP": database,
            "VIGIE_PARTITIONS": "4",
            "VIGIE_ANONYMOUS": "default:read,write,configure",
            "VIGIE_PROBE_NETWORKS": "127.0.0.0/8",
            "VIGIE_KAFKA_SESSION_TIMEOUT_MS": "3000",
        }
        self.url = ""

    async def start(self, **more: str) -> Process:
        port = free_port()
        env = {**self.environment, "VIGIE_HEALTHCHECK_HOST": "127.0.0.1", "VIGIE_HEALTHCHECK_PORT": str(port), **more}
        self.url = f"http://127.0.0.1:{port}"
        ready = http_ready(f"{self.url}/health/ready")
        return await asyncio.to_thread(self._spawn.module, "vigie_healthcheck", env=env, ready=ready)


async def add(http: httpx.AsyncClient, **service: Any) -> None:
    answer = await http.post(SERVICES, json={"timeout": 1_000, "failureThreshold": 2, **service})
    assert answer.status_code == 201, answer.text


def states(http: httpx.AsyncClient, wanted: str, count: int) -> Callable[[], Any]:
    async def all_so() -> bool:
        answer = await http.get(SERVICES)
        assert answer.status_code == 200, answer.text
        found = [one["state"] for one in answer.json()["services"]]
        assert found == [wanted] * count, found
        return True

    return all_so


async def incidents(database: Database, *, open_: bool | None = None) -> Sequence[Any]:
    query = {} if open_ is None else {"open": True if open_ else {"$exists": False}}
    return await database["health_incidents"].find(query).to_list()


async def test_a_target_is_down_after_its_threshold_and_up_again_with_one_incident(
    spawn: Spawner, database: Database, kafka: str, mongo_uri: str, redis_url: str
) -> None:
    probers = Probers(spawn, database.name)
    process = await probers.start()
    async with shops() as shop, httpx.AsyncClient(base_url=probers.url, timeout=30) as http:
        await add(http, name="shop", url=f"{shop.url}/shop", interval=1_000)
        await eventually(states(http, "up", 1), 20, retry_on=(AssertionError,))
        assert await incidents(database) == []

        shop.open = False
        closed_at, before = time.monotonic(), len(shop.asked["/shop"])
        await eventually(states(http, "down", 1), 20, retry_on=(AssertionError,))
        assert len(shop.asked["/shop"]) - before >= 2
        [incident] = await eventually(lambda: incidents(database, open_=True))
        assert "503" in incident["reason"]

        shop.open = True
        await eventually(states(http, "up", 1), 20, retry_on=(AssertionError,))
        [incident] = await eventually(lambda: incidents(database, open_=False))
        assert 0 < (incident["ended"] - incident["started"]).total_seconds() <= time.monotonic() - closed_at

        # Asked for in between: at once, and its answer is of after the question.
        asked = len(shop.asked["/shop"])
        answer = await http.post("/api/health/check", json={"service": "shop"})
        assert answer.status_code == 200, answer.text
        assert len(shop.asked["/shop"]) > asked

        answer = await http.delete(f"{SERVICES}/shop")
        assert answer.status_code == 204, answer.text
        await eventually(lambda: _none(database))
    await asyncio.to_thread(process.stop)
    assert "the time for the stop is over" not in process.log_tail()
    found = [
        msgspec.json.decode(one.value, type=Check)
        for one in await records(kafka, probers.environment["VIGIE_CHECKS_TOPIC"])
    ]
    assert len({one.id for one in found}) == len(found)
    assert [one.verdict for one in found].count("down") >= 2
    assert {one.state for one in found} == {"up", "down"}
    assert await records(kafka, probers.environment["VIGIE_SAMPLES_TOPIC"])


async def test_a_target_of_two_regions_is_down_when_both_see_it_so(
    spawn: Spawner, database: Database, kafka: str, mongo_uri: str, redis_url: str
) -> None:
    probers = Probers(spawn, database.name)
    await probers.start(VIGIE_PROBE_REGION="us")
    await probers.start(VIGIE_OWN_TARGETS="vigie-healthcheck=http://127.0.0.1:9")
    async with shops() as shop, httpx.AsyncClient(base_url=probers.url, timeout=30) as http:

        async def read(name: str) -> dict[str, Any]:
            return (await http.get(f"{SERVICES}/{name}")).json()

        async def so(name: str, state: str, words: str) -> bool:
            found = await read(name)
            assert (found["state"], words in found["reason"]) == (state, True), found
            return True

        await add(http, name="shop", url=f"{shop.url}/shop", interval=1_000, regions=["us"], quorum=2)
        await add(http, name="alone", url=f"{shop.url}/alone", interval=1_000, regions=["mars"], quorum=2)
        await eventually(lambda: so("shop", "up", ""), 20, retry_on=(AssertionError,))
        await eventually(lambda: database["health_sightings"].count_documents({}))
        shop.open = False
        await eventually(
            lambda: so("shop", "down", "2 of 2 regions see it down: here: "), 20, retry_on=(AssertionError,)
        )
        assert "; us: it answered with status 503" in (await read("shop"))["reason"]
        assert await so("alone", "up", "too few regions know: 1 of 2")
        shop.open = True
        await eventually(lambda: so("shop", "up", ""), 20, retry_on=(AssertionError,))
        assert (await read("vigie-healthcheck"))["managedBy"] == "vigie", "a region leaves Vigie's own alone"
    assert len(await incidents(database)) == 1


@pytest.mark.fault
async def test_a_prober_with_a_name_of_its_own_has_its_targets_back_as_soon_as_it_is_up_again(
    spawn: Spawner, database: Database, kafka: str, mongo_uri: str, redis_url: str
) -> None:
    probers = Probers(spawn, database.name)
    named = {"VIGIE_HEALTHCHECK_INSTANCE": "the-only-one", "VIGIE_KAFKA_SESSION_TIMEOUT_MS": "120000"}
    first = await probers.start(**named)
    async with shops() as shop:
        async with httpx.AsyncClient(base_url=probers.url, timeout=30) as http:
            await add(http, name="shop", url=f"{shop.url}/shop", interval=1_000)
            await eventually(states(http, "up", 1), 20, retry_on=(AssertionError,))
        first.kill()
        await probers.start(**named)
        asked = len(shop.asked["/shop"])
        await eventually(lambda: len(shop.asked["/shop"]) > asked, 30)


async def _none(database: Database) -> bool:
    return not await database["health_states"].find({"gone": {"$ne": True}}).to_list()


@pytest.mark.fault
async def test_when_a_prober_is_killed_another_goes_on_without_a_gap_and_no_incident_twice(
    spawn: Spawner, database: Database, kafka: str, mongo_uri: str, redis_url: str
) -> None:
    interval_s, targets = 5.0, 24
    probers = Probers(spawn, database.name)
    first = await probers.start()
    await probers.start()
    async with shops() as shop, httpx.AsyncClient(base_url=probers.url, timeout=30) as http:
        for n in range(targets):
            await add(http, name=f"shop {n}", url=f"{shop.url}/{n}", interval=int(interval_s * 1_000))
        await eventually(states(http, "up", targets), 40, retry_on=(AssertionError,))
        shop.open = False
        await eventually(states(http, "down", targets), 40, retry_on=(AssertionError,))
        assert len(await incidents(database, open_=True)) == targets

        killed = time.monotonic()
        first.kill()
        await asyncio.sleep(3 * interval_s)  # the subject: what happens in this time
        ended = time.monotonic()
        gaps: list[float] = []
        for times in shop.asked.values():
            seen = [max(one for one in times if one < killed), *(one for one in times if one >= killed), ended]
            gaps.append(max(b - a for a, b in pairwise(seen)))
        assert len(gaps) == targets
        assert max(gaps) <= 2 * interval_s, sorted(gaps)

        shop.open = True
        await eventually(states(http, "up", targets), 40, retry_on=(AssertionError,))
    found = await incidents(database)
    assert len(found) == targets
    assert len({one["target"] for one in found}) == targets
    assert not [one for one in found if one.get("open")]
