"""The client library against the real gateway: what is recorded is counted once, whatever happens on the way."""

import asyncio
import json
import random
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from vigie_client import AsyncClient, Client, TelemetryClient
from vigie_contracts.series import to_unsigned
from vigie_contracts.tiers import TIERS

from tests.chaos import stored
from tests.chaos.ledger import Ledger
from tests.chaos.run import caught_up
from tests.integration.world import DEADLINE_S, World
from tests.kit import eventually, free_port, http_ready, unique

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]
fault = pytest.mark.fault

DROPPED = "vigie_client_dropped_samples_total"


async def counted(one: World, service: str) -> dict[tuple[str, ...], tuple[int, float, float]]:
    """What Vigie has of a service, by name and label values: how many samples, their sum, the last."""
    await caught_up(one.database, one.addresses.kafka, DEADLINE_S)
    found = await stored.counts(one.database, Ledger(one.services.tenant))
    totals: dict[tuple[str, ...], tuple[int, float, float]] = {}
    query = {"tenant": one.services.tenant}
    async for document in one.database.series.find(query):
        labels: dict[str, str] = dict(document["labels"])
        if labels.pop("service", None) != service:
            continue
        fingerprint = to_unsigned(document["_id"])
        running = found.running[fingerprint]
        for tier in TIERS:
            cells = [cell for (key, _), cell in found.windows[tier.name].items() if key == fingerprint]
            assert (sum(c.count for c in cells), sum(c.sum for c in cells)) == (running.count, running.sum)
        key = (document["name"], *(labels[name] for name in sorted(labels)))
        totals[key] = (running.count, running.sum, running.last)
    return totals


class Recorder:
    """Records whole numbers, so that sums are exact, and remembers them."""

    def __init__(self, client: Client, seed: int) -> None:
        self._client = client
        self._random = random.Random(seed)
        self.sums: Counter[tuple[str, str]] = Counter()
        self.observations: Counter[tuple[str, str]] = Counter()
        self.last: dict[tuple[str, str], float] = {}

    def some(self, times: int = 50) -> None:
        for _ in range(times):
            n, value = str(self._random.randrange(7)), self._random.randrange(1000)
            self._client.counter("c_total", value, {"n": n})
            self._client.histogram("h", value, {"n": n})
            self._client.gauge("g", value, {"n": n})
            self.sums["c_total", n] += value
            self.sums["h", n] += value
            self.observations["h", n] += 1
            self.last["g", n] = value

    async def until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.some()
            await asyncio.sleep(0.02)  # so many a second

    async def is_exact(self, one: World, service: str) -> None:
        found = await counted(one, service)
        assert {key: found[key][1] for key in self.sums} == dict(self.sums)
        assert {key: found[key][0] for key in self.observations} == dict(self.observations)
        assert {key: found[key][2] for key in self.last} == self.last
        assert {key for key in found if key[0] != DROPPED} == {*self.sums, *self.last}


class Line:
    """A TCP line to the gateway that can be cut: altogether, or just before an answer comes back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.up = True
        self.lose_answers = 0
        self.lost = 0
        self.url = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Line"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.up:
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        pumps = [asyncio.create_task(self._forward(reader, back)), asyncio.create_task(self._answer(there, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        for one in (writer, back):
            one.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self.lose_answers:
                self.lose_answers -= 1
                self.lost += 1
                return
            writer.write(data)
            await writer.drain()


def line(one: World) -> Line:
    return Line(int(one.services.gateway_urls[0].rpartition(":")[2]))


async def test_everything_an_application_records_is_counted(calm: World) -> None:
    service = unique("all")
    async with AsyncClient(calm.services.gateway_urls[0], service=service, interval=0.3, max_batch=700) as client:
        recorder = Recorder(client, 1)
        for _ in range(40):
            recorder.some()
            await asyncio.sleep(0.02)
    stats = client.stats()
    assert (stats.buffered, stats.refused, stats.dropped, stats.invalid, stats.retries) == (0, 0, {}, 0, 0)
    await recorder.is_exact(calm, service)


async def test_lost_answers_are_not_counted_twice(calm: World) -> None:
    service = unique("lost")
    async with (
        line(calm).open() as cut,
        AsyncClient(cut.url, service=service, interval=0.1, max_batch=100, exit_timeout=30) as client,
    ):
        recorder = Recorder(client, 2)
        for round_ in range(6):
            cut.lose_answers = 1 + round_ % 2
            recorder.some(100)
            assert await client.aflush(30)
    assert cut.lost >= 6
    assert client.stats().retries >= cut.lost
    await recorder.is_exact(calm, service)


async def test_outage_that_fits_the_buffer_loses_nothing_and_keeps_its_times(calm: World) -> None:
    service = unique("outage")
    async with (
        line(calm).open() as cut,
        AsyncClient(cut.url, service=service, interval=0.1, exit_timeout=30) as client,
    ):
        recorder = Recorder(client, 3)
        recorder.some()
        assert await client.aflush()
        cut.up = False
        cut.lose_answers = 1  # also on the connection that is open
        for _ in range(20):
            recorder.some()
            await asyncio.sleep(0.05)
        assert client.stats().buffered > 0
        cut.up, cut.lose_answers = True, 0
    assert client.stats().dropped == {}
    await recorder.is_exact(calm, service)


async def test_outage_that_does_not_fit_is_known_to_the_sample(calm: World) -> None:
    service = unique("overflow")
    async with (
        line(calm).open() as cut,
        AsyncClient(cut.url, service=service, interval=0.1, max_buffered=500, exit_timeout=30) as client,
    ):
        cut.up = False
        for i in range(3_000):
            client.histogram("h", i)
        cut.up = True
    dropped = client.stats().dropped["buffer_full"]
    found = await counted(calm, service)
    assert dropped > 0
    assert found[DROPPED, "buffer_full"][1] == dropped
    assert found["h",][0] == 3_000 - dropped
    assert found["h",][2] == 2_999, "the newest are kept"


@fault
async def test_gateway_that_is_killed_again_and_again(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=1)
    gateway, service, stop = rough.services.gateways[0], unique("killed"), asyncio.Event()
    moments = random.Random(5)
    url = rough.services.gateway_urls[0]
    async with AsyncClient(url, service=service, interval=0.05, timeout=5, exit_timeout=60) as client:
        recorder = Recorder(client, 5)
        recording = asyncio.create_task(recorder.until(stop))
        for _ in range(5):
            await asyncio.sleep(moments.uniform(0.3, 2.0))  # the random moment itself
            await asyncio.to_thread(gateway.kill)
            await asyncio.to_thread(gateway.start, 60)
        stop.set()
        await recording
    assert client.stats().retries > 0
    assert (client.stats().dropped, client.stats().buffered) == ({}, 0)
    await recorder.is_exact(rough, service)


@fault
async def test_bus_that_hangs_is_waited_for_as_the_gateway_asks(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=1)
    broker, service, stop = rough.servers.kafka.brokers[0], unique("bus"), asyncio.Event()
    url = rough.services.gateway_urls[0]
    async with AsyncClient(url, service=service, interval=0.2, timeout=20, exit_timeout=60) as client:
        recorder = Recorder(client, 6)
        recorder.some()
        assert await client.aflush(30)
        recording = asyncio.create_task(recorder.until(stop))
        broker.pause()
        try:
            await eventually(lambda: client.stats().retries > 0, 60)
        finally:
            broker.resume()
        stop.set()
        await recording
    assert client.stats().dropped == {}
    await recorder.is_exact(rough, service)


@fault
async def test_nothing_counts_twice_when_stored_answers_are_gone_too(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=1)
    service = unique("forgotten")
    async with (
        line(rough).open() as cut,
        AsyncClient(cut.url, service=service, interval=60, exit_timeout=30) as client,
    ):
        recorder = Recorder(client, 7)
        for _ in range(4):
            cut.lose_answers = 1
            before = cut.lost
            recorder.some()
            flushing = asyncio.create_task(client.aflush(30))
            await eventually(lambda before=before: cut.lost > before, 30)
            await rough.forget()
            assert await flushing
    await recorder.is_exact(rough, service)


SCRIPT = """
import sys, time
from vigie_client import Client
client = Client(sys.argv[1], service=sys.argv[2], interval=3600)
client.start()
client.flush()
for i in range(12_345):
    client.counter("c_total", 2, {"n": str(i % 3)})
    client.histogram("h", i)
print("ready", flush=True)
time.sleep(600)
"""


async def test_process_that_gets_sigterm_sends_what_it_has(calm: World) -> None:
    service = unique("sigterm")
    command = [sys.executable, "-c", SCRIPT, calm.services.gateway_urls[0], service]
    process = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == -15
    finally:
        process.kill()
        process.communicate()
    found = await counted(calm, service)
    assert sum(total for key, (_, total, _) in found.items() if key[0] == "c_total") == 2 * 12_345
    assert found["h",][:2] == (12_345, sum(range(12_345)))


APPLICATIONS = {
    "fastapi": (
        """
        from fastapi import FastAPI
        from vigie_client import Client, VigieASGI

        app = FastAPI()
        app.add_middleware(VigieASGI, client=Client(URL, service=SERVICE, interval=3600))

        @app.get("/items/{item}")
        async def item(item: int) -> float:
            return 1 / item
        """,
        ["-m", "uvicorn", "application:app", "--log-level", "warning", "--port"],
        "/items/{item}",
        "ZeroDivisionError",
    ),
    "flask": (
        """
        import sys
        from wsgiref.simple_server import make_server
        from flask import Flask
        from vigie_client import Client, VigieWSGI

        app = Flask("shop")
        app.wsgi_app = VigieWSGI(app.wsgi_app, Client(URL, service=SERVICE, interval=3600))

        @app.get("/items/<int:item>")
        def item(item: int) -> str:
            return str(1 / item)

        if __name__ == "__main__":
            make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
        """,
        ["application.py"],
        "/items/<int:item>",
        "500",
    ),
}


@pytest.mark.parametrize("kind", APPLICATIONS)
async def test_web_application_on_its_server_reports_every_request_until_sigterm(
    calm: World, tmp_path: Path, kind: str
) -> None:
    source, command, endpoint, error = APPLICATIONS[kind]
    service, port = unique(kind), free_port()
    head = f"URL, SERVICE = {json.dumps(calm.services.gateway_urls[0])}, {json.dumps(service)}\n"
    (tmp_path / "application.py").write_text(head + textwrap.dedent(source))
    arguments = [sys.executable, *command, str(port)]
    process = await asyncio.to_thread(subprocess.Popen, arguments, cwd=tmp_path, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        await eventually(lambda: asyncio.to_thread(http_ready(f"{url}/items/1")), 60)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            # The first one may have been asked for more than once, so it is not compared.
            statuses = [(await http.get(path)).status_code for path in ["/items/2"] * 20 + ["/none/7", "/items/0"]]
        # Nor is the last one: a server may end between the last byte of an answer and the end of its request, which is
        # when it is counted. When this one is answered, on a connection of its own, those before it have ended.
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.post(f"{url}/last")
        process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == -15
    finally:
        process.kill()
        process.wait()
    assert Counter(statuses) == {200: 20, 500: 1, 404: 1}
    found: dict[tuple[str, ...], Any] = await counted(calm, service)
    asked = 1
    assert found["http_requests_total", endpoint, "GET", "200"][1] == 20 + asked
    assert found["http_requests_total", endpoint, "GET", "500"][1] == 1
    assert found["http_requests_total", "unmatched", "GET", "404"][1] == 1
    assert found["http_request_errors_total", endpoint, error, "GET"][1] == 1
    assert found["http_request_duration_seconds", endpoint][0] == 21 + asked


async def test_telemetry_client_of_the_guide_is_understood_by_the_gateway(
    calm: World, caplog: pytest.LogCaptureFixture
) -> None:
    url, tenant = calm.services.gateway_urls[0], calm.services.tenant
    client = TelemetryClient(
        url, tenant, "1.2.0",
        active_users=lambda: 42, exercises_completed_today=lambda: 156, ai_latency=lambda: 247.5,
        additional_data=lambda: {"errorCount": 3, "queue": {"waiting": 1}},
    )  # fmt: skip
    assert await client.asend_telemetry() is True
    document = await eventually(lambda: calm.database.reports.find_one({"tenant": tenant}), DEADLINE_S)
    body = document["body"]
    assert (body["activeUsers"], body["aiLatency"], body["version"]) == (42, 247.5, "1.2.0")
    assert body["additionalData"]["queue"] == {"waiting": 1}
    assert {"cpuUsage", "memoryUsage", "diskUsage", "pythonVersion"} <= set(body["additionalData"])
    latest = await calm.database.telemetry_latest.find_one({"_id": tenant})
    assert (latest or {})["errorCount"] == 3

    caplog.clear()
    assert await TelemetryClient(url, "nobody", "1.2.0").asend_telemetry() is False
    assert await TelemetryClient(url, tenant, "1.2.0", active_users=lambda: -1).asend_telemetry() is False
    assert [record.getMessage() for record in caplog.records if record.name == "vigie_client"] == [
        "telemetry was refused: 404 - there is no such tenant",
        "telemetry was refused: 400 - activeUsers: must be a number between 0 and 1000000000000",
    ]
