"""Alertmanager's clients ask `vigie up`, unchanged: amtool, a Prometheus that sends, Grafana's data source.

Of each of Grafana's requests (`alertmanager/grafana.json`): `when` Grafana sends it, `method`, `path`, `query` and
`body`, and what it must get: a `status` that is not 200, or JSON of the shape of `like`. `{start}`, `{end}` and
`{silence}` are those of a silence that is there."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
import pytest

from tests.e2e.test_grafana import differs
from tests.e2e.up import Up
from tests.kit import Process, eventually_sync, free_port, http_ready, unique

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(180)]

ALERTS: Final = "/api/v2/alerts"


@pytest.fixture(scope="module")
def http(vigie: Up) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=vigie.url, timeout=30, trust_env=False) as client:
        yield client


class Amtool:
    """`amtool`, as whoever knows Alertmanager has it at hand."""

    def __init__(self, url: str, *options: str) -> None:
        found = shutil.which("amtool")
        if found is None:
            pytest.skip("amtool is not installed: it did not ask")
        self._command = [found, f"--alertmanager.url={url}", *options]

    def __call__(self, *arguments: str, status: int = 0, stdin: str | None = None) -> str:
        done = subprocess.run(
            [*self._command, *arguments],
            input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + (done.stderr if status else "")

    def json(self, *arguments: str) -> Any:
        return json.loads(self("--output=json", *arguments))


@pytest.fixture(scope="module")
def amtool(vigie: Up) -> Amtool:
    return Amtool(vigie.url)


def test_amtool_adds_and_finds_alerts(amtool: Amtool) -> None:
    name = unique("amtool")
    amtool("alert", "add", f"alertname={name}", "team=db", 'path="C:\\\\x"', "--annotation=summary=it is down")
    [found] = amtool.json("alert", "query", name)
    assert found["labels"] == {"alertname": name, "path": "C:\\x", "severity": "warning", "team": "db"}
    assert found["annotations"] == {"summary": "it is down"}
    assert found["status"]["state"] == "active"
    assert name in amtool("alert", "query", f"alertname={name}", "team=~d.", "zone!=eu")
    assert name not in amtool("alert", "query", f"alertname={name}", "team=web")
    assert name in amtool("--output=extended", "alert", "query", f'alertname="{name}"')
    assert name in amtool("alert", "query", "--receiver=.*", name)

    end = datetime.now(UTC).isoformat(timespec="seconds")
    start = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    amtool(
        "alert", "add", f"alertname={name}", "team=db", 'path="C:\\\\x"', f"--start={start}", f"--end={end}",
    )  # fmt: skip
    assert amtool.json("alert", "query", name) == []


def test_amtool_makes_ends_and_imports_silences(amtool: Amtool) -> None:
    name = unique("silenced")
    amtool("alert", "add", name, "team=db")
    made = amtool("silence", "add", f"alertname={name}", "team=~d.", "--comment=it moves", "--author=anna").strip()
    [silence] = amtool.json("silence", "query", f"alertname={name}")
    assert (silence["id"], silence["createdBy"], silence["status"]["state"]) == (made, "anna", "active")
    assert amtool.json("alert", "query", name) == []
    [muted] = amtool.json("alert", "query", "--silenced", name)
    assert muted["status"]["silencedBy"] == [made]
    assert made in amtool("--output=extended", "silence", "query", "--created-by=anna")
    amtool("silence", "update", "--duration=2h", made)
    amtool("silence", "expire", made)
    assert amtool.json("silence", "query", f"alertname={name}") == []
    [over] = amtool.json("silence", "query", "--expired", f"alertname={name}")
    assert over["id"] == made
    assert [one["labels"]["alertname"] for one in amtool.json("alert", "query", name)] == [name]

    another = {**silence, "id": "00000000-0000-4000-8000-000000000000", "comment": "imported"}
    imported = amtool("silence", "import", stdin=json.dumps([another, {**another, "id": ""}])).split()
    assert len(imported) == 2
    found = amtool.json("silence", "query", f"alertname={name}")
    assert sorted(one["id"] for one in found) == sorted(imported)
    assert {one["comment"] for one in found} == {"imported"}
    amtool("silence", "expire", *imported)
    assert amtool.json("silence", "query", f"alertname={name}") == []
    assert "404" in amtool("silence", "expire", "00000000-0000-4000-8000-000000000001", status=1)


def test_amtool_shows_status_and_routes(amtool: Amtool) -> None:
    assert "resolve_timeout: 5m" in amtool("config", "show")
    assert "receiver: " in amtool("config", "routes", "show")
    assert amtool("config", "routes", "test", "team=db").strip()
    assert "disabled" in amtool("cluster", "show")


def test_amtool_asks_with_a_key_as_the_guide_says(vigie: Up, amtool: Amtool, tmp_path: Path) -> None:
    tenant, name = unique("amtool"), unique("keyed")
    assert vigie.vigie("tenant", "add", tenant).returncode == 0
    made = vigie.vigie(
        "key", "create", "--tenant", tenant, *(f"--scope={one}" for one in ("read", "write", "configure"))
    )
    assert made.returncode == 0, made.stderr
    (tmp_path / "key").write_text(made.stdout.strip())
    (tmp_path / "vigie.yml").write_text(f"authorization:\n  credentials_file: {tmp_path}/key\n")
    keyed = Amtool(vigie.url, f"--http.config.file={tmp_path}/vigie.yml")
    keyed("alert", "add", name)
    assert [one["labels"]["alertname"] for one in keyed.json("alert", "query", name)] == [name]
    assert amtool.json("alert", "query", name) == [], "of another tenant"
    silence = keyed("silence", "add", name, "--comment=keyed").strip()
    assert amtool.json("silence", "query", f"alertname={name}") == []
    keyed("silence", "expire", silence)
    (tmp_path / "key").write_text("vk_wrong_key")
    assert "401" in keyed("alert", "query", status=1)


RULES: Final = """
groups:
  - name: sent
    interval: 1s
    rules:
      - alert: {name}
        expr: label_replace(vector(time()) < {until}, "team", "db", "", "")
        labels: {{severity: page}}
        annotations: {{summary: "{{{{ $labels.team }}}} is down"}}
"""
CONFIG: Final = """
global: {{evaluation_interval: 1s, external_labels: {{replica: "1"}}}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Process]:
    """Not started; its files lie in `tmp_path`."""
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("prometheus is not installed: it did not send alerts")
    port = free_port()
    process = Process(
        "prometheus",
        [
            found, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--rules.alert.resend-delay=1s",
        ],
        log_path=tmp_path / "prometheus.log",
        ready=http_ready(f"http://127.0.0.1:{port}/-/ready"),
    )  # fmt: skip
    yield process
    process.kill()


def test_a_prometheus_sends_that_it_fires_and_that_it_is_over(
    http: httpx.Client, vigie: Up, prometheus: Process, tmp_path: Path
) -> None:
    name = unique("sent").replace("-", "_")
    (tmp_path / "rules.yml").write_text(RULES.format(name=name, until=int(time.time()) + 20))
    (tmp_path / "prometheus.yml").write_text(CONFIG.format(port=vigie.port))
    prometheus.start(60)

    def firing() -> list[dict[str, Any]]:
        return http.get(ALERTS, params={"filter": f"alertname={name}"}).json()

    [sent] = eventually_sync(firing, 30)
    assert sent["labels"] == {"alertname": name, "replica": "1", "severity": "page", "team": "db"}
    assert sent["annotations"] == {"summary": "db is down"}
    assert "g0.expr=label_replace" in sent["generatorURL"]
    [own] = [one for one in http.get("/api/alerts").json()["alerts"] if one["type"] == name]
    assert (own["severity"], own["message"], own["status"]) == ("critical", "db is down", "active")
    assert own["expression"].startswith("label_replace(vector(time()) < ")

    eventually_sync(lambda: firing() == [], 60)
    history = http.get(f"/api/alerts/{own['id']}/history").json()["transitions"]
    assert [(one["toState"], one["reason"]) for one in history] == [
        ("resolved", "recovered"), ("firing", "condition_met"),
    ], "told once each, however often it was sent"  # fmt: skip


REQUESTS: Final[list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "alertmanager" / "grafana.json").read_text(encoding="utf-8")
)
GRAFANA: Final = "from-grafana"


@pytest.fixture(scope="module")
def posted(http: httpx.Client) -> dict[str, str]:
    """An alert that fires, and a silence."""
    alert = {"labels": {"alertname": GRAFANA, "team": "db"}, "annotations": {"summary": "down"}}
    http.post(ALERTS, json=[alert]).raise_for_status()
    now = datetime.now(UTC)
    times = {"start": now.isoformat(), "end": (now + timedelta(hours=1)).isoformat()}
    made = http.post("/api/v2/silences", json=_filled(SILENCE, times)).raise_for_status().json()
    silence = http.get(f"/api/v2/silence/{made['silenceID']}").raise_for_status().json()
    return {"start": silence["startsAt"], "end": silence["endsAt"], "silence": silence["id"]}


SILENCE: Final = {
    "matchers": [{"name": "alertname", "value": "nothing-else", "isRegex": False, "isEqual": True}],
    "startsAt": "{start}",
    "endsAt": "{end}",
    "createdBy": "admin",
    "comment": "created 2026-01-31 12:00",
}


def _filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, names) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, names) for inner in value]
    return value.format(**names) if isinstance(value, str) else value


@pytest.mark.parametrize("request_", REQUESTS, ids=[one["when"] for one in REQUESTS])
def test_grafana_gets_what_it_expects(http: httpx.Client, posted: dict[str, str], request_: dict[str, Any]) -> None:
    body = _filled(request_.get("body"), posted)
    answer = http.request(
        request_["method"], request_["path"].format(**posted), params=request_.get("query"),
        **({} if body is None else {"json": body}),
    )  # fmt: skip
    assert answer.status_code == request_.get("status", 200), answer.text
    if "like" in request_:
        assert differs(_filled(request_["like"], posted), answer.json()) is None
