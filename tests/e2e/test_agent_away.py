"""Agents that were away, whose clock is off, that share a name or a key: against `vigie up`."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from vigie_agent.sending import Sender
from vigie_agent.spool import Spool
from vigie_client.transport import HttpTransport

from tests.e2e.up import Up
from tests.kit.wait import eventually_sync

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(300)]

TENANT = "away"
"""Of its own: the others have the host of this machine alone, and need not name it."""
HOST = "away-1"
REPORTS, STEP_MS = 120, 30_000
ONE, OTHER = "instance-of-one", "instance-of-another"


@pytest.fixture
def admin(vigie: Up) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=vigie.url, timeout=30, trust_env=False) as http:
        said = http.post("/auth/login", json={"username": "admin", "password": vigie.admin_password()}).json()
        http.headers |= {"authorization": f"Bearer {said['accessToken']}", "x-scope-orgid": TENANT}
        ask(http, "POST", "/admin/tenants", 201, json={"id": TENANT, "name": "Away"})
        yield http


def ask(http: httpx.Client, method: str, path: str, status: int = 200, **more: Any) -> Any:
    answer = http.request(method, path, **more)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_an_agent_that_was_away_for_an_hour_fills_the_gap_exactly(
    vigie: Up, admin: httpx.Client, tmp_path: Path
) -> None:
    wanted = {"name": "agent of away-1", "scopes": ["agent"], "host": HOST}
    key = ask(admin, "POST", f"/admin/tenants/{TENANT}/keys", 201, json=wanted)["secret"]
    now_ms = int(time.time() * 1000)
    times = [now_ms - (REPORTS - number) * STEP_MS for number in range(REPORTS)]
    spool = Spool(tmp_path, 64 << 20)
    for number, timestamp in enumerate(times):
        agent = {"instance": ONE if number < REPORTS - 1 else OTHER, "version": "1", "buffered": number}
        report = {
            "host": HOST,
            "timestamp": timestamp,
            "interval": 30,
            "agent": agent,
            "cpu": {"percent": number % 100},
        }
        spool.put(timestamp, json.dumps(report).encode())

    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    sender = Sender(Spool(tmp_path, 64 << 20), HttpTransport(vigie.url, api_key=key))
    assert sender.attempt() == 0.0, "there is more"
    for file, data in before.items():  # killed before it could note that some have arrived
        file.write_bytes(data)
    sender = Sender(Spool(tmp_path, 64 << 20), HttpTransport(vigie.url, api_key=key))
    for _ in range(20):
        if sender.attempt() is None:
            break
    assert (sender.sent, sender.problem, list(tmp_path.glob("*.gz"))) == (REPORTS, None, [])

    def number(function: str) -> float:
        query = f'{function}(system_cpu_usage_percent{{host="{HOST}"}}[2h])'
        found = ask(admin, "GET", "/api/v1/query", params={"query": query})["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    eventually_sync(lambda: number("count_over_time") >= REPORTS, 60, interval=0.5)
    assert number("count_over_time") == REPORTS
    assert number("sum_over_time") == sum(number % 100 for number in range(REPORTS))
    history = ask(admin, "GET", "/stats/server/history", params={"host": HOST, "hours": 1, "points": 200})
    fallen = int((time.time() * 1000 - now_ms) / STEP_MS) + 1  # the oldest are more than an hour old by now
    assert REPORTS - fallen <= len(history["history"]) <= REPORTS

    # The key is used by another agent than before, whose clock is an hour behind: neither goes unseen.
    asked = "/api/agents/config"
    with httpx.Client(base_url=vigie.url, headers={"x-api-key": key}, timeout=30, trust_env=False) as agent:
        said = {"host": HOST, "instance": ONE, "clock": int(time.time() * 1000)}
        ask(agent, "GET", asked, params=said)
        ask(agent, "GET", asked, params={**said, "instance": OTHER, "clock": said["clock"] - 3_600_000})
        ask(agent, "GET", asked, 403, params={"host": "another"})
    entries = ask(admin, "GET", f"/admin/tenants/{TENANT}/audit", params={"limit": 100})["entries"]
    moved = [one for one in entries if one["action"] == "agent.moved" and one["target"] == HOST]
    assert [one["changes"]["instance"] for one in moved] == [OTHER]
    warnings = " ".join(ask(admin, "GET", f"/api/hosts/{HOST}")["warnings"])
    assert "several agents report in the name of this host" in warnings
    assert f"the clock of the agent {OTHER} is 3600 s behind" in warnings
