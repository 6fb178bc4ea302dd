"""promtool, as whoever knows Prometheus has it at hand, asks `vigie up` unchanged."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx2 as httpx
import pytest

from tests.e2e.up import Up
from tests.kit import eventually_sync

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(120)]

NAME: Final = "promtool_requests_total"
RATE: Final = f"sum by (service) (rate({NAME}[5m]))"


@dataclass(frozen=True)
class Told:
    """`vigie up` with two cumulative counters: of `web` one more a second for ten minutes, of `db` three more."""

    url: str
    start: int
    """Unix seconds, a full minute."""

    @property
    def end(self) -> int:
        return self.start + 600

    def query(self, *arguments: str) -> str:
        """What `promtool query` prints."""
        tool = shutil.which("promtool")
        if tool is None:
            pytest.skip("promtool is not installed: it did not ask the query API")
        done = subprocess.run([tool, "query", *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """The same as JSON."""
        return json.loads(self.query("--format=json", *arguments))


@pytest.fixture(scope="module")
def told(vigie: Up) -> Told:
    start = int(time.time()) // 60 * 60 - 900
    metrics = [
        {
            "name": NAME, "type": "counter", "temporality": "cumulative", "labels": {"service": service},
            "value": 1000 + each * second, "timestamp": (start + second) * 1000,
        }
        for service, each in (("web", 1), ("db", 3))
        for second in range(0, 601, 10)
    ]  # fmt: skip
    with httpx.Client(base_url=vigie.url, timeout=30, trust_env=False) as client:
        client.post("/api/metrics/batch", json=metrics).raise_for_status()
        query = {"query": f"sum(count_over_time({NAME}[1h]))", "time": start + 601}

        def counted() -> bool:
            answer = client.get("/api/v1/query", params=query)
            assert answer.status_code == 200, answer.text
            return [one["value"][1] for one in answer.json()["data"]["result"]] == [str(len(metrics))]

        eventually_sync(counted, 30)
    return Told(vigie.url, start)


def test_instant(told: Told) -> None:
    at = datetime.fromtimestamp(told.end, UTC).isoformat().replace("+00:00", "Z")
    assert told.json("instant", f"--time={at}", told.url, RATE) == [
        {"metric": {"service": "db"}, "value": [told.end, "3"]},
        {"metric": {"service": "web"}, "value": [told.end, "1"]},
    ]
    assert told.query("instant", f"--time={told.end}", told.url, f'{NAME}{{service="web"}}') == (
        f'{NAME}{{service="web"}} => 1600 @[{told.end}]\n'
    )
    assert told.query("instant", f"--time={told.end}", told.url, "scalar(vector(1)) / 0") == (
        f"scalar: +Inf @[{told.end}]\n"
    )


def test_range(told: Told) -> None:
    [web] = told.json(
        "range", f"--start={told.start + 300}", f"--end={told.end}", "--step=60s", told.url,
        f'{NAME}{{service="web"}}',
    )  # fmt: skip
    assert web["metric"] == {"__name__": NAME, "service": "web"}
    assert web["values"] == [[told.start + second, str(1000 + second)] for second in range(300, 601, 60)]


def test_series(told: Told) -> None:
    shown = told.query("series", f"--match={NAME}", f"--start={told.start}", f"--end={told.end}", told.url).splitlines()
    assert sorted(shown) == [f'{{__name__="{NAME}", service="{service}"}}' for service in ("db", "web")]


def test_labels(told: Told) -> None:
    times = f"--start={told.start}", f"--end={told.end}"
    assert NAME in told.query("labels", *times, told.url, "__name__").splitlines()
    assert {"db", "web"} <= set(told.query("labels", *times, told.url, "service").splitlines())


def test_errors_are_shown(told: Told) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed: it was not shown an error")
    command = [tool, "query", "instant", told.url, "rate(x)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "bad_data" in done.stderr
    assert "range vector" in done.stderr
