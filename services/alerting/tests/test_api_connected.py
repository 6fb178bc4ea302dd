"""Rules, alerts and channels over HTTP, on real MongoDB, Kafka and Redis."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from vigie_contracts.alerts import Rule, Transition
from vigie_identity.permissions import Role, Scope
from vigie_runtime import clients
from vigie_storage.alerts.live import LiveTransitions, transitions_channel

from services.alerting.tests.office import ACME, Office, key, person
from tests.kit.wait import eventually

pytestmark = pytest.mark.connected

RULES = "/api/alerts/rules"
SEED = {
    "name": "High Error Rate",
    "metricName": "http_requests_total",
    "condition": ">",
    "threshold": 0.05,
    "severity": "high",
    "notificationChannels": [{"type": "slack", "destination": "#alerts"}],
}
FILE = """
groups:
  - name: booking
    interval: 30s
    rules:
      - alert: HighLatency
        expr: histogram_quantile(0.95, sum by (service, le) (rate(http_request_duration_seconds_bucket[5m]))) > 2
        for: 5m
        labels: {severity: warning}
        annotations: {summary: "High latency of {{ $labels.service }}"}
      - record: service:requests:rate5m
        expr: sum by (service) (rate(http_requests_total[5m]))
"""


async def log(office: Office) -> dict[str, Rule | None]:
    """What the log of rules says last, by id."""
    settings = office.app.state.service.settings
    consumer = clients.kafka_consumer(settings, client_id="test", group_id=None)
    found: dict[str, Rule | None] = {}
    await consumer.start()
    try:
        parts = [clients.TopicPartition(settings.rules_topic, part) for part in range(settings.partitions)]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        ends = await consumer.end_offsets(parts)
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    value = record.value
                    found[record.key.decode()] = None if value is None else msgspec.json.decode(value, type=Rule)
    finally:
        await consumer.stop()
    return found


async def test_a_rule_as_the_replaced_service_takes_it_lives_from_curl_to_tombstone(office: Office) -> None:
    made = await office.call("POST", RULES, 201, json=SEED)
    assert {name: made[name] for name in SEED} == SEED
    assert (made["version"], made["createdBy"], made["promql"]) == (1, "alice", "http_requests_total > 0.05")
    assert made["warnings"][0]["field"] == "metricName", "a counter only grows"
    path = f"{RULES}/{made['id']}"
    listed = await office.call("GET", RULES)
    assert made["id"] in [rule["id"] for rule in listed["rules"]]
    assert (listed["total"], listed["nextCursor"]) == (14, None)

    bob = person("bob")
    changed = await office.call("PUT", path, by=bob, json={**made, "threshold": 0.1})
    assert (changed["version"], changed["threshold"], changed["updatedBy"], changed["createdBy"]) == (
        2,
        0.1,
        "bob",
        "alice",
    )
    assert {one["field"] for one in changed["warnings"]} == {"metricName"}, "what was answered is taken back as it is"
    late = await office.call("PUT", path, 409, json={**made, "threshold": 0.2})
    assert "at version 2: bob changed it" in late["detail"]
    assert (await office.call("DELETE", path, 409, headers={"if-match": '"1"'}))["type"] == "/problems/conflict"
    patched = await office.call("PATCH", path, json={"severity": "critical", "for": "5m"}, headers={"if-match": '"2"'})
    assert (patched["severity"], patched["forMs"], patched["threshold"]) == ("critical", 300_000, 0.1)

    await eventually(lambda: _published(office, made["id"]))
    assert (await log(office))[made["id"]].version == 3  # pyright: ignore[reportOptionalMemberAccess]
    await office.call("DELETE", path, 204, by=bob)
    await office.call("GET", path, 404)
    versions = (await office.call("GET", f"{path}/versions"))["versions"]
    assert [(one["version"], one["change"], one["by"]) for one in versions] == [
        (4, "deleted", "bob"), (3, "changed", "alice"), (2, "changed", "bob"), (1, "created", "alice"),
    ]  # fmt: skip
    await eventually(lambda: _gone(office, made["id"]))
    entries = (await office.resources.audit.page(ACME, _first(10))).items
    assert [(one.action, one.actor.name) for one in entries if one.target == made["id"]] == [
        ("rule.deleted", "bob"), ("rule.changed", "alice"), ("rule.changed", "bob"), ("rule.created", "alice"),
    ]  # fmt: skip
    assert (await log(office)).get(made["id"]) is None
    assert len([one for one in (await log(office)).values() if one]) == 13, "the shipped ones are published"


def _first(limit: int) -> Any:
    from vigie_identity.pages import PageRequest

    return PageRequest(limit)


async def _published(office: Office, rule_id: str) -> bool:
    found = await office.resources.stores.rules.get(ACME, rule_id)
    return found is not None and found.published


async def _gone(office: Office, rule_id: str) -> bool:
    rows: Any = office.resources.stores.rules.outgoing._rows
    return await rows.find_one({"_id": rule_id}) is None


async def test_everything_that_is_wrong_with_a_rule_is_told_at_once(office: Office) -> None:
    wrong = {"name": "", "metricName": "m", "condition": "=", "threshold": "0.05", "severity": "bad"}
    answer = await office.call("POST", RULES, 422, json=wrong)
    assert {one["field"] for one in answer["errors"]} >= {"condition", "threshold", "severity"}
    unknown = {
        **SEED,
        "notificationChannels": [{"type": "channel", "destination": "nobody"}, {"type": "webhook", "destination": "x"}],
    }
    answer = await office.call("POST", RULES, 422, json=unknown)
    assert [one["field"] for one in answer["errors"]] == [
        "notificationChannels[0].destination", "notificationChannels[1].destination",
    ]  # fmt: skip
    assert (await office.call("POST", RULES, 400, content="{", headers={"content-type": "application/json"}))["errors"]
    await office.call("POST", RULES, 415, content="{}")
    answer = await office.call("POST", RULES, 422, json={"name": "x", "expression": "histogram_quantil(0.9, m)"})
    assert "did you mean histogram_quantile" in answer["detail"]
    answer = await office.call("POST", RULES, 422, json={"name": "x", "expression": "max_over_time(m[90d]) > 1"})
    assert "looks back" in answer["detail"]


async def test_destinations_of_rules_are_not_shown_and_not_lost(office: Office) -> None:
    url = "https://hooks.slack.com/services/T000/B000/hunter2hunter2"
    made = await office.call(
        "POST", RULES, 201, json={**SEED, "notificationChannels": [{"type": "slack", "destination": url}]}
    )
    path = f"{RULES}/{made['id']}"
    shown = await office.call("GET", path)
    versions = await office.call("GET", f"{path}/versions")
    assert "hunter2h" not in f"{made} {shown} {versions}"
    await office.call("PUT", path, json={**shown, "threshold": 1})
    await office.call("PATCH", path, json={"notificationChannels": shown["notificationChannels"], "severity": "low"})
    stored = await office.resources.stores.rules.get(ACME, made["id"])
    assert stored
    assert [one.destination for one in stored.rule.notification_channels] == [url]


async def test_rule_files_come_and_go(office: Office) -> None:
    yaml = {"content-type": "application/yaml"}
    dry = await office.call("POST", f"{RULES}/import?dryRun=true", content=FILE, headers=yaml)
    assert (dry["created"], dry["dryRun"]) == (2, True)
    assert (await office.call("GET", RULES, params={"group": "booking"}))["rules"] == []
    done = await office.call("POST", f"{RULES}/import", content=FILE, headers=yaml)
    assert [(one["name"], one["verdict"]) for one in done["rules"]] == [
        ("HighLatency", "created"), ("service:requests:rate5m", "created"),
    ]  # fmt: skip
    again = await office.call("POST", f"{RULES}/import", content=FILE.replace("> 2", "> 3"), headers=yaml)
    assert [one["verdict"] for one in again["rules"]] == ["changed", "unchanged"]
    assert [one["id"] for one in again["rules"]] == [one["id"] for one in done["rules"]]
    text = await office.call("GET", f"{RULES}/export", params={"group": "booking"})
    assert "for: 5m" in text
    assert "> 3" in text
    back = await office.call("POST", f"{RULES}/import", content=text, headers=yaml)
    assert back["unchanged"] == 2, back
    refused = await office.call("POST", f"{RULES}/import", 422, content=FILE.replace("sum by", "summ by"), headers=yaml)
    assert [one["field"] for one in refused["errors"]] == ["line 7", "line 12"]
    # One that was deleted and comes back goes on where it was.
    path = f"{RULES}/{done['rules'][0]['id']}"
    await office.call("DELETE", path, 204)
    await office.call("POST", f"{RULES}/import", content=FILE, headers=yaml)
    assert (await office.call("GET", path))["version"] == 4

    answer = (await office.call("GET", "/api/v1/rules", params={"rule_group[]": "booking"}))["data"]
    (group,) = answer["groups"]
    assert (group["name"], group["interval"], group["file"]) == ("booking", 30.0, "vigie")
    alerting, recording = group["rules"]
    assert (alerting["type"], alerting["duration"], alerting["state"]) == ("alerting", 300.0, "inactive")
    assert (recording["type"], recording["name"]) == ("recording", "service:requests:rate5m")
    for query, kind in (({"type": "record"}, "recording"), ({"match[]": '{severity="warning"}'}, "alerting")):
        asked = {"rule_group[]": "booking", **query}
        (group,) = (await office.call("GET", "/api/v1/rules", params=asked))["data"]["groups"]
        assert [one["type"] for one in group["rules"]] == [kind]
    first = (await office.call("GET", "/api/v1/rules", params={"group_limit": 1}))["data"]
    rest = {"group_limit": 9, "group_next_token": first["groupNextToken"]}
    names = [one["name"] for one in (await office.call("GET", "/api/v1/rules", params=rest))["data"]["groups"]]
    assert names == ["health", "metrics-service", "server-supervision"]
    wrong = await office.call("GET", "/api/v1/rules", 400, params={"type": "x"})
    assert (wrong["status"], wrong["errorType"]) == ("error", "bad_data")


async def test_a_tenant_has_as_many_rules_as_its_plan_says(office: Office) -> None:
    tenants = office.app.state.service.resources.access.tenants
    from vigie_identity.audit import SYSTEM

    await tenants.change(ACME, SYSTEM, plan={"rules": 14})
    await office.call("POST", RULES, 201, json=SEED)
    answer = await office.call("POST", RULES, 403, json=SEED)
    assert "14 rules" in answer["detail"]
    await office.call("POST", f"{RULES}/import", 403, content=FILE, headers={"content-type": "application/yaml"})


async def test_alerts_are_found_taken_and_resolved(office: Office) -> None:
    rules = {one.name: one for one in await office.resources.stores.rules.all(ACME)}
    now = int(time.time() * 1000)
    down = rules["service_down"]
    booking = await office.fires(down, (("host", "web-1"), ("service", "booking"), ("site", "paris")), 0.0, now - 5_000)
    mail = await office.fires(down, (("host", "web-2"), ("service", "mail"), ("site", "rome")), 0.0, now - 1_000)

    page = await office.call("GET", "/api/alerts")
    assert [one["id"] for one in page["alerts"]] == [mail.fingerprint, booking.fingerprint], "newest first"
    assert page["counts"] == {"pending": 0, "active": 2, "acknowledged": 0, "resolved": 0}
    alert = page["alerts"][1]
    shape = {name: alert[name] for name in ("type", "severity", "message", "site", "service", "status", "resolvedAt")}
    assert shape == {
        "type": "service_down", "severity": "error", "message": "booking on web-1 is stopped", "site": "paris",
        "service": "booking", "status": "active", "resolvedAt": None,
    }  # fmt: skip
    first = await office.call("GET", "/api/alerts", params={"limit": 1})
    second = await office.call("GET", "/api/alerts", params={"limit": 1, "cursor": first["nextCursor"]})
    assert [one["id"] for one in second["alerts"]] == [booking.fingerprint]
    assert second["nextCursor"] is None
    for query, found in (
        ({"match": "service=mail"}, [mail]), ({"match": "service!=mail"}, [booking]),
        ({"match": "app="}, [mail, booking]), ({"match": "service="}, []),
        ({"type": "cpu_high"}, []), ({"type": "service_down", "severity": "error"}, [mail, booking]),
        ({"rule": down.id, "status": "resolved"}, []), ({"since": "now-3s"}, [mail]), ({"severity": "low"}, []),
    ):  # fmt: skip
        answer = await office.call("GET", "/api/alerts", params=query)
        assert [one["id"] for one in answer["alerts"]] == [one.fingerprint for one in found], query
    await office.call("GET", "/api/alerts", 422, params={"match": "service=~mail"})
    await office.call("GET", "/api/alerts", 422, params={"cursor": "nonsense"})
    await office.call("GET", "/api/alerts/0000000000000000", 404)

    path = f"/api/alerts/{booking.fingerprint}"
    taken = await office.call("POST", f"{path}/acknowledge", json={"note": "on it", "until": "now+2h"})
    assert (taken["status"], taken["acknowledgedBy"], taken["note"]) == ("acknowledged", "alice", "on it")
    late = await office.call("POST", f"{path}/acknowledge", 409, by=person("bob"))
    assert "alice has had it since" in late["detail"]
    assert (await office.call("POST", f"{path}/acknowledge", 422, json={"until": "now-1h"}))["errors"][0][
        "field"
    ] == "until"
    assert (await office.call("POST", f"{path}/unacknowledge", by=person("bob")))["status"] == "active"
    assert (await office.call("POST", f"{path}/acknowledge", by=person("bob")))["acknowledgedBy"] == "bob"
    resolved = await office.call("POST", f"{path}/resolve", json={"note": "restarted"})
    assert resolved["status"] == "resolved"
    assert resolved["resolvedAt"]
    assert (await office.call("POST", f"{path}/resolve"))["status"] == "resolved", "again changes nothing"
    await office.call("POST", f"{path}/acknowledge", 409)
    history = await office.call("GET", f"{path}/history")
    assert [(one["reason"], one["actor"]) for one in history["transitions"]][:4] == [
        ("resolved_by_hand", "alice"), ("acknowledged", "bob"), ("unacknowledged", "bob"), ("acknowledged", "alice"),
    ]  # fmt: skip
    assert {one["channel"].split()[0] for one in history["notifications"]} == {"live"}

    (prometheus,) = (await office.call("GET", "/api/v1/alerts"))["data"]["alerts"]
    assert prometheus["labels"] == {
        "alertname": "service_down", "host": "web-2", "service": "mail", "severity": "error", "site": "rome",
    }  # fmt: skip
    assert (prometheus["state"], prometheus["value"]) == ("firing", "0e+00")


async def test_two_who_take_an_alert_at_once_are_told_who_has_it(office: Office) -> None:
    rules = {one.name: one for one in await office.resources.stores.rules.all(ACME)}
    alert = await office.fires(rules["site_down"], (("host", "web-1"), ("site", "rome")), 0.0, int(time.time() * 1000))
    from vigie_alerting import commands

    def take(name: str) -> Any:
        now = int(time.time() * 1000)
        return office.resources.desk.move(
            ACME, alert.fingerprint, lambda one, rule: commands.acknowledge(one, rule, name, now), lambda _: True
        )

    outcomes = await asyncio.gather(*(take(f"user-{i}") for i in range(5)), return_exceptions=True)
    won = [one for one in outcomes if not isinstance(one, BaseException)]
    assert len(won) == 1
    who = won[0].alert.acknowledgement.by
    assert {str(one) for one in outcomes if isinstance(one, BaseException)} <= {
        *(str(one) for one in outcomes if f"{who} has had it" in str(one))
    }
    history = await office.resources.stores.ledger.history(ACME, alert.fingerprint)
    assert [one.reason for one in history if one.reason == "acknowledged"] == ["acknowledged"]


async def test_one_sees_the_alerts_of_ones_sites(office: Office) -> None:
    rules = {one.name: one for one in await office.resources.stores.rules.all(ACME)}
    now = int(time.time() * 1000)
    mine = await office.fires(rules["service_down"], (("service", "a"), ("site", "paris")), 0.0, now)
    other = await office.fires(rules["service_down"], (("service", "b"), ("site", "rome")), 0.0, now)
    uma = person("uma", Role.USER, sites=frozenset({"paris"}))
    page = await office.call("GET", "/api/alerts", by=uma)
    assert [one["id"] for one in page["alerts"]] == [mine.fingerprint]
    assert page["counts"]["active"] == 1
    for path, status in ((mine.fingerprint, 200), (other.fingerprint, 404)):
        await office.call("GET", f"/api/alerts/{path}", status, by=uma)
        await office.call("GET", f"/api/alerts/{path}/history", status, by=uma)
        await office.call("POST", f"/api/alerts/{path}/acknowledge", status, by=uma)
        await office.call("POST", f"/api/alerts/{path}/resolve", 403, by=uma)
    assert len((await office.call("GET", "/api/v1/alerts", by=uma))["data"]["alerts"]) == 1
    assert (await office.call("GET", "/api/v1/rules", 403, by=uma))["errorType"] == "forbidden"
    assert (await office.call("GET", "/api/alerts", by=person("rita", Role.READONLY)))["alerts"] == []
    await office.call("GET", "/api/v1/rules", by=key(Scope.READ))
    await office.call("GET", RULES, 403, by=key(Scope.READ))
    await office.call("GET", RULES, by=key(Scope.CONFIGURE))


async def test_channels_are_made_named_by_rules_tested_and_audited(office: Office) -> None:
    path = "/api/alerts/channels"
    body = {"name": "on-call", "type": "webhook", "destination": "https://hooks.example.com/hunter2hunter2"}
    made = await office.call("POST", path, 201, json=body)
    assert "hunter2h" not in str(made)
    await office.call("POST", path, 409, json=body)
    assert (await office.call("POST", path, 422, json={**body, "type": "pigeon"}))["errors"][0]["field"] == "type"
    rule = {**SEED, "notificationChannels": [{"type": "channel", "destination": "on-call"}]}
    await office.call("POST", RULES, 201, json=rule)
    one = f"{path}/{made['id']}"
    changed = await office.call(
        "PUT", one, json={"name": "on-call", "type": "webhook", "destination": made["destination"]}
    )
    assert changed["version"] == 2
    await office.call("PUT", one, 409, json=body, headers={"if-match": '"1"'})
    listed = (await office.call("GET", path))["channels"]
    assert [(shown["name"], shown["default"]) for shown in listed] == [("on-call", False), ("live", True)]
    assert (await office.call("POST", f"{path}/live/test"))["delivered"]
    missing = await office.call("POST", f"{path}/test", json={"type": "slack", "destination": "#alerts"})
    assert (missing["delivered"], missing["failure"]) == (False, "misconfigured")
    await office.call("DELETE", one, 409)
    await office.call("DELETE", f"{one}?force=true", 204)
    await office.call("GET", one, 404)
    entries = (await office.resources.audit.page(ACME, _first(10))).items
    actions = [one.action for one in entries if one.target == made["id"]]
    assert actions == ["channel.deleted", "channel.changed", "channel.created"]
    assert "hunter2h" not in repr(entries)


async def test_a_notification_that_was_given_up_is_sent_again(office: Office) -> None:
    body = {"name": "on-call", "type": "webhook", "destination": "https://hooks.example.com/hunter2hunter2"}
    channel = await office.call("POST", "/api/alerts/channels", 201, json=body)
    rule = {**SEED, "notificationChannels": [{"type": "channel", "destination": "on-call"}]}
    made = await office.call("POST", RULES, 201, json=rule)
    refused = await office.call("DELETE", f"/api/alerts/channels/{channel['id']}", 409)
    assert [one["field"] for one in refused["errors"]] == ["rules[0]"]
    assert made["id"] in refused["errors"][0]["reason"]
    await office.call("DELETE", f"/api/alerts/channels/{channel['id']}?force=true", 204)
    stored = await office.resources.stores.rules.get(ACME, made["id"])
    assert stored
    alert = await office.fires(stored.rule, (("service", "a"),), 1.0, int(time.time() * 1000))
    path = f"/api/alerts/{alert.fingerprint}"

    async def dead() -> str:
        (told,) = (await office.call("GET", f"{path}/history"))["notifications"]
        assert (told["state"], told["failure"]) == ("dead", "unknown_channel")
        return told["id"]

    notification = await eventually(dead, 10, retry_on=(AssertionError,))
    await office.call("POST", f"{path}/notifications/other/replay", 404)
    await office.call("POST", f"{path}/notifications/{notification}/replay", 403, by=key(Scope.READ))
    await office.call("POST", f"{path}/notifications/{notification}/replay", 204)
    assert await eventually(dead, 10, retry_on=(AssertionError,)) == notification


async def test_whoever_watches_is_told_of_every_step_once_it_is_stored(office: Office, redis_url: str) -> None:
    rules = {one.name: one for one in await office.resources.stores.rules.all(ACME)}
    told: list[Transition] = []
    async with clients.Redis.from_url(redis_url) as redis, redis.pubsub() as feed:
        await feed.subscribe(transitions_channel(ACME))
        assert await feed.get_message(timeout=10), "what is told before Redis confirms it is not heard"
        made = await office.fires(rules["service_down"], (("service", "booking"),), 0.0, int(time.time() * 1000))
        await office.call("POST", f"/api/alerts/{made.fingerprint}/acknowledge", by=person("bob"))
        await office.call("POST", f"/api/alerts/{made.fingerprint}/resolve")
        async with asyncio.timeout(10):
            while len(told) < 3:
                message = await feed.get_message(ignore_subscribe_messages=True, timeout=1)
                if message is not None:
                    told += msgspec.json.decode(message["data"], type=LiveTransitions).transitions
    assert [(step.to_state, step.acknowledged_by) for step in told] == [
        ("firing", ""),
        ("acknowledged", "bob"),
        ("resolved", ""),
    ]
    ledger = office.resources.stores.ledger
    ids = [step.id for step in told]
    assert (await ledger.some(ACME, ids)).keys() == set(ids)
    since = datetime.now(UTC) - timedelta(minutes=1)
    assert {one.transition.id for one in await ledger.since(ACME, since, 100)} >= set(ids)
    assert [one.transition.id for one in await ledger.since(ACME, since, 1)] == ids[-1:], "the last ones"
