"""`make bench-telemetry`: the reads of node telemetry with 10,000 tenants and their last 30 days behind them.

Real MongoDB and Redis, the api as a process, questions over HTTP, answers compared with what was filled in. All tenants
have their latest report and 30 days. Hours are there for 200 tenants and reports for 50 of them, one every 30 minutes:
summary and trends read neither, and what a read of one tenant costs does not depend on the others.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import jwt
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process
from vigie_standalone.embedded.servers import Server, Servers

from tests.bench.nodes import Nodes, Size
from tests.kit.processes import http_ready

DATABASE: Final = "vigie"
SECRET: Final = "only for this run: " * 2
SUMMARY: Final = "/admin/global/summary"
TRENDS: Final = "/admin/global/usage-trends?days=90"
TARGET_MS: Final = 50.0
"""Of the summary, warm: p95."""
BOUND_MS: Final = 500.0
"""Of every other question, computed for each request: p95."""


@dataclass(frozen=True)
class Measure:
    """Milliseconds of each request."""

    name: str
    times: list[float]
    bound: float

    def percentile(self, share: float) -> float:
        return sorted(self.times)[int(len(self.times) * share)]

    @property
    def met(self) -> bool:
        return self.percentile(0.95) < self.bound

    def line(self) -> str:
        p50, p95 = self.percentile(0.5), self.percentile(0.95)
        return (
            f"  {self.name:<58} p50 {p50:>7.1f} ms  p95 {p95:>7.1f} ms  of {len(self.times):>6,}  "
            f"below {self.bound:g} ms: {'PASS' if self.met else 'FAIL'}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-telemetry", description=__doc__)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--hours", type=int, default=200, help="tenants with hours (default 200)")
    parser.add_argument("--reports", type=int, default=50, help="tenants with reports (default 50)")
    parser.add_argument("--requests", type=int, default=200, help="requests of each kind, computed (default 200)")
    parser.add_argument("--seconds", type=float, default=10, help="how long warm summaries are asked for (default 10)")
    arguments = parser.parse_args()
    nodes = Nodes(Size(arguments.tenants, 30, arguments.hours, arguments.reports), time.time_ns() // 1_000_000)
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        servers = Servers(Path(directory), environment={})
        try:
            servers.start([Server.MONGODB, Server.REDIS])
            return _run(nodes, servers, Path(directory), arguments)
        finally:
            servers.stop()


def _run(nodes: Nodes, servers: Servers, directory: Path, arguments: argparse.Namespace) -> int:
    size, began = nodes.size, time.perf_counter()
    count = nodes.fill(servers.addresses[Server.MONGODB].url, DATABASE)
    print(
        f"Vigie bench of node telemetry: {size.tenants:,} tenants with {size.days} days, {size.hours:,} of them with "
        f"hours, {size.reports:,} with a report every 30 minutes\n{count:,} documents in "
        f"{time.perf_counter() - began:.0f} s; everything on this machine\n",
        flush=True,
    )
    with _api(servers, directory, nodes, cache_s=0) as url:
        differences = asyncio.run(_check(url, nodes))
        measures = asyncio.run(_computed(url, nodes, arguments.requests))
    with _api(servers, directory, nodes, cache_s=0.5) as url:
        measures += asyncio.run(_warm(url, arguments.seconds))
    for difference in differences:
        print(f"  WRONG {difference}")
    print(f"\nAnswers: {'FAIL' if differences else 'PASS'}")
    passed = not differences and all(measure.met for measure in measures)
    print(f"Bench: {'PASS' if passed else 'FAIL'}")
    return 0 if passed else 1


async def _check(url: str, nodes: Nodes) -> list[str]:
    async with _client(url) as client:
        answers = [(await client.get(path)).raise_for_status().json() for path in (SUMMARY, TRENDS, _aggregated(nodes))]
    return nodes.differences(*answers)


async def _computed(url: str, nodes: Nodes, requests: int) -> list[Measure]:
    """One after the other, nothing remembered between them."""
    history = f"/admin/tenant/{nodes.tenants[1]}/metrics?limit=100"
    questions = {
        "summary": SUMMARY,
        "usage trends, 90 days": TRENDS,
        "aggregated, 30 days": _aggregated(nodes),
        "latest": f"/admin/tenant/{nodes.tenants[1]}/metrics/latest",
        "history, first 100": history,
        "history, 100 after 1,000": f"{history}&offset=1000",
    }
    measures: list[Measure] = []
    async with _client(url) as client:
        for name, path in questions.items():
            times = [await _ask(client, path) for _ in range(requests)]
            measures.append(_shown(Measure(f"{name}, computed", times, BOUND_MS)))
    return measures


async def _warm(url: str, seconds: float) -> list[Measure]:
    """As the api runs: an answer is remembered for half a second."""
    measures: list[Measure] = []
    for clients in (1, 8):
        times: list[float] = []
        async with _client(url) as client:
            await _ask(client, SUMMARY)
            end = time.perf_counter() + seconds

            async def ask(client: httpx2.AsyncClient = client, times: list[float] = times, end: float = end) -> None:
                while time.perf_counter() < end:
                    times.append(await _ask(client, SUMMARY))

            await asyncio.gather(*(ask() for _ in range(clients)))
        measures.append(_shown(Measure(f"summary, warm, {clients} at a time", times, TARGET_MS)))
    return measures


def _shown(measure: Measure) -> Measure:
    print(measure.line(), flush=True)
    return measure


async def _ask(client: httpx2.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    (await client.get(path)).raise_for_status()
    return (time.perf_counter() - began) * 1000


def _aggregated(nodes: Nodes) -> str:
    return f"/admin/tenant/{nodes.tenants[1]}/metrics/aggregated?period=30d"


def _client(url: str) -> httpx2.AsyncClient:
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": "bench", "aud": "vigie", "sub": "bench", "iat": now, "exp": now + 3_600, "roles": ["SUPPORT"],
    }  # fmt: skip
    headers = {"authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}
    return httpx2.AsyncClient(base_url=url, headers=headers, timeout=30)


@contextmanager
def _api(servers: Servers, directory: Path, nodes: Nodes, cache_s: float) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "VIGIE_API_PORT": str(port),
        "VIGIE_API_ANSWER_CACHE_S": str(cache_s),
        "VIGIE_MONGODB_DATABASE": DATABASE,
        "VIGIE_DEFAULT_TENANT": nodes.tenants[1],  # one that is there: a further one would be counted
        "VIGIE_JWT_SHARED_SECRET": SECRET,
        "VIGIE_JWT_SHARED_ISSUER": "bench",
        "VIGIE_JWT_FOREIGN_PLATFORM_ROLES": "true",
        "VIGIE_LOG_LEVEL": "warning",
        "KAFKA_BOOTSTRAP_SERVERS": "unused:9092",
    }
    process = Process(
        "api",
        [sys.executable, "-m", "vigie_api"],
        log_path=directory / f"api-{port}.log",
        ready=http_ready(f"{url}/health/ready"),
        env={**os.environ, **servers.variables(), **settings},
    )
    process.start()
    try:
        yield url
    finally:
        process.stop()


if __name__ == "__main__":
    sys.exit(main())
