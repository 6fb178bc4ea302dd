"""The endpoints of a worker."""

import httpx2
from vigie_runtime.metrics import Gauge, MetricSet
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
