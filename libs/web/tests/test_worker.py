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
        assert (await client.get("/other")).status_code == 404
        assert (await client.post("/metrics")).status_code == 405


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
