"""Machines that report, as agents do: with sites, services, and what is hostile in their names."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2 as httpx
from websockets.sync.client import connect

from tests.kit import unique

HOSTILE: Final = '<img src=x onerror="alert(1)">'
INTERVAL_S: Final = 30
GB: Final = 10**9
MINUTES: Final = 60
_DEFAULT: Final = {"x-scope-orgid": "default"}


@dataclass
class Machine:
    """One host of the tenant `default`, with one site and two services of it."""

    root: httpx.Client
    host: str = field(default_factory=lambda: unique("web"))
    site: str = field(default_factory=lambda: unique("shop"))
    state: str = "active"
    """Of the service `api`."""
    last_ms: int = 0

    @property
    def api(self) -> str:
        """A service of the site."""
        return f"twoine-{self.site}-api"

    def add_site(self, **more: Any) -> None:
        """Over HTTP."""
        body = {
            "id": self.site, "host": self.host, "name": f"{HOSTILE} {self.site}", "account": "shop",
            "directory": "/var/www/sites/shop", "domains": ["shop.example.com"], "ports": [{"from": 3000, "to": 3009}],
            "limits": {"memoryBytes": GB, "diskBytes": 10 * GB},
        }  # fmt: skip
        answer = self.root.post("/api/sites", json={**body, **more}, headers=_DEFAULT)
        assert answer.status_code == 201, answer.text

    def history(self, minutes: int = MINUTES, until_minutes: int = 0) -> None:
        """Reports of so many minutes, up to so many ago."""
        now = int(time.time() * 1000) - until_minutes * 60_000
        count = minutes * 60 // INTERVAL_S
        self._send([self._report(now - (count - n) * INTERVAL_S * 1000, n) for n in range(count)])

    def report(self, cpu: float = 42.5, **more: Any) -> None:
        """One of now."""
        self._send([{**self._report(max(int(time.time() * 1000), self.last_ms + 1), 0, cpu=cpu), **more}])

    def _send(self, reports: list[dict[str, Any]]) -> None:
        for first in range(0, len(reports), 50):
            answer = self.root.post("/api/hosts/reports", json=reports[first : first + 50], headers=_DEFAULT)
            assert answer.status_code < 300, answer.text
            assert answer.json()["rejected"] == 0, answer.text
        self.last_ms = reports[-1]["timestamp"]

    def _report(self, at_ms: int, n: int, cpu: float | None = None) -> dict[str, Any]:
        busy = cpu if cpu is not None else 30 + 20 * (n % 10) / 10
        memory, running = 8 * GB + n * 10**7, self.state == "active"
        services = [
            {
                "name": self.api, "site": self.site, "state": self.state, "subState": HOSTILE,
                "pid": 4242 if running else None, "uptime": 93_784.0 if running else None,
                "memoryBytes": 123_456_789 if running else None, "cpuTimeMs": 61_500, "restarts": 2,
            },
            {"name": f"twoine-{self.site}-worker", "site": self.site, "state": "active", "pid": 4243, "uptime": 60.0},
            {"name": "nginx", "state": "active", "pid": 77, "uptime": 5e5, "memoryBytes": 20_000_000},
        ]  # fmt: skip
        return {
            "host": self.host, "timestamp": at_ms, "interval": INTERVAL_S, "uptime": 1_000_000 + n * INTERVAL_S,
            "agent": {"instance": f"{self.host}-agent", "version": "1", "platform": HOSTILE,
                      "unavailable": [{"what": f"sites.{self.site}.disk", "reason": HOSTILE}]},
            "cpu": {"percent": busy, "perCore": [busy, busy / 2], "cores": 2, "model": f"CPU {HOSTILE}",
                    "loadAvg": {"one": 1 + n % 7 / 10, "five": 0.8, "fifteen": 0.5}},
            "memory": {"total": 16 * GB, "used": memory, "free": 16 * GB - memory, "percent": memory / (16 * GB) * 100},
            "swap": {"total": 2 * GB, "used": 10**8, "percent": 5},
            "disk": {"total": 100 * GB, "used": 61 * GB, "free": 39 * GB, "percent": 61},
            "disks": [{"mount": "/", "device": "/dev/sda1", "total": 100 * GB, "used": 61 * GB, "percent": 61},
                      {"mount": f"/mnt/{HOSTILE}", "total": 10 * GB, "used": GB, "percent": 10}],
            "network": {"bytesIn": 10**9 + n * 30_000_000, "bytesOut": 10**8 + n * 9_000_000,
                        "interfaces": [{"name": f"eth0{HOSTILE}", "bytesIn": 10**9, "bytesOut": 10**8,
                                        "errorsIn": 0, "errorsOut": 1}]},
            "processes": {"total": 180, "running": 2, "zombie": 0},
            "pressure": {"cpu": {"some": {"avg10": 1, "avg60": 2.5}}, "io": {"some": {"avg10": 0, "avg60": 0.2}}},
            "sites": [{"site": self.site, "account": "shop", "processes": 7,
                       "cpu": {"percent": busy / 3, "timeMs": 5_000_000},
                       "memory": {"usedBytes": 4 * 10**8 + n * 10**6, "percent": 40, "limit": GB},
                       "disk": {"usedBytes": 3 * GB, "percent": 30, "limit": 10 * GB, "fileCount": 12_345},
                       "services": {"total": 2, "running": 1 + running, "stopped": 1 - running, "failed": 0}}],
            "services": services,
        }  # fmt: skip

    @contextmanager
    def obeying(self, url: str, outcome: str = "done", text: str = "") -> Iterator[list[dict[str, Any]]]:
        """An agent that does what it is asked, and what it was asked; the reports are the caller's."""
        asked: list[dict[str, Any]] = []
        with connect(url.replace("http://", "ws://", 1) + "/ws") as socket:
            token = self.root.headers["authorization"].removeprefix("Bearer ")
            socket.send(json.dumps({"type": "auth", "token": token}))
            asking = {"channel": "commands", "host": self.host, "tenant": "default"}
            socket.send(json.dumps({"type": "subscribe", **asking}))
            answering = threading.Thread(target=self._answer, args=(socket, asked, outcome, text), daemon=True)
            answering.start()
            yield asked
        answering.join(10)

    def _answer(self, socket: Any, asked: list[dict[str, Any]], outcome: str, text: str) -> None:
        for line in socket:
            message = json.loads(line)
            if message["type"] != "command":
                continue
            asked.append(message["data"])
            if outcome == "done":
                self.state = "inactive" if message["data"]["action"] == "stop" else "active"
            answer = {"type": "commandResult", "id": message["data"]["id"], "host": self.host, "tenant": "default"}
            socket.send(json.dumps({**answer, "outcome": outcome, "text": text}))
