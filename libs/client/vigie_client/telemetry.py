"""The node telemetry sender of the TelemetryService guide, with Python names: `POST /telemetry` every few minutes.

Like the client printed there it sends at once and then periodically, tries each report once (the next one replaces
it, and a report carries no time of its own), waits 10 seconds for an answer, and takes 201 for a success.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from platform import python_version
from threading import Event, RLock, Thread
from typing import Any

import psutil

from vigie_client.transport import HttpFailure, HttpResponse, HttpTransport, base_url

log = logging.getLogger("vigie_client")

PATH = "/telemetry"
TIMEOUT_S = 10.0


class TelemetryClient:
    """Reports one node of one tenant. Only the constructor raises (ValueError); what fails later is in the log."""

    def __init__(
        self,
        backend_url: str,
        tenant_id: str,
        version: str,
        *,
        active_users: Callable[[], int] = lambda: 0,
        exercises_completed_today: Callable[[], int] = lambda: 0,
        ai_latency: Callable[[], float | None] = lambda: None,
        additional_data: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """The callables look up the application's numbers for each report, in the sending thread; `ai_latency` in ms,
        None to leave it out. `additional_data` is added to what is known of the machine."""
        self._url = base_url(backend_url)
        self._tenant_id = tenant_id
        self._version = version
        self._active_users = active_users
        self._exercises = exercises_completed_today
        self._ai_latency = ai_latency
        self._additional = additional_data or dict[str, Any]
        self._lock = RLock()
        self._stop: Event | None = None
        self._pid = os.getpid()
        psutil.cpu_percent(None)  # the first call only begins the measurement

    def collect_metrics(self) -> dict[str, Any]:
        """The report: the fields of `TelemetryDto`, uptime in seconds since the process was started."""
        report: dict[str, Any] = {
            "tenantId": self._tenant_id,
            "uptime": round(max(0.0, time.time() - psutil.Process().create_time()), 3),
            "activeUsers": self._active_users(),
            "exercisesCompletedToday": self._exercises(),
            "aiLatency": self._ai_latency(),
            "version": self._version,
            "additionalData": {
                "cpuUsage": psutil.cpu_percent(None),
                "memoryUsage": psutil.virtual_memory().percent,
                "diskUsage": psutil.disk_usage(os.sep).percent,
                "platform": sys.platform,
                "pythonVersion": python_version(),
                **self._additional(),
            },
        }
        return {name: value for name, value in report.items() if value is not None}

    def send_telemetry(self) -> bool:
        """Send one report now. Whether it was answered with 201."""
        try:
            report = self.collect_metrics()
            body = json.dumps(report, allow_nan=False).encode()
        except Exception as error:  # noqa: BLE001  # the application's own callables
            log.warning("telemetry was not sent: it could not be collected: %r", error)
            return False
        # A connection of its own, as the next report is minutes away. Uncompressed, as the guide shows it.
        transport = HttpTransport(self._url, compress=False)
        outcome = transport.post(PATH, body, {}, TIMEOUT_S)
        transport.close()
        return _sent(outcome, report)

    async def asend_telemetry(self) -> bool:
        """`send_telemetry`, awaited; the event loop goes on meanwhile."""
        return await asyncio.to_thread(self.send_telemetry)

    def start_periodic_send(self, interval_minutes: float = 5) -> None:
        """Send at once and then every so many minutes, in a daemon thread that ends with the process."""
        if not interval_minutes > 0:
            log.warning("telemetry was not started: the interval must be positive")
            return
        with self._lock:
            if self._stop is not None and self._pid == os.getpid():
                log.warning("telemetry is started already")
                return
            stop = self._stop = Event()
            self._pid = os.getpid()
            run = partial(self._run, stop, interval_minutes * 60)
            Thread(target=run, name="vigie-telemetry", daemon=True).start()
        log.info("telemetry started, every %g min", interval_minutes)

    def stop_periodic_send(self) -> None:
        """No further reports. Does not wait for one that is under way."""
        with self._lock:
            stop, self._stop = self._stop, None
        if stop is not None:
            stop.set()
            log.info("telemetry stopped")

    def _run(self, stop: Event, interval_s: float) -> None:
        at = time.monotonic()
        while not stop.is_set():
            self.send_telemetry()
            at = max(at + interval_s, time.monotonic())
            stop.wait(at - time.monotonic())


def _sent(outcome: HttpResponse | HttpFailure, report: Mapping[str, Any]) -> bool:
    if isinstance(outcome, HttpFailure):
        log.warning("telemetry was not sent: %s", outcome.reason)
        return False
    if outcome.status != 201:
        log.warning("telemetry was refused: %d - %s", outcome.status, _message(outcome.body))
        return False
    log.info("telemetry sent: %s users, %s exercises", report.get("activeUsers"), report.get("exercisesCompletedToday"))
    return True


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])[:300]
    except (ValueError, TypeError, KeyError, RecursionError):
        return "no message"
