"""The endpoints of a worker."""

import httpx2
from vigie_runtime.metrics import Gauge, MetricSet
from vigie_web import health

DEPTH = Gauge("vigie_test_depth", "items", "How deep it is.")


class Parts:
    def __init__(self) -> None:
        self.states = {"kafka": True, "mongodb": False}

    def checks(self) -> dict[str, bool]:
        return self.states


async def test_a_worker_tells_its_health_and_metrics() -> None:
    parts, metrics = Parts(), MetricSet([DEPTH])
    metrics.gauge(DEPTH).set(7)
    async with (
        health.serve(0, parts, metrics.registry, host="127.0.0.1") as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        assert (await client.get("/health/live")).status_code == 200
        answer = await client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json() == {"status": "not ready", "checks": {"kafka": True, "mongodb": False}}
        parts.states["mongodb"] = True
        assert (await client.get("/health/ready")).status_code == 200
        text = (await client.get("/metrics")).text
        assert "vigie_test_depth 7.0" in text
        assert "process_cpu_seconds_total" in text
        assert (await client.get("/other")).status_code == 404
        assert (await client.post("/metrics")).status_code == 405
