"""The telemetry sender against a local HTTP server that fails as told; with the gateway: tests/integration."""

import json
import logging
import platform
import subprocess
import sys
import time
from typing import Any, ClassVar

import pytest
from vigie_client import TelemetryClient
from vigie_standalone.embedded.ports import free_port

from tests.kit import eventually_sync

TENANT = "550e8400-e29b-41d4-a716-446655440000"
REQUIRED = {"tenantId": str, "uptime": (int, float), "activeUsers": int, "exercisesCompletedToday": int}
OPTIONAL = {"aiLatency": (int, float), "version": str, "additionalData": dict}


def document(status: int, message: str) -> tuple[int, dict[str, str], dict[str, object]]:
    return status, {"content-type": "application/json"}, {"statusCode": status, "message": message}


@pytest.fixture
def backend(server):
    """201 with the documented body, in French; 400, 403, 404 as documented under "Validations"."""

    class Backend:
        url = server.url
        script = server.script
        reports: ClassVar[list[dict[str, Any]]] = []

        @staticmethod
        def take(request):
            with server.lock:
                server.received.append(request)
                if server.script:
                    return server.script.popleft()
                return judge(request)

    def judge(request):
        report = request.document
        if request.path != "/telemetry" or request.headers["content-type"] != "application/json":
            return document(404, "Cannot POST")
        known = REQUIRED | OPTIONAL
        wrong = [f for f in REQUIRED if f not in report] + [
            f for f, v in report.items() if f not in known or not isinstance(v, known[f])
        ]
        if wrong or min(report["uptime"], report["activeUsers"], report["exercisesCompletedToday"]) < 0:
            return document(400, f"invalid: {wrong}")
        if report["tenantId"] != TENANT:
            return document(404, "there is no such tenant")
        Backend.reports.append(report)
        body = {
            "success": True,
            "message": "Télémétrie enregistrée avec succès",
            "timestamp": "2025-11-24T10:30:00.000Z",
            "tenantId": TENANT,
        }
        return 201, {"content-type": "application/json"}, body

    server.take = Backend.take
    Backend.server = server
    return Backend


def test_report_has_the_documented_fields(backend) -> None:
    client = TelemetryClient(
        backend.url + "/",
        TENANT,
        "1.2.0",
        active_users=lambda: 42,
        exercises_completed_today=lambda: 156,
        ai_latency=lambda: 247.5,
        additional_data=lambda: {"errorCount": 3},
    )
    assert client.send_telemetry() is True
    [report] = backend.reports
    assert (report["tenantId"], report["activeUsers"], report["exercisesCompletedToday"]) == (TENANT, 42, 156)
    assert (report["aiLatency"], report["version"]) == (247.5, "1.2.0")
    assert 0 < report["uptime"] < 24 * 3600
    more = report["additionalData"]
    assert all(0 <= more[name] <= 100 for name in ("cpuUsage", "memoryUsage", "diskUsage"))
    assert (more["platform"], more["pythonVersion"], more["errorCount"]) == (
        sys.platform,
        platform.python_version(),
        3,
    )
    [request] = backend.server.received
    assert "content-encoding" not in request.headers
    assert "authorization" not in request.headers


def test_latency_that_is_not_known_is_left_out(backend) -> None:
    assert TelemetryClient(backend.url, TENANT, "1.2.0").send_telemetry()
    assert "aiLatency" not in backend.reports[0]
    assert (backend.reports[0]["activeUsers"], backend.reports[0]["exercisesCompletedToday"]) == (0, 0)


async def test_report_can_be_awaited(backend) -> None:
    assert await TelemetryClient(backend.url, TENANT, "1.2.0").asend_telemetry()


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (document(404, "there is no such tenant"), "404 - there is no such tenant"),
        (document(403, "Tenant inactif"), "403 - Tenant inactif"),
        (document(400, "uptime must not be less than 0"), "400 - uptime must not be less than 0"),
        (document(500, "Internal server error"), "500 - Internal server error"),
        ((502, {}, b"<html>"), "502 - no message"),
        ((200, {}, {"message": "somebody else"}), "200 - somebody else"),
        ("drop before", "telemetry was not sent"),
    ],
)
def test_failure_is_logged_with_the_message_and_tried_once(backend, caplog, told, shown) -> None:
    backend.script.append(told)
    assert TelemetryClient(backend.url, TENANT, "1.2.0").send_telemetry() is False
    assert shown in caplog.text
    assert len(backend.server.received) == 1


def test_unknown_tenant_and_backend_that_is_away_are_false(backend) -> None:
    assert TelemetryClient(backend.url, "nobody", "1.2.0").send_telemetry() is False
    assert TelemetryClient(f"http://127.0.0.1:{free_port()}", TENANT, "1").send_telemetry() is False


@pytest.mark.parametrize("broken", [lambda: 1 / 0, object, lambda: float("nan")])
def test_broken_callable_of_the_application_is_false(backend, broken) -> None:
    assert TelemetryClient(backend.url, TENANT, "1", active_users=broken).send_telemetry() is False
    assert backend.reports == []


def test_periodic_send_is_at_once_and_then_every_interval_until_stopped(backend, caplog) -> None:
    caplog.set_level(logging.INFO)
    client = TelemetryClient(backend.url, TENANT, "1.2.0")
    client.start_periodic_send(interval_minutes=0.05 / 60)
    client.start_periodic_send(interval_minutes=0.05 / 60)
    assert "started already" in caplog.text
    eventually_sync(lambda: len(backend.reports) >= 3)
    backend.script.extend([document(500, "no"), "drop before"])
    eventually_sync(lambda: not backend.script)
    seen = len(backend.reports)
    eventually_sync(lambda: len(backend.reports) > seen)
    client.stop_periodic_send()
    client.stop_periodic_send()
    assert "telemetry stopped" in caplog.text
    client.start_periodic_send(60)
    seen = len(backend.reports)
    eventually_sync(lambda: len(backend.reports) > seen)
    client.stop_periodic_send()


def test_process_that_is_terminated_does_not_wait_for_a_report(backend) -> None:
    program = (
        "import sys, time; from vigie_client import TelemetryClient\n"
        f"TelemetryClient(sys.argv[1], {json.dumps(TENANT)}, '1').start_periodic_send(5)\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, backend.url])
    eventually_sync(lambda: len(backend.reports) == 1)
    began = time.monotonic()
    process.terminate()
    process.wait(10)
    assert time.monotonic() - began < 5
