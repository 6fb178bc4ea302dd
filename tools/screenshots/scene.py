"""A `vigie up` of its own for the pictures: simulated traffic, and something to see on every page."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from vigie_standalone.embedded.ports import free_port

from tools.screenshots import machine

START_S: Final = 300.0
STOP_S: Final = 90.0
FILLED: Final = 57
"""Minutes of the last hour that have to be there: charts without a gap."""
NOT_OURS: Final = ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "REDIS_URL")


class Api:
    """A Vigie, asked as the administrator of the platform about the tenant `default`."""

    def __init__(self, url: str, password: str) -> None:
        self.url, self.password = url, password
        self._token = ""

    def log_in(self) -> None:
        """Raises OSError."""
        body = {"username": "admin", "password": self.password}
        self._token = self.call("POST", "auth/login", body)["accessToken"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer. Raises OSError, which says what was answered."""
        headers = {"content-type": "application/json", "x-scope-orgid": "default"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/{path}", data=data, method=method, headers=headers)
        try:
            with urlopen(request, timeout=30) as answer:
                text = answer.read()
        except HTTPError as error:
            raise OSError(f"{method} /{path}: {error.code} {error.read().decode(errors='replace')[:500]}") from error
        return json.loads(text) if text else None


@contextmanager
def running(directory: Path) -> Generator[Api]:
    """Vigie with an hour of bookings, people on call, routes, an app, nodes of tenants, and an incident."""
    password = secrets.token_urlsafe(18)
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    environment["VIGIE_ADMIN_PASSWORD"] = password
    home = ("--data-dir", str(directory / "home"))
    vigie = (sys.executable, "-m", "vigie_standalone")
    with (directory / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [*vigie, "up", "--demo", "--port", str(port), *home],
            stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        api = Api(f"http://127.0.0.1:{port}", password)
        _until("Vigie to be up", lambda: api.call("GET", "api/dashboard/realtime").get("bookingsPerMinute"), up)
        api.log_in()
        _furnish(api)
        _until("the past hour", lambda: _minutes(api) >= FILLED, up)
        subprocess.run([*vigie, "incident", "error-burst", *home], check=False, capture_output=True)
        _until("an alert", lambda: api.call("GET", "api/alerts?status=active").get("alerts"), up)
        _until("a canary", lambda: "unknown" not in str(api.call("GET", "admin/global/pipeline")["promises"]), up)
        yield api
    finally:
        up.send_signal(signal.SIGINT)
        try:
            up.wait(STOP_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(up.pid, signal.SIGKILL)


def _minutes(api: Api) -> int:
    """Of the last hour, those that have bookings."""
    now = int(time.time())
    asked = urlencode(
        {"query": "sum(increase(bookings_completed_total[1m])) > 0", "start": now - 3_600, "end": now, "step": 60}
    )
    found = api.call("GET", f"api/v1/query_range?{asked}")["data"]["result"]
    return len(found[0]["values"]) if found else 0


def _until(what: str, ready: Any, up: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while True:
        with suppress(OSError):
            if ready():
                return
        if up.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"waited for {what} in vain")
        time.sleep(1)


def _furnish(api: Api) -> None:
    """What the simulator does not send."""
    for name in ("ana", "ben", "cleo", "dan"):
        api.call("PUT", f"api/oncall/people/{name}", {"email": f"{name}@example.com"})
    monday = (datetime.now(UTC) - timedelta(days=datetime.now(UTC).weekday() + 7)).date().isoformat()
    working = ["monday", "tuesday", "wednesday", "thursday", "friday"]
    days = {"weekdays": working, "from": "09:00", "to": "17:00"}
    layers = [
        {"name": "nights", "people": ["ana", "ben", "cleo"], "start": monday, "handoff": "09:00"},
        {"name": "days", "people": ["dan", "ana"], "start": monday, "handoff": "09:00", "restrictions": [days]},
    ]
    api.call("PUT", "api/oncall/schedules/database", {"timezone": "Europe/Paris", "layers": layers})
    override = {"person": "cleo", "from": "now+30h", "to": "now+54h", "note": "ben is away"}
    api.call("POST", "api/oncall/schedules/database/overrides", override)
    steps = [
        {"notify": [{"type": "schedule", "name": "database"}]},
        {"after": "10m", "notify": [{"type": "person", "name": "dan"}]},
    ]
    api.call("PUT", "api/oncall/chains/database", {"steps": steps, "repeat": 2, "repeatAfter": "15m"})
    below = [
        {"matchers": ['service="payment"'], "receiver": "payments", "repeatInterval": {"critical": "1h"}},
        {"matchers": ['team="db"', 'severity=~"high|critical"'], "receiver": "databases"},
        {"matchers": ['severity=~"info|low"'], "receiver": "nobody"},
    ]
    receivers = {
        "operations": {"channels": [{"type": "email", "destination": "ops@example.com"}]},
        "payments": {"channels": [{"type": "slack", "destination": "#payments"}]},
        "databases": {"escalation": "database"},
        "nobody": {},
    }
    tree = {"route": {"receiver": "operations", "groupBy": ["alertname"], "routes": below}, "receivers": receivers}
    api.call("PUT", "api/alerts/routes", tree)
    _alert(api)
    _reports(api)
    api.call("POST", "api/sites", machine.SITE)
    told = machine.reports()
    for first in range(0, len(told), machine.AT_ONCE):
        api.call("POST", "api/hosts/reports", told[first : first + machine.AT_ONCE])


def _alert(api: Api) -> None:
    """One that stays, whatever becomes of the others."""
    rule = {"name": "QueueTooLong", "metricName": "queue_length", "condition": ">", "threshold": 100}
    said = {"summary": "{{ $value }} bookings of {{ $labels.service }} wait"}
    more = {"severity": "warning", "keepFiringFor": "1h", "annotations": said}
    api.call("POST", "api/alerts/rules", {**rule, **more})
    sample = {"name": "queue_length", "type": "gauge", "value": 140, "labels": {"service": "hotel-booking"}}
    api.call("POST", "api/metrics/custom", sample)


def _reports(api: Api) -> None:
    """Of an app, and of the nodes of three tenants, over the last minutes."""
    now = datetime.now(UTC)
    for n in range(24):
        at = (now - timedelta(seconds=(24 - n) * 10)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        load = 30 + 12 * ((n * 7) % 5) / 4
        metrics = {
            "cpu": {"usage": load, "system": load / 4},
            "memory": {"used": 4.1e8 + n * 3e6, "total": 1e9},
            "requests": {"perSecond": 40 + (n * 11) % 9, "waiting": (n * 3) % 4},
        }
        api.call("POST", "api/apps/reservations/metrics", {"userId": "desk", "metrics": metrics, "timestamp": at})
    for number, name in enumerate(("north-school", "south-school", "harbour-hotel")):
        api.call("POST", "admin/tenants", {"id": name, "name": name.replace("-", " ").title()})
        numbers = {"uptime": 86_400 * (number + 3), "activeUsers": 40 + 17 * number}
        more = {"exercisesCompletedToday": 120 + 35 * number, "aiLatency": 110 + 20.5 * number}
        api.call("POST", "telemetry", {"tenantId": name, **numbers, **more, "version": f"2.{number // 2}.0"})
