"""A dump of the replaced server supervision against `vigie up`: killed in the middle, gone on with, counted exactly."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.e2e.up import Up, command

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(300)]

HOST = "replaced-1"
HER = {"username": "carol", "password": "a long password of hers"}
SHOP, BLOG = "65f000000000000000000001", "65f000000000000000000002"
COLLECTIONS = 600
STEP_S = 30
BEGIN = datetime.fromtimestamp(time.time() // 60 * 60 - COLLECTIONS * STEP_S - 600, UTC)


def at(seconds: float) -> dict[str, str]:
    return {"$date": (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def dumped(directory: Path) -> Path:
    directory.mkdir()
    collections: dict[str, list[dict[str, Any]]] = {
        "sites": [
            {"_id": {"$oid": SHOP}, "name": "shop", "account": "shop", "domains": ["shop.example.com"]},
            {"_id": {"$oid": BLOG}, "name": "blog", "account": "blog", "directory": "../../etc"},
        ],
        "users": [{"_id": {"$oid": "65f3"}, "username": "carol", "assignedSite": {"$oid": SHOP}}],
        "alerts": [
            {"_id": {"$oid": f"65f2{n}"}, "type": "cpu_high", "severity": "critical", "message": "CPU at 97 %",
             "status": "resolved", "createdAt": at(60 * n), "resolvedAt": at(60 * n + 45)}
            for n in range(3)
        ],
        "serverstats": [
            {"timestamp": at(STEP_S * n), "cpu": {"percent": n % 100, "cores": 4}, "memory": {"percent": 50}}
            for n in range(COLLECTIONS)
        ],
        "sitestats": [
            {"site": {"$oid": SHOP}, "timestamp": at(STEP_S * n + 1), "disk": {"usedBytes": 10, "fileCount": n}}
            for n in range(COLLECTIONS)
        ],
    }  # fmt: skip
    for name, documents in collections.items():
        (directory / f"{name}.json").write_text("".join(json.dumps(one) + "\n" for one in documents))
    return directory


@pytest.fixture
def admin(vigie: Up) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=vigie.url, timeout=30, trust_env=False) as http:
        said = http.post("/auth/login", json={"username": "admin", "password": vigie.admin_password()}).json()
        token = said.get("accessToken") or said["access_token"]
        http.headers |= {"authorization": f"Bearer {token}", "x-scope-orgid": "default"}
        yield http


def test_a_dump_is_brought_along_exactly_whatever_is_killed(vigie: Up, admin: httpx.Client, tmp_path: Path) -> None:
    dump = dumped(tmp_path / "dump")
    made = admin.post(
        "/admin/tenants/default/users",
        json={"name": "carol", "password": "a long password of hers", "role": "READONLY"},
    )
    assert made.status_code == 201, made.text
    line = command("import", "supervision", str(dump), "--host", HOST, "--url", vigie.url, "--whole")
    environment = {**os.environ, "VIGIE_TOKEN": admin.headers["authorization"].removeprefix("Bearer ")}
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(line, stdout=log, stderr=log, env=environment)
        end = time.monotonic() + 60
        while not (dump / "serverstats.json.vigie-import").exists() and first.poll() is None:
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.005)
        first.send_signal(signal.SIGKILL)
        first.wait()

    def again(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*line, *more], capture_output=True, text=True, timeout=120, env=environment, check=False)

    refused = (
        "sites.json:2: refused: directory: must be an absolute path of printable characters",
        "sites.json: 2 lines, 1 there before, 1 refused",
        "users.json: 1 lines, 1 there before",
        "alerts.json: 3 lines, 3 there before",
    )
    for more in ((), ("--from-start",)):
        done = again(*more)
        assert done.returncode == 4, done.stdout + done.stderr
        said = done.stdout.splitlines()
        assert set(refused) <= set(said), done.stdout
    assert f"serverstats.json: {COLLECTIONS} lines, {COLLECTIONS} taken" in said
    assert f"sitestats.json: {COLLECTIONS} lines, {COLLECTIONS} taken" in said

    def number(expression: str) -> float:
        found = admin.get("/api/v1/query", params={"query": expression}).json()["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    cpu, files = (f'system_cpu_usage_percent{{host="{HOST}"}}[7h]', f'site_files{{site="{SHOP}"}}[7h]')
    end = time.monotonic() + 60
    while number(f"count_over_time({cpu})") < COLLECTIONS or number(f"count_over_time({files})") < COLLECTIONS:
        assert time.monotonic() < end
        time.sleep(0.5)
    assert number(f"count_over_time({cpu})") == COLLECTIONS
    assert number(f"sum_over_time({cpu})") == sum(n % 100 for n in range(COLLECTIONS))
    assert number(f"sum_over_time({files})") == sum(range(COLLECTIONS))

    history = admin.get("/stats/server/history", params={"host": HOST, "hours": 6, "points": 200}).json()
    assert history["source"] == "reports"
    assert history["history"][-1]["cpu"]["percent"] == (COLLECTIONS - 1) % 100
    alerts = admin.get("/stats/alerts", params={"host": HOST, "status": "resolved"}).json()["alerts"]
    assert [one["createdAt"][:19] for one in alerts] == [
        (BEGIN + timedelta(seconds=60 * n)).isoformat()[:19] for n in (2, 1, 0)
    ]
    login = admin.post("/auth/login", json={**HER, "tenant": "default"}).json()
    hers = {"authorization": f"Bearer {login.get('accessToken') or login['access_token']}"}
    site = admin.get(f"/stats/site/{SHOP}", headers=hers).json()
    assert (site["name"], site["disk"]["fileCount"]) == ("shop", COLLECTIONS - 1)
    assert admin.get("/stats/server", headers=hers).status_code == 403
