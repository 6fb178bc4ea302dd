"""The endpoints of a worker."""

import asyncio
from contextlib import AsyncExitStack

import httpx2
import pytest
from vigie_runtime.metrics import Gauge, MetricSet
from vigie_web.connection import Connection
from vigie_web.health import Check
from vigie_web.worker import serve_health

DEPTH = Gauge("vigie_test_depth", "items", "How deep it is.")


async def test_a_worker_tells_its_health_and_metrics() -> None:
    states, metrics = {"kafka": True, "mongodb": False}, MetricSet([DEPTH])
    checks = [Check("kafka", lambda: states["kafka"]), Check("mongodb", lambda: states["mongodb"])]
    metrics.gauge(DEPTH).set(7)
    async with (
        serve_health(0, checks, metrics.registry, host="127.0.0.1") as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        assert (await client.get("/health/live")).json() == {"status": "live"}
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json() == {
            "status": "not ready", "not_ready": ["mongodb"], "degraded": [],
            "checks": {"kafka": True, "mongodb": False}, "kafka": "ok", "mongodb": "away",
        }  # fmt: skip
        states["mongodb"] = True
        assert (await client.get("/health/ready")).status_code == 200
        text = (await client.get("/metrics")).text
        assert "vigie_test_depth 7.0" in text
        assert "process_cpu_seconds_total" in text
        head = await client.head("/metrics")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 1_000
        wrong = [await client.get("/other"), await client.post("/metrics")]
        assert [one.status_code for one in wrong] == [404, 405]
        assert {one.headers["content-type"] for one in wrong} == {"application/problem+json"}
        options = await client.options("/metrics")
        assert (options.status_code, options.content) == (204, b"")
        assert wrong[1].headers["allow"] == options.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_half_sent_requests_keep_nobody_from_asking_for_its_health() -> None:
    async with serve_health(0, [], MetricSet([DEPTH]).registry, host="127.0.0.1") as port, asyncio.timeout(20):
        half = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        for _, writer in half:
            writer.write(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n")
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/metrics", headers={"host": "rebound.example.com"})).status_code == 421
        for _, writer in half:
            writer.close()


async def test_a_head_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "head_timeout_s", 1.0)
    async with serve_health(0, [], MetricSet([DEPTH]).registry, host="127.0.0.1") as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_connections_that_say_nothing_keep_nobody_out_and_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "head_timeout_s", 0.3)
    async with AsyncExitStack() as stack:
        registry = MetricSet([DEPTH]).registry
        port = await stack.enter_async_context(serve_health(0, [], registry, host="127.0.0.1"))
        readers: list[asyncio.StreamReader] = []
        for head in [b"", b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-slow: "] * 50:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(head)
            readers.append(reader)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
            assert (await client.get("/health/live")).status_code == 200
        async with asyncio.timeout(5):
            answers = [await reader.read() for reader in readers]
    assert answers[0] == b""
    assert answers[1].startswith(b"HTTP/1.1 408 ")
