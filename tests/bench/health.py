"""Health checks: ten thousand targets on one core, a tenth of which never answer: how late checks begin, and what they
cost, beside blackbox_exporter where its program is on the PATH."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final, cast

import psutil
import uvloop
from vigie_contracts.targets import Target
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process
from vigie_web.process import connections

from tests.bench import cost
from tests.bench.report import Floor, Report, Row
from tests.bench.stack import Stack
from tests.kit.processes import http_ready

TARGETS: Final = 10_000
INTERVAL_S, TIMEOUT_S = 30, 5
DEAD_EVERY: Final = 10
"""One of so many takes the connection, and never answers."""
ROUNDS: Final = 4
"""Intervals that are measured."""
KNOWN_S: Final = 180.0
"""How long it may take until all were checked once: their series are new, each a document of the catalogue."""
PEER: Final = "blackbox_exporter"
_OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nok"
_DELAY: Final = "vigie_healthcheck_scheduling_delay_seconds"


def measure(report: Report, _runs: int, samples: int) -> None:
    """Everything once. `samples` below a million asks for one interval: a smoke test."""
    rounds = ROUNDS if samples >= 1_000_000 else 1
    connections(4 * TARGETS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_measure(report, rounds))


async def _measure(report: Report, rounds: int) -> None:
    async with _asked() as port:
        with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
            stack = await asyncio.to_thread(Stack(Path(directory)).__enter__)
            try:
                await _vigie(report, stack, port, rounds)
            finally:
                await asyncio.to_thread(stack.__exit__, None, None, None)
        if (program := shutil.which(PEER)) is None:
            report.skip(f"{PEER}: it is not on the PATH")
            return
        with _peer(program) as (url, pid):
            await _ask_peer(report, url, pid, port, rounds)


async def _vigie(report: Report, stack: Stack, port: int, rounds: int) -> None:
    url = await asyncio.to_thread(stack.start_healthcheck)
    own = stack.pids()["healthcheck"]
    with suppress(AttributeError, OSError):  # where a process can be held to a core
        psutil.Process(own).cpu_affinity([0])
    await asyncio.to_thread(stack.put_targets, map(_target(port), range(TARGETS)))
    await _all_checked(url)
    pids = stack.pids()
    seconds = rounds * INTERVAL_S
    before, began = await _numbers(url), time.monotonic()
    with cost.measured(pids) as used:
        await asyncio.sleep(seconds)
        after, took_s = await _numbers(url), time.monotonic() - began
    memory = cost.resident_mb(own)
    found = {name: after[name] - before.get(name, 0.0) for name in after}
    checks = {verdict: found[f'vigie_healthcheck_checks_total{{verdict="{verdict}"}}'] for verdict in ("up", "down")}
    made, expected = sum(checks.values()), TARGETS * took_s / INTERVAL_S
    part_down = checks["down"] / made if made else 0.0
    wrong = abs(made / expected - 1) > 0.02 or abs(part_down - 1 / DEAD_EVERY) > 0.01
    report.add(
        Row(
            f"health checks, {TARGETS:,} targets",
            f"every {INTERVAL_S} s, {100 // DEAD_EVERY} % dead",
            round(made),
            took_s,
            used.per(round(made) or 1),
            exact=not wrong,
            detail=f"{made:,.0f} of {expected:,.0f} checks, {part_down:.1%} down; {memory:.0f} MB",
            unit="check",
        )
    )
    cores = used.seconds["healthcheck"] / took_s
    report.floors += [
        Floor("health checks: delay of their begin, p99", "s", 1, 0.1, (_p99(found),), at_least=False),
        Floor("health checks: CPU", "cores", 1, 0.5, (cores,), at_least=False),
        Floor(f"health checks, {TARGETS:,} targets: memory", "MB", 300, 200, (memory,), at_least=False),
    ]


def _target(port: int):
    def made(number: int) -> Target:
        kind = "dead" if number % DEAD_EVERY == 0 else "shop"
        return Target(
            id=f"bench-{number}",
            tenant="default",
            name=f"{kind} {number}",
            kind="http",
            url=f"http://127.0.0.1:{port}/{kind}",
            interval_ms=INTERVAL_S * 1000,
            timeout_ms=TIMEOUT_S * 1000,
        )

    return made


async def _all_checked(url: str) -> None:
    """Every one, once; then their series are known."""
    until = time.monotonic() + KNOWN_S
    while time.monotonic() < until:
        numbers = await _numbers(url)
        made = sum(value for name, value in numbers.items() if name.startswith("vigie_healthcheck_checks_total"))
        if made >= TARGETS and not numbers["vigie_healthcheck_unpublished_checks"]:
            await asyncio.sleep(INTERVAL_S / 3)
            return
        await asyncio.sleep(1)
    raise cost.LoadError(f"not all targets were checked within {KNOWN_S:.0f} s")


async def _numbers(url: str) -> dict[str, float]:
    """What the service measures of itself, by name with labels."""

    def read() -> str:
        with urllib.request.urlopen(f"{url}/internal/metrics", timeout=10) as answer:
            return answer.read().decode()

    lines = (await asyncio.to_thread(read)).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def _p99(found: dict[str, float]) -> float:
    """Seconds, by the buckets of the histogram; inside of one as if they lay evenly."""
    buckets = sorted(
        (float(bound[1]), count)
        for name, count in found.items()
        if (bound := re.fullmatch(_DELAY + r'_bucket\{le="(.+)"\}', name)) is not None
    )
    wanted = buckets[-1][1] * 0.99
    low, below = 0.0, 0.0
    for high, count in buckets:
        if count >= wanted:
            return (
                high
                if high == float("inf") or count == below
                else low + (high - low) * (wanted - below) / (count - below)
            )
        low, below = high, count
    return float("inf")


class _Asked(asyncio.Protocol):
    """The targets: one path answers, the other one never."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"GET /dead"):
            self._transport.write(_OK)


@asynccontextmanager
async def _asked() -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(_Asked, "127.0.0.1", 0, backlog=4_096)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextmanager
def _peer(program: str) -> Iterator[tuple[str, int]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    modules = {"http_2xx": {"prober": "http", "timeout": f"{TIMEOUT_S}s", "http": {"preferred_ip_protocol": "ip4"}}}
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        config = Path(directory) / "blackbox.yml"
        config.write_text(json.dumps({"modules": modules}))  # JSON is YAML
        process = Process(
            PEER,
            [program, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
            log_path=Path(directory) / "log",
            ready=http_ready(f"{url}/-/healthy"),
        )
        process.start()
        try:
            yield url, process.pid
        finally:
            process.stop()


async def _ask_peer(report: Report, url: str, pid: int, port: int, rounds: int) -> None:
    """The same targets as often; whoever scrapes it schedules, so that its delay is not its own."""
    host = url.removeprefix("http://")
    succeeded: list[bool] = []

    async def one(number: int) -> None:
        kind = "dead" if number % DEAD_EVERY == 0 else "shop"
        reader, writer = await asyncio.open_connection(*host.split(":"))
        query = f"/probe?module=http_2xx&target=http://127.0.0.1:{port}/{kind}"
        writer.write(f"GET {query} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        succeeded.append(b"\nprobe_success 1" in answer)

    count = rounds * TARGETS
    began = time.monotonic()
    with cost.measured({PEER: pid}) as used:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await asyncio.sleep(max(0.0, began + number * INTERVAL_S / TARGETS - time.monotonic()))
                group.create_task(one(number))
    dead = succeeded.count(False) / count
    report.add(
        Row(
            f"{PEER}, {TARGETS:,} targets",
            f"every {INTERVAL_S} s, {100 // DEAD_EVERY} % dead",
            count,
            time.monotonic() - began,
            used.per(count),
            exact=abs(dead - 1 / DEAD_EVERY) <= 0.01,
            detail=f"{cost.resident_mb(pid):.0f} MB",
            unit="check",
        )
    )
