"""What the routes are made of, without a server: Prometheus' words, conditions on alerts, merge patches, versions."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from vigie_alerting.alerts.desk import Known
from vigie_alerting.alerts.stored import stored
from vigie_alerting.api.alerts.queries import matching
from vigie_alerting.api.prometheus import answers
from vigie_alerting.api.rules.writing import expected_version, merged
from vigie_alerting.lifecycle import step
from vigie_alerting.resources import RuleHealth
from vigie_alerting.rulebook.destinations import restored, shown, without_secrets
from vigie_alerting.rulebook.errors import InvalidRule
from vigie_alerting.rules.reading import read
from vigie_contracts.alerts import Channel, Severity
from vigie_query.errors import InvalidParameter

from services.alerting.tests.lives import LABELS, START, rule


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1e+00"), (0.0, "0e+00"), (-0.05, "-5e-02"), (123456.5, "1.234565e+05"), (1e300, "1e+300"),
        (2.5e-7, "2.5e-07"), (math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_go_writes_them(value: float, text: str) -> None:
    assert answers.number(value) == text


def firing(**changes: Any) -> Known:
    made = rule(**changes)
    alert, _ = step(None, made.observe(LABELS, 90.0), made, START)
    assert alert is not None
    return Known(alert, made, stored(alert, made))


def test_a_group_has_its_rules_with_state_health_and_alerts() -> None:
    known = firing(annotations={"summary": "{{ labels.host }}"}, severity=Severity.HIGH)
    waiting = firing(id="r2", name="slow", for_ms=60_000, group="g")
    health = {"r1": RuleHealth(START, 1.5, "", START + 1_000), "r2": RuleHealth(0, 0.0, "looks too far back")}
    alerts = {"r1": [known], "r2": [waiting]}
    found = answers.groups([waiting.rule, known.rule], alerts, health.get, with_alerts=True)
    assert [group.name for group in found] == ["g", "vigie"]
    slow, cpu = found[0].rules[0], found[1].rules[0]
    assert (slow["state"], slow["health"], slow["lastError"]) == ("pending", "err", "looks too far back")
    assert slow["lastEvaluation"] == "0001-01-01T00:00:00Z"
    assert (cpu["state"], cpu["health"], cpu["evaluationTime"]) == ("firing", "ok", 0.0015)
    assert cpu["labels"] == {"severity": "high"}
    assert cpu["alerts"] == [
        {
            "labels": {"alertname": "cpu_high", "host": "web-1", "severity": "high"},
            "annotations": {"summary": "web-1"},
            "state": "firing",
            "activeAt": "2025-11-24T16:00:00.000Z",
            "value": "9e+01",
        }
    ]
    (bare,) = answers.groups([known.rule], alerts, lambda _: None, with_alerts=False)
    assert (bare.rules[0]["alerts"], bare.rules[0]["state"], bare.rules[0]["health"]) == ([], "firing", "unknown")


def test_labels_are_found_by_what_is_stored_beside_the_alert() -> None:
    assert ("host", "web-1") in firing().stored.labels
    assert matching(["a=b", "a!=b"]) == [{"search": "a=b"}, {"search": {"$ne": "a=b"}}]
    absent, present = matching(["a.b=", "a.b!="])
    assert absent == {"search": {"$not": re.compile(r"^a\.b=")}}
    assert present == {"search": re.compile(r"^a\.b=")}
    with pytest.raises(InvalidParameter, match="not by =~"):
        matching(["a=~b"])


def test_a_merge_patch_changes_what_it_says_and_null_is_the_default() -> None:
    before = rule(for_ms=60_000, owner="ops", labels={"team": "a"}).rule

    def patched(body: bytes) -> Any:
        fields: Any = {"tenant": "default", "rule_id": "r1", "by": "me", "now_ms": START, "previous": before}
        return read(merged(before, body), **fields)[0].rule

    changed = patched(b'{"threshold": 95, "for": "5m", "owner": null}')
    assert (changed.threshold, changed.for_ms, changed.owner, changed.labels) == (95, 300_000, "", {"team": "a"})
    assert (changed.version, changed.metric_name) == (2, "cpu")
    with pytest.raises(InvalidRule):
        merged(before, b"[]")


def test_the_version_that_was_changed_is_said_in_a_header_or_the_body() -> None:
    assert expected_version('"3"') == 3
    assert expected_version('W/"3"', b'{"version": 2}') == 3
    assert expected_version(None, b'{"version": 2}') == 2
    assert expected_version("*", b"{}") is None
    for header, body in (('"x"', b""), (None, b'{"version": "2"}'), (None, b'{"version": true}')):
        with pytest.raises(InvalidRule):
            expected_version(header, body)


def test_destinations_are_shown_without_secrets_and_come_back_as_they_were() -> None:
    secret = Channel("webhook", "https://hooks.example.com/hunter2hunter2")
    plain = Channel("slack", "#alerts")
    named = Channel("channel", "on-call")
    before = rule(notification_channels=[secret, plain, named]).rule
    told = without_secrets(before)
    assert "hunter2h" not in repr(told)
    assert (shown(plain), shown(named)) == (plain, named)
    assert restored(told, before).notification_channels == before.notification_channels
