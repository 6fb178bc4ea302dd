"""Stock Prometheus with Alertmanager: from an event at a target to the webhook, at the intervals that they are shipped
with. Skipped where their programs are not on the PATH (Debian's packages `prometheus` and `prometheus-alertmanager`).
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process

from tests.bench.report import Floor, Report
from tests.kit.processes import http_ready
from tests.kit.wait import eventually_sync
from tests.kit.webhooks import Receiver, receiver

PROMETHEUS: Final = ("prometheus",)
ALERTMANAGER: Final = ("alertmanager", "prometheus-alertmanager")
INTERVAL, GROUP_WAIT = "15s", "30s"
EVENTS: Final = 6
APART_S: Final = 4.0
"""So that the events lie all over the interval."""
PATIENCE_S: Final = 120.0
HIGH, LOW, THRESHOLD = 95, 5, 80


@dataclass
class Target:
    """What is scraped: a gauge for each rule."""

    port: int
    values: list[int] = field(default_factory=lambda: [LOW] * EVENTS)

    def text(self) -> str:
        return "".join(f"bench_level_{number} {value}\n" for number, value in enumerate(self.values))


def measure(report: Report) -> None:
    """The same rule as Vigie's, an event after the other."""
    programs = [_program(PROMETHEUS), _program(ALERTMANAGER)]
    if None in programs:
        report.skip("Prometheus with Alertmanager: there is no prometheus, or no alertmanager, on the PATH")
        return
    with (
        tempfile.TemporaryDirectory(prefix="vigie-bench-") as made,
        receiver() as webhook,
        _target() as target,
        _running(Path(made), [str(program) for program in programs], target, webhook),
    ):
        began = {number: _event(target, number) for number in range(EVENTS)}
        eventually_sync(lambda: len(_told(webhook)) == EVENTS, PATIENCE_S)
        waits = tuple((_told(webhook)[number] - at) * 1e3 for number, at in began.items())
    name = f"event to webhook, stock Prometheus and Alertmanager ({INTERVAL}, group wait {GROUP_WAIT})"
    report.floors.append(Floor(f"{name}: p50", "ms", None, None, (statistics.median(waits),), at_least=False))
    report.floors.append(Floor(f"{name}: worst of {EVENTS}", "ms", None, None, (max(waits),), at_least=False))


def _program(names: tuple[str, ...]) -> str | None:
    return next((found for name in names if (found := shutil.which(name))), None)


def _event(target: Target, number: int) -> float:
    target.values[number] = HIGH
    at = time.monotonic()
    time.sleep(APART_S)
    return at


def _told(webhook: Receiver) -> dict[int, float]:
    """By rule, when it was first told of."""
    found: dict[int, float] = {}
    for delivery in webhook.deliveries:
        for _, labels in delivery.alerts:
            found.setdefault(int(labels["alertname"].rpartition("_")[2]), delivery.at)
    return found


@contextmanager
def _target() -> Iterator[Target]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = target.text().encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    target = Target(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield target
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def _running(directory: Path, programs: list[str], target: Target, webhook: Receiver) -> Iterator[None]:
    """Both, once the target has been scraped."""
    prometheus, alertmanager = free_port(), free_port()
    rules = [
        {"alert": f"level_{number}", "expr": f"bench_level_{number} > {THRESHOLD}", "labels": {"severity": "high"}}
        for number in range(EVENTS)
    ]
    config: dict[str, dict[str, Any]] = {  # JSON is YAML
        "prometheus.yml": {
            "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": [str(directory / "rules.yml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
            "scrape_configs": [{"job_name": "bench", "static_configs": [{"targets": [f"127.0.0.1:{target.port}"]}]}],
        },
        "rules.yml": {"groups": [{"name": "bench", "rules": rules}]},
        "alertmanager.yml": {
            "route": {"group_by": ["alertname"], "group_wait": GROUP_WAIT, "receiver": "hook"},
            "receivers": [{"name": "hook", "webhook_configs": [{"url": webhook.url}]}],
        },
    }
    for name, content in config.items():
        (directory / name).write_text(json.dumps(content))
    commands = {
        alertmanager: [
            programs[1],
            f"--config.file={directory / 'alertmanager.yml'}",
            f"--storage.path={directory / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{alertmanager}",
            "--cluster.listen-address=",
        ],
        prometheus: [
            programs[0],
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{prometheus}",
        ],
    }
    processes: list[Process] = []
    try:
        for port, command in commands.items():
            ready, log = http_ready(f"http://127.0.0.1:{port}/-/ready"), directory / f"{Path(command[0]).name}.log"
            processes.append(Process(Path(command[0]).name, command, log_path=log, ready=ready))
            processes[-1].start()
        time.sleep(float(INTERVAL.rstrip("s")) + 1)
        yield
    finally:
        for process in processes:
            process.stop()
