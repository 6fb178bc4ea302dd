"""Prometheus (remote-write receiver) and VictoriaMetrics (JSON import), where their programs are on the PATH."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vigie_standalone.embedded.process import Process

from tests.bench import cost
from tests.bench.workload import BATCH, NAME, Workload
from tests.kit.processes import http_ready
from tests.kit.wait import eventually_sync

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.report import Row

CONNECTIONS = 4
SETTLE_S = 5.0
"""After the last answer: both write part of their work behind it."""


@dataclass(frozen=True)
class Peer:
    """How to start one, feed it, and count what it kept."""

    name: str
    programs: tuple[str, ...]
    arguments: Callable[[int, Path], list[str]]
    ready: str
    path: str
    headers: dict[str, str]
    bodies: Callable[[Workload], list[bytes]]

    def program(self) -> str | None:
        return next((found for name in self.programs if (found := shutil.which(name))), None)


PROMETHEUS = Peer(
    "Prometheus remote write",
    ("prometheus",),
    lambda port, data: [
        f"--config.file={_empty(data / 'prometheus.yml')}",
        f"--storage.tsdb.path={data / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--log.level=error",
    ],
    "/-/ready",
    "/api/v1/write",
    {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    },
    Workload.remote_write_bodies,
)
VICTORIA = Peer(
    "VictoriaMetrics JSON",
    ("victoria-metrics", "victoria-metrics-prod"),
    lambda port, data: [
        f"-storageDataPath={data / 'vm'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-loggerLevel=ERROR",
        "-search.latencyOffset=0s",
    ],
    "/health",
    "/api/v1/import",
    {"Content-Type": "application/json"},
    Workload.import_bodies,
)


def _empty(path: Path) -> Path:
    path.write_text("")
    return path


@contextmanager
def running(peer: Peer, directory: Path, port: int) -> Iterator[Process]:
    program = peer.program()
    assert program
    directory.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}"
    process = Process(
        peer.programs[0],
        [program, *peer.arguments(port, directory)],
        log_path=directory / "log",
        ready=http_ready(url + peer.ready),
    )
    process.start()
    try:
        yield process
    finally:
        process.stop()


def run(peer: Peer, work: Workload, directory: Path, port: int) -> Row:
    """One measured run on a fresh store; PASS when every sample is counted back by query."""
    from tests.bench.report import Row

    bodies = peer.bodies(work)
    with running(peer, directory, port) as process:
        url = f"http://127.0.0.1:{port}"
        spent, seconds = _fed(peer, url, process, work, bodies)
        found = _counted(url, work)
        memory = cost.resident_mb(process.pid)
    return Row(
        f"{peer.name}, {work.series:,} series",
        work.density,
        work.samples,
        seconds,
        spent.per(work.samples),
        exact=found == work.samples,
        detail=f"counted {found:,} of {work.samples:,}; {memory:.0f} MB",
    )


def new_series(peer: Peer, work: Workload, directory: Path, port: int) -> Row:
    """As `cases.new_series`: the first sample of every series against the second one."""
    from tests.bench.report import Row

    new, known = work.halves(peer.bodies(work))
    with running(peer, directory, port) as process:
        url = f"http://127.0.0.1:{port}"
        first, seconds = _fed(peer, url, process, work, new)
        second, _ = _fed(peer, url, process, work, known)
        found = _counted(url, work)
    return Row(
        f"new series, {peer.name}",
        work.density,
        work.series,
        seconds,
        first.beyond(second).per(work.series),
        exact=found == work.samples,
        detail=f"counted {found:,} of {work.samples:,}",
        unit="new series",
    )


def _fed(peer: Peer, url: str, process: Process, work: Workload, bodies: list[bytes]) -> tuple[cost.Cost, float]:
    """What the peer spent on these bodies, and the seconds until it had taken them."""
    with cost.measured({peer.name: process.pid}) as spent:
        sent = cost.send(url + peer.path, bodies, CONNECTIONS, peer.headers, max(1, work.series // BATCH))
        time.sleep(SETTLE_S)
    return spent, sent["seconds"]


def _counted(url: str, work: Workload) -> int:
    """How many samples the peer gives back, summed over all series."""
    seconds = (work.per_series * 10 // work.per_window) + 60
    query = f"sum(count_over_time({NAME}[{seconds}s]))"
    parameters = urllib.parse.urlencode({"query": query, "time": work.end_ms / 1000 + 1})

    def count() -> int:
        with urllib.request.urlopen(f"{url}/api/v1/query?{parameters}", timeout=120) as answer:
            result = json.load(answer)["data"]["result"]
        return int(float(result[0]["value"][1])) if result else 0

    last = 0

    def complete() -> bool:
        nonlocal last
        last = count()
        return last >= work.samples

    try:
        eventually_sync(complete, 45, interval=1.0, retry_on=(urllib.error.URLError, KeyError))
    except AssertionError:
        return last
    return last
