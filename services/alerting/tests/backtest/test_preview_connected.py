"""POST /api/alerts/rules/preview, over a past that is stored."""

from __future__ import annotations

import time
from typing import Any

import pytest
from vigie_contracts.series import Kind, series_key
from vigie_runtime.clients import Database

from services.alerting.tests.backtest.stored import store
from services.alerting.tests.office import ACME, Office, opened, settings_for

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]
PATH = "/api/alerts/rules/preview"
MINUTE = 60_000
CHANNEL = {"type": "webhook", "destination": "https://example.com/hook"}
RULE = {"name": "Hot", "metricName": "cpu", "condition": ">", "threshold": 80, "for": "5m"}
FILE = """groups:
  - name: cpu
    rules:
      - record: cpu:max
        expr: max(cpu)
      - alert: AnyHot
        expr: max by (host) (cpu) > 80
        labels: { severity: critical }
        annotations: { summary: "{{ $labels.host }} at {{ $value }}" }
"""


async def hot(database: Database) -> int:
    """Of two hosts a value a minute for ten hours: `a` is hot three hours ago for an hour, `b` for two minutes of every
    hour. When `a` began to be."""
    now = int(time.time() * 1000) // MINUTE * MINUTE
    first = now - 600 * MINUTE + 7_000
    began = now - 180 * MINUTE + 7_000
    times = [first + i * MINUTE for i in range(600)]
    of_a = [(at, 95.0 if began <= at < began + 60 * MINUTE else 20.0) for at in times]
    of_b = [(at, 90.0 if i % 60 < 2 else 30.0) for i, at in enumerate(times)]
    keys = [series_key(ACME, "cpu", Kind.GAUGE, {"host": host}) for host in "ab"]
    await store(database, ACME, 2, dict(zip(keys, (of_a, of_b), strict=True)))
    return began


async def asked(office: Office, status: int = 200, **body: Any) -> Any:
    return await office.call("POST", PATH, status, json=body)


async def test_what_a_rule_would_have_done(database: Database, kafka: str, mongo_uri: str, redis_url: str) -> None:
    servers = {"kafka_bootstrap_servers": kafka, "mongodb_uri": mongo_uri, "redis_url": redis_url}
    began = await hot(database)
    async with opened(settings_for(servers, database.name)) as office:
        found = await asked(office, rule={**RULE, "notificationChannels": [CHANNEL]}, days=1)
        assert found["complete"], found
        [rule] = found["rules"]
        assert (rule["fired"], rule["waited"], rule["series"], rule["pages"]) == (1, 10, 2, 2)
        first = rule["episodes"][0]
        assert first["labels"] == {"alertname": "Hot", "host": "a"}
        assert first["value"] == 95
        assert 55 * MINUTE - 1_000 <= first["firingMs"] <= 55 * MINUTE + 1_000
        assert [step["toState"] for step in first["steps"]] == ["pending", "firing", "resolved"]
        steps = [step["at"] for step in first["steps"]]
        assert steps == sorted(steps)
        assert found["pages"] == {
            "total": 2, "byReceiver": {"webhook": 2}, "muted": {}, "unrouted": 0, "complete": True,
        }  # fmt: skip
        assert began  # the hour that was hot
        whole = await asked(office, rule={"name": "Hot", "expression": "cpu + 0 > 80", "for": "5m"}, days=1)
        assert whole["rules"][0]["evaluations"] > 2 * rule["evaluations"], "quiet hours are passed over"
        assert [one["steps"] for one in whole["rules"][0]["episodes"]] == [
            [{**step, "detail": step["detail"].replace("cpu >", "cpu + 0 >")} for step in one["steps"]]
            for one in rule["episodes"]
        ]

        file = await asked(office, file=FILE, days=1)
        [any_hot] = file["rules"]
        assert any_hot["fired"] == 11
        assert any_hot["episodes"][0]["severity"] == "critical"
        assert file["pages"]["unrouted"] >= 11
        assert "recording rules are not run" in str(file["warnings"])

        made = await office.call("POST", "/api/alerts/rules", 201, json=RULE)
        again = await asked(office, ids=[made["id"]], **{"from": "now-4h"})
        assert again["rules"][0]["id"] == made["id"]
        assert again["rules"][0]["fired"] == 1
        nothing = await asked(office, rule={**RULE, "metricName": "nothing"})
        assert nothing["rules"][0]["notes"] == ["it selects no series that is there"]

        slots = office.resources.backtester.slots
        async with slots.slot(ACME), slots.slot(ACME):
            assert "too many previews" in str(await asked(office, 503, rule=RULE))

        for status, told, body in (
            (422, "threshold", {"rule": {"name": "Hot", "metricName": "cpu", "condition": ">"}}),
            (422, "names no rule", {}),
            (400, "unknown field", {"rul": RULE}),
            (422, "at most 30", {"rule": RULE, "days": 31}),
            (422, "windows of a minute are kept since", {"rule": RULE, "from": "now-40d"}),
            (404, "no such rule", {"ids": ["nothing"]}),
            (422, "line 5", {"file": "groups:\n  - name: a\n    rules:\n      - alert: A\n        expr: 'up +'\n"}),
            (422, "fixed time", {"rule": {"name": "A", "expression": "up @ 5 > 0"}}),
        ):
            refused = await asked(office, status, **body)
            assert told in str(refused), refused
