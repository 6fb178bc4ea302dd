"""/api/alerts/routes on real MongoDB, Kafka and Redis."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from vigie_alerting.api.routing.routes import EXAMPLE
from vigie_alerting.routing.importing import storing
from vigie_alerting.routing.routebook import Routebook
from vigie_alerting.times.interval import TimeInterval
from vigie_identity.permissions import Role
from vigie_runtime.clients import Database
from vigie_runtime.expressions import Expressions
from vigie_storage.alerts.configuration import Kind

from services.alerting.tests.lives import rule
from services.alerting.tests.office import ACME, Office, person

pytestmark = pytest.mark.connected

ROUTES = "/api/alerts/routes"
FILE = (Path(__file__).parent / "alertmanager.yml").read_text()
YAML = {"content-type": "application/yaml"}
SECRETS = ("secret-of", "secret-path", "hunter2")


async def imported(office: Office, text: str = FILE, status: int = 200, **more: Any) -> Any:
    return await office.call("POST", f"{ROUTES}/import", status, content=text, headers=YAML, **more)


async def with_channel(office: Office, name: str = "database team") -> str:
    body = {"name": name, "type": "webhook", "destination": "https://hooks.example.com/very-secret-path"}
    return (await office.call("POST", "/api/alerts/channels", 201, json=body))["id"]


async def test_routes_are_written_read_and_not_from_under_each_other(office: Office) -> None:
    empty = await office.call("GET", ROUTES)
    assert (empty["version"], empty["receivers"], empty["route"]["routes"]) == (0, {}, [])
    refused = await office.call("PUT", ROUTES, 422, json=EXAMPLE)
    assert [one["field"] for one in refused["errors"]] == ["receivers.databases.channels[0].destination"]
    channel = await with_channel(office)
    made = await office.call("PUT", ROUTES, json=EXAMPLE, headers={"if-match": '"0"'})
    assert (made["version"], made["updatedBy"], made["warnings"]) == (1, "alice", [])
    read = await office.call("GET", ROUTES)
    assert read == {name: value for name, value in made.items() if name != "warnings"}
    again = await office.call("PUT", ROUTES, json={**read, "defaultReceiver": "databases"}, by=person("bob"))
    assert again["version"] == 2
    conflict = await office.call("PUT", ROUTES, 409, json=EXAMPLE, headers={"if-match": '"1"'})
    assert "at version 2 now, bob changed it at" in conflict["detail"]
    assert (await office.call("PUT", ROUTES, 409, json=read))["status"] == 409
    await office.call("PUT", ROUTES, 403, json=EXAMPLE, by=person("eve", Role.READONLY))
    used = await office.call("DELETE", f"/api/alerts/channels/{channel}", 409)
    assert [one["reason"] for one in used["errors"]] == ["databases"]
    assert "1 receiver names the channel 'database team'" in used["detail"]
    await office.call("DELETE", ROUTES, 409, headers={"if-match": '"1"'})
    await office.call("DELETE", ROUTES, 204, headers={"if-match": '"2"'})
    await office.call("DELETE", f"/api/alerts/channels/{channel}", 204)
    assert (await office.call("GET", ROUTES))["version"] == 0


async def test_a_secret_destination_is_not_shown_and_stays_when_it_comes_back_masked(office: Office) -> None:
    url = "https://hooks.example.com/very-secret-path"
    tree = {"route": {"receiver": "a"}, "receivers": {"a": {"channels": [{"type": "webhook", "destination": url}]}}}
    made = await office.call("PUT", ROUTES, json=tree)
    assert "very-secret" not in msgspec.json.encode(made).decode()
    shown = await office.call("GET", ROUTES)
    await office.call("PUT", ROUTES, json={**shown, "route": {"receiver": "a", "groupBy": ["alertname"]}})
    stored = await office.resources.routebook.stored(ACME)
    assert stored is not None
    assert stored.value.receivers["a"].channels[0].destination == url
    tested = await office.call("POST", f"{ROUTES}/test", json={"labels": {"alertname": "x"}})
    assert "very-secret" not in msgspec.json.encode(tested).decode()


async def test_an_alert_that_might_be_is_told_where_it_would_go_and_why(office: Office) -> None:
    await with_channel(office)
    await office.call("PUT", ROUTES, json=EXAMPLE)
    labels = {"alertname": "DiskFull", "severity": "critical", "team": "db"}
    found = await office.call("POST", f"{ROUTES}/test", json={"labels": labels})
    assert found["receivers"] == ["databases"]
    (way,) = found["ways"]
    assert (way["route"], way["groupLabels"]) == ('/{team="db"}', {"alertname": "DiskFull"})
    assert (way["groupWait"], way["groupInterval"], way["repeatInterval"]) == ("0s", "30s", "1h")
    assert found["sentence"] == (
        "by the route /{team=\"db\"} to 'databases' (channel 'database team'), grouped with others of "
        "alertname='DiskFull': the first is told at once, what changes after 30s, again every 1h while nobody "
        "acknowledges it"
    )
    other = await office.call("POST", f"{ROUTES}/test", json={"labels": {"alertname": "x", "severity": "high"}})
    assert other["receivers"] == ["operations"]
    assert [one["because"] for one in other["steps"]] == [
        'team is not there, so team="db" fails',
        "severity is 'high', so severity=~\"info|low\" fails",
    ]
    tree = {"route": {"routes": [{"matchers": ["a=b"], "receiver": "r"}]}, "receivers": {"r": {}}}
    nobody = await office.call("POST", f"{ROUTES}/test", json={"labels": {"a": "c"}, "tree": tree})
    assert nobody["receivers"] == []
    assert nobody["sentence"].startswith("no route takes it, and there is no default receiver")
    await office.call("POST", f"{ROUTES}/test", 422, json={"labels": {"a": "c"}, "tree": {"route": {"x": 1}}})


async def test_the_expressions_of_routes_that_are_asked_have_a_limited_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_channel(office)
    await office.call("PUT", ROUTES, json=EXAMPLE)
    monkeypatch.setattr(Routebook, "thinking", lambda _self, tenant: Expressions(0.0).question("matchers", tenant))
    slow = await office.call("POST", f"{ROUTES}/test", 422, json={"labels": {"alertname": "x"}})
    assert "takes longer than" in slow["detail"]


async def test_a_file_of_alertmanager_is_taken_whole_and_changes_only_what_differs(office: Office) -> None:
    await imported(office, params={"dryRun": "true"})
    assert (await office.call("GET", ROUTES))["version"] == 0
    done = await imported(office)
    verdicts = {(one["kind"], one["name"]): one["verdict"] for one in done["parts"]}
    assert set(verdicts.values()) == {"created"}
    assert ("channel", "pager pagerduty") in verdicts
    assert ("time_interval", "nights") in verdicts
    assert ("inhibition", "alertmanager-1") in verdicts
    assert ("inhibition", "site down") in verdicts
    assert len(done["unmapped"]) == 14
    everything = msgspec.json.encode([done, await office.call("GET", ROUTES)]).decode()
    assert not [secret for secret in SECRETS if secret in everything]
    routes = await office.resources.routebook.held.of(ACME)
    assert [leg.receiver for leg in routes.of({"service": "database", "owner": "team-X"})] == ["hooks", "databases"]
    kept = office.resources.stores.configuration.of(Kind.TIME_INTERVAL, TimeInterval, 10)
    assert [one.name for one in await kept.all(ACME)] == ["nights", "office hours"]
    channel = await office.resources.stores.channels.named(ACME, "hooks webhook 2")
    assert channel is not None
    assert channel.secrets == {"authorization": "Bearer secret-of-bearer"}

    same = await imported(office)
    assert {one["verdict"] for one in same["parts"]} == {"unchanged"}
    assert same["tree"]["version"] == 1
    changed = FILE.replace("secret-of-bearer", "another-secret").replace("  - name: site down", "  - name: other")
    first = FILE[FILE.index("  - source_matchers") : FILE.index("  - name: site down")]
    changed = changed.replace(first, "")
    differs = await imported(office, changed)
    assert {(one["name"], one["verdict"]) for one in differs["parts"] if one["verdict"] != "unchanged"} == {
        ("hooks webhook 2", "changed"), ("other", "created"), ("alertmanager-1", "deleted"),
    }  # fmt: skip
    assert differs["tree"]["version"] == 2


async def test_what_users_wrote_in_a_file_does_not_hold_up_the_service(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def watched(work: Any) -> Any:
        def done(*args: Any) -> Any:
            threads.append(threading.current_thread().name)
            return work(*args)

        return done

    for name in ("read", "times", "inhibitions", "judged"):
        monkeypatch.setattr(storing, name, watched(getattr(storing, name)))
    await imported(office, params={"dryRun": "true"})
    assert len(threads) == 4
    assert threading.current_thread().name not in threads


async def test_a_file_with_a_mistake_changes_nothing_and_every_mistake_has_its_line(office: Office) -> None:
    bad = FILE.replace("receiver: pager\n", "receiver: pagr\n").replace(
        "'09:00', end_time: '17:00'", "'19:00', end_time: '7'"
    )
    refused = await imported(office, bad, 422)
    assert {one["field"] for one in refused["errors"]} == {"line 18", "line 52"}
    assert (await office.call("GET", ROUTES))["version"] == 0
    assert await office.resources.stores.channels.all(ACME) == []


async def test_a_rule_whose_alerts_may_be_told_to_nobody_says_so(office: Office) -> None:
    sent = {"name": "slow", "metricName": "m", "condition": ">", "threshold": 1, "labels": {"team": "db"}}

    async def warned() -> list[str]:
        made = await office.call("POST", "/api/alerts/rules", 201, json=sent)
        return [one["field"] for one in made["warnings"]]

    assert await warned() == ["notificationChannels"]
    receivers = {"db": {"channels": [{"type": "email", "destination": "db@example.com"}]}}
    tree = {"route": {"routes": [{"matchers": ["team=db"], "receiver": "db"}]}, "receivers": receivers}
    await office.call("PUT", ROUTES, json=tree)
    assert await warned() == []
    sent["labels"] = {"team": "{{ labels.team }}"}
    assert await warned() == ["notificationChannels"]
    await office.call("PUT", ROUTES, json={**tree, "defaultReceiver": "db"})
    assert await warned() == []


async def test_a_way_says_whether_anybody_is_told_at_that_time(office: Office) -> None:
    await imported(office)
    body = {"labels": {"owner": "team-X"}, "at": "2026-11-30T23:30:00+01:00"}
    night = await office.call("POST", f"{ROUTES}/test", json=body)
    assert night["ways"][0]["inactive"] == "its route is muted in 'nights', until 2026-12-01T09:00:00.000Z"
    day = await office.call("POST", f"{ROUTES}/test", json={**body, "at": "2026-11-30T10:00:00Z"})
    assert day["ways"][0]["inactive"] is None


async def test_the_next_alert_goes_by_the_routes_that_were_written_last(office: Office) -> None:
    await with_channel(office)
    made = rule(id="r-db", tenant=ACME, labels={"team": "db"}).rule
    await office.call("PUT", ROUTES, json=EXAMPLE)

    async def told(host: str) -> list[tuple[str, str]]:
        alert = await office.fires(made, (("host", host),), 90.0, int(time.time() * 1000))
        rows = await office.resources.stores.outbox.of_alert(ACME, alert.fingerprint)
        return [(one.address.type, one.address.destination) for one in rows]

    assert await told("web-1") == [("channel", "database team")]
    await office.call("DELETE", ROUTES, 204)
    assert await told("web-2") == [("live", "")]


async def test_routes_that_cannot_be_understood_keep_nobody_from_being_told(office: Office, database: Database) -> None:
    routebook = office.resources.routebook
    receiver = {"channels": [{"type": "slack", "destination": "#db"}]}
    tree = {"route": {"routes": [{"matchers": ["?!"], "receiver": "db"}]}, "receivers": {"db": receiver}}
    row = {
        "_id": f"{ACME}/routes/routes", "tenant": ACME, "kind": "routes", "name": "routes", "version": 1, "by": "x",
        "changed": datetime.now(UTC), "deleted": False, "data": json.dumps(tree),
    }  # fmt: skip
    await database["alert_configuration"].insert_one(row)
    routebook.held.drop(ACME)
    assert await routebook.stored(ACME) is not None
    assert not await routebook.held.of(ACME)


async def test_a_chain_that_routes_name_which_this_process_does_not_hold_yet_is_not_deleted(
    office: Office, database: Database
) -> None:
    await office.call("PUT", "/api/oncall/people/ana", json={"email": "ana@example.com"})
    steps = [{"notify": [{"type": "person", "name": "ana"}]}]
    await office.call("PUT", "/api/oncall/chains/night", json={"steps": steps})
    assert not await office.resources.routebook.held.of(ACME)
    tree = {"route": {"receiver": "db"}, "receivers": {"db": {"escalation": "night"}}}
    row = {
        "_id": f"{ACME}/routes/routes", "tenant": ACME, "kind": "routes", "name": "routes", "version": 1, "by": "x",
        "changed": datetime.now(UTC) - timedelta(hours=1), "deleted": False, "data": json.dumps(tree),
    }  # fmt: skip
    await database["alert_configuration"].insert_one(row)
    refused = await office.call("DELETE", "/api/oncall/chains/night", 409)
    assert "receiver 'db' of the routes" in refused["detail"]
