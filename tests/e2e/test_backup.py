"""A restore drill: what is saved of a running Vigie is all there in another one, on servers of its own."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
import pytest

from tests.e2e.up import Up
from tests.kit import eventually_sync

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(900)]

SERIES, ROUNDS = 60, 25
RULE = {
    "name": "drill", "metricName": "drill_level", "condition": ">", "threshold": 10,
    "severity": "critical", "notificationChannels": [{"type": "webhook", "destination": "http://127.0.0.1:9/hook"}],
}  # fmt: skip


@pytest.fixture
def another(tmp_path: Path) -> Any:
    """A `vigie up` on a data directory that is not there yet."""
    up = Up(tmp_path / "another")
    yield up
    up.kill()


def test_restored_sums_and_rules_are_those_of_the_backup(own_up: Up, another: Up, tmp_path: Path) -> None:
    own_up.start()
    with _client(own_up) as client:
        rule = client.post("/api/alerts/rules", json=RULE)
        assert rule.status_code == 201, rule.text
        gone = client.post("/api/alerts/rules", json={**RULE, "name": "given up later"}).json()
        _send(client, ROUNDS)
        eventually_sync(lambda: _sum(client) == SERIES * ROUNDS, 60)
        aggregator = psutil.Process(own_up.run_file()["processes"]["aggregator"])
        aggregator.send_signal(signal.SIGSTOP)  # so that the rest lies in Kafka only
        try:
            _send(client, ROUNDS)
            saved = own_up.vigie("backup", str(tmp_path / "backup"), "--with-secrets")
        finally:
            aggregator.send_signal(signal.SIGCONT)
        assert saved.returncode == 0, saved.stderr
        _send(client, 3)  # after it: not in the backup
        assert client.delete(f"/api/alerts/rules/{_id(gone)}").status_code in (200, 204)
    own_up.kill()

    tails = json.loads((tmp_path / "backup" / "vigie-backup.json").read_bytes())["log"]
    assert sum(tail["records"] for tail in tails if tail["topic"] == "vigie.samples.v1") > 0
    again = own_up.vigie("backup", str(tmp_path / "backup"))
    assert (again.returncode, again.stdout) == (1, "")

    restored = another.vigie("restore", str(tmp_path / "backup"), timeout=300)
    assert restored.returncode == 0, restored.stderr + restored.stdout
    assert "WARNING" not in restored.stdout
    refused = another.vigie("restore", str(tmp_path / "backup"))
    assert refused.returncode == 1
    assert "has data already" in refused.stderr

    another.start()
    with _client(another) as client:
        eventually_sync(lambda: _sum(client) == 2 * SERIES * ROUNDS, 60)
        assert {"drill", "given up later"} <= {one["name"] for one in client.get("/api/alerts/rules").json()["rules"]}
        _send(client, 2)  # it goes on from there
        eventually_sync(lambda: _sum(client) == 2 * SERIES * ROUNDS + 2 * SERIES, 60)
        client.post("/api/metrics/custom", json={"name": "drill_level", "type": "gauge", "value": 11})
        eventually_sync(lambda: "drill" in _firing(client), 60)  # the rules came back to who evaluates them


def test_a_damaged_backup_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    for missing in ("", "{}", '{"format": 9, "version": "9.9.9"}'):
        (tmp_path / "backup").mkdir(exist_ok=True)
        if missing:
            (tmp_path / "backup" / "vigie-backup.json").write_text(missing, encoding="utf-8")
        up = Up(tmp_path / "never")
        refused = up.vigie("restore", str(tmp_path / "backup"))
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
        assert not (tmp_path / "never" / "home").exists()


def _client(up: Up) -> httpx.Client:
    return httpx.Client(base_url=up.url, timeout=30, trust_env=False)


def _send(client: httpx.Client, rounds: int) -> None:
    batch = [
        {"name": "drill", "type": "counter", "value": 1, "labels": {"service": f"service-{number}"}}
        for number in range(SERIES)
    ]
    for _ in range(rounds):
        assert client.post("/api/metrics/batch", json=batch).status_code in (200, 201)


def _sum(client: httpx.Client) -> float:
    asked = {"metric": "drill", "function": "sum", "from": "now-2h", "step": "1h"}
    answer = client.get("/api/query_range", params=asked)
    points = [point for one in answer.json().get("series", []) for point in one["points"]]
    return sum(value for _, value in points if value is not None)


def _firing(client: httpx.Client) -> set[str]:
    return {alert["type"] for alert in client.get("/api/alerts").json()["alerts"]}


def _id(rule: dict[str, Any]) -> str:
    return rule["rule"]["id"] if "rule" in rule else rule["id"]
