"""The examples of the how-to page run as they are printed, apart from the address."""

import re
from pathlib import Path
from typing import Any

import flask
import httpx2
from fastapi import FastAPI

from tests.kit import eventually_sync

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "send-from-python.md"


def run(example: int, url: str) -> dict[str, Any]:
    """Execute the page's example of that number, against another address."""
    code = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[example]
    names: dict[str, Any] = {}
    exec(code.replace("http://localhost:3000", url), names)
    return names


def test_script_sends(server) -> None:
    run(0, server.url)
    assert server.sums() == {("rows_total", "import", "bookings"): 250, ("queue_length", "import"): 7}


async def test_fastapi_application_is_watched(server) -> None:
    app = run(1, server.url)["app"]
    assert isinstance(app, FastAPI)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://app") as http:
        assert (await http.get("/docs")).status_code == 200
    client = app.user_middleware[0].kwargs["client"]
    assert client.stop()
    assert server.sums()["http_requests_total", "/docs", "GET", "booking", "200"] == 1


def test_flask_application_is_watched(server) -> None:
    app = run(2, server.url)["app"]
    assert isinstance(app, flask.Flask)
    app.test_client().get("/nothing").close()
    client = app.wsgi_app._requests._client
    assert client.stop()
    assert server.sums()["http_requests_total", "unmatched", "GET", "booking", "404"] == 1


def test_telemetry_is_sent_at_once(server) -> None:
    run(3, server.url)
    eventually_sync(lambda: len(server.received) == 1)
    report = server.received[0].document
    assert (server.received[0].path, report["activeUsers"], report["aiLatency"]) == ("/telemetry", 42, 247.5)
