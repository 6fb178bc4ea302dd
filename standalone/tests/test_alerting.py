"""`vigie alerts`, `rules`, `channels`, `routes`, `silences`: what is asked, and how answers and refusals are shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner
from vigie_standalone import cli
from vigie_standalone.alerting import arguments
from vigie_standalone.alerting.asking import Api, RefusedError
from vigie_standalone.query.asking import NoAnswerError, Server

ALERT = {
    "id": "00c0ffee00c0ffee", "status": "active", "severity": "error", "createdAt": "2026-01-31T12:00:00.000Z",
    "type": "service_down", "message": "booking\x1b[2J is stopped", "acknowledgedBy": None,
}  # fmt: skip
Answer = Callable[[httpx2.Request], Any]


class Fake:
    """Alerting, as far as a command sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[httpx2.Request] = []
        self.answer: Answer = lambda _: {}
        monkeypatch.setattr(arguments, "alerting", self.alerting)
        for module in ("alerts", "rules", "channels", "routes", "silences"):
            monkeypatch.setattr(f"vigie_standalone.alerting.{module}.alerting", self.alerting)

    def alerting(self, url: str, key: str, tenant: str, _data_dir: Path) -> Api:
        client = httpx2.Client(transport=httpx2.MockTransport(self._handle))
        return Api(Server(url or "http://vigie", key, tenant), "/api/alerts", client)

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        found = self.answer(request)
        if isinstance(found, str):
            return httpx2.Response(200, text=found)
        status = found.pop("__status", 200)
        return httpx2.Response(status, json=found)

    def run(self, *words: str, code: int = 0, **more: Any) -> Any:
        result = CliRunner().invoke(cli.app, list(words), **more)
        assert result.exit_code == code, result.output
        return result


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(monkeypatch)


def test_alerts_are_listed_page_by_page_without_what_a_terminal_obeys(fake: Fake) -> None:
    pages = {None: {"alerts": [ALERT], "nextCursor": "c1"}, "c1": {"alerts": [ALERT], "nextCursor": None}}
    fake.answer = lambda request: pages[request.url.params.get("cursor")]
    shown = fake.run("alerts", "list", "--match", "service=booking", "--key", "vk_1", "--tenant", "acme").stdout
    assert shown.count("00c0ffee00c0ffee\tactive\terror\t2026-01-31 12:00:00\tservice_down\tbooking") == 2
    assert "\x1b" not in shown
    first = fake.asked[0]
    assert first.url.path == "/api/alerts"
    assert first.url.params.get_list("status") == ["active", "acknowledged"]
    assert first.url.params.get_list("match") == ["service=booking"]
    assert (first.headers["authorization"], first.headers["x-scope-orgid"]) == ("Bearer vk_1", "acme")


def test_an_alert_is_acknowledged_with_a_note_until_a_time(fake: Fake) -> None:
    fake.answer = lambda _: {**ALERT, "status": "acknowledged", "acknowledgedBy": "alice"}
    shown = fake.run("alerts", "ack", "00c0ffee00c0ffee", "--note", "on it", "--until", "now+2h").stdout
    assert shown.startswith("service_down is acknowledged by alice: ")
    assert fake.asked[0].url.path == "/api/alerts/00c0ffee00c0ffee/acknowledge"
    assert json.loads(fake.asked[0].content) == {"note": "on it", "until": "now+2h"}


def test_an_alert_is_escalated_by_hand(fake: Fake) -> None:
    fake.answer = lambda _: {"steps": [{"chain": "db", "step": 2}]}
    assert fake.run("alerts", "escalate", "00c0ffee00c0ffee").stdout == "step 2 of the chain db is told now\n"
    assert (fake.asked[0].method, fake.asked[0].url.path) == ("POST", "/api/alerts/00c0ffee00c0ffee/escalate")


def test_why_somebody_was_told_is_one_line_each(fake: Fake) -> None:
    why = [
        {"at": "2026-01-31T12:00:01.000Z", "sentence": "Slack #alerts was told\x1b[2J."},
        {"at": None, "sentence": "Team-db was not told."},
    ]
    fake.answer = lambda _: {"transitions": [], "notifications": [], "why": why}
    shown = fake.run("alerts", "why", "00c0ffee00c0ffee").stdout
    assert shown.splitlines() == [
        "2026-01-31 12:00:01  Slack #alerts was told\\x1b[2J.",
        "  Team-db was not told.",
    ]
    assert fake.asked[0].url.path == "/api/alerts/00c0ffee00c0ffee/history"
    assert json.loads(fake.run("alerts", "why", "00c0ffee00c0ffee", "--json").stdout)[1]["at"] is None


def test_what_is_refused_is_told_line_by_line_and_how_to_be_let_in() -> None:
    problem = {"detail": "a; b", "errors": [{"field": "a", "reason": "x"}, {"field": "b", "reason": "y\x1b"}]}
    assert str(RefusedError(422, problem)) == "a; b\n  a: x\n  b: y\\x1b"
    assert "VIGIE_API_KEY" in str(RefusedError(401, {"detail": "this needs a credential"}))


def test_somebody_else_at_the_address_is_no_vigie(fake: Fake) -> None:
    client = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(502, text="<html>")))
    with pytest.raises(NoAnswerError, match="it answered 502"):
        Api(Server("http://vigie"), "/api/alerts", client).ask("GET", "")


def test_a_rule_file_is_imported_and_exported(fake: Fake, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text("groups: []")
    done = {"warnings": [{"line": 3, "message": "no summary"}], "created": 1, "changed": 0, "unchanged": 0}
    rules = [{"verdict": "created", "group": "g", "name": "n"}]
    fake.answer = lambda _: {**done, "rules": rules}
    result = fake.run("rules", "import", str(file), "--dry-run")
    assert "created\tg\tn" in result.stdout
    assert fake.asked[0].url.params["dryRun"] == "true"
    assert fake.asked[0].content == b"groups: []"
    fake.answer = lambda _: "groups: []\n"
    assert fake.run("rules", "export", "--group", "g").stdout == "groups: []\n"


def test_a_rule_file_is_judged_without_a_server(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: sum(\n")
    bad = CliRunner().invoke(cli.app, ["rules", "lint", str(file)])
    assert bad.exit_code == 1
    assert f"{file}:5: error: " in bad.output
    file.write_text(
        "groups:\n  - name: g\n    rules:\n      - {alert: A, expr: up == 0, annotations: {summary: down}}\n"
    )
    assert CliRunner().invoke(cli.app, ["rules", "lint", str(file)]).exit_code == 0


def test_a_channel_that_did_not_deliver_ends_with_one(fake: Fake) -> None:
    fake.answer = lambda _: {"delivered": False, "detail": "the receiver answered 401", "temporary": False}
    assert "the receiver answered 401" in fake.run("channels", "test", "c1", code=1).output
    fake.answer = lambda _: {"delivered": True}
    assert "delivered" in fake.run("channels", "test", "live").stdout


ROUTE = {
    "matchers": [], "receiver": "ops", "continue": False, "groupBy": None, "muteTimes": [], "activeTimes": [],
    "routes": [],
}  # fmt: skip
CONFIG = """
route:
  receiver: ops
  routes:
    - matchers: ['team="db"']
      receiver: db
receivers:
  - name: ops
  - name: db
    webhook_configs: [{url: 'https://hooks.example.com/very-secret'}]
"""


def test_routes_are_shown_as_a_tree_with_who_is_told(fake: Fake) -> None:
    below = {**ROUTE, "matchers": ['team="db\x1b"'], "receiver": "db", "continue": True, "muteTimes": ["nights"]}
    receivers = {
        "ops": {"channels": [], "escalation": "primary"},
        "db": {"channels": [{"type": "slack", "destination": "#db"}], "escalation": ""},
    }
    fake.answer = lambda _: {
        "route": {**ROUTE, "routes": [below]}, "receivers": receivers, "defaultReceiver": "ops", "version": 3,
        "updatedAt": "2026-01-31T12:00:00.000Z", "updatedBy": "ann",
    }  # fmt: skip
    shown = fake.run("routes", "show")
    assert shown.stdout.splitlines() == [
        "all alerts -> ops", '  team="db\\x1b" (and on) -> db not in nights', "", "ops\tescalation primary",
        "db\tslack #db",
    ]  # fmt: skip
    assert "Version 3, of 2026-01-31T12:00:00.000Z by ann." in shown.stderr
    fake.answer = lambda _: {"version": 0}
    assert "There are no routes" in fake.run("routes", "show").stderr


def test_where_an_alert_would_go_is_asked_and_may_be_verified(fake: Fake) -> None:
    steps = [{"route": '/{team="db"}', "taken": True, "because": "it holds"}]
    way = {"sentence": "to db", "inactive": "its route is muted in 'nights'"}
    fake.answer = lambda _: {"steps": steps, "ways": [way], "receivers": ["db", "ops"], "sentence": "to db"}
    shown = fake.run("routes", "test", "team=db", 'alertname="Disk Full"', "--verify", "db,ops")
    assert shown.stdout == "db,ops\n"
    assert 'yes  /{team="db"}: it holds' in shown.stderr
    assert "but not at that time: its route is muted in 'nights'" in shown.stderr
    assert json.loads(fake.asked[0].content) == {"labels": {"team": "db", "alertname": "Disk Full"}}
    assert "It should go to ops." in fake.run("routes", "test", "team=db", "--verify", "ops", code=1).stderr
    assert "written name=value" in str(fake.run("routes", "test", "team", code=1).exception)


def test_a_file_of_alertmanager_is_asked_without_a_server(fake: Fake, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(CONFIG)
    shown = fake.run("routes", "test", "--file", str(file), "team=db")
    assert shown.stdout == "db\n"
    assert "very-secret" not in shown.output
    assert fake.run("routes", "test", "--file", str(file), "team=web", "--verify", "ops").stdout == "ops\n"
    march = "time_intervals:\n  - name: march\n    time_intervals: [{months: ['3']}]\n"
    file.write_text(CONFIG.replace("receiver: db\n", "receiver: db\n      mute_time_intervals: [march]\n", 1) + march)
    for at, muted in (("2026-03-15T00:00:00Z", True), ("2026-04-15T00:00:00Z", False)):
        shown = fake.run("routes", "test", "--file", str(file), "--at", at, "team=db")
        assert shown.stdout == "db\n"
        assert ("its route is muted in 'march'" in shown.stderr) is muted
    refused = fake.run("routes", "test", "--file", str(file), "--at", "soon", "team=db", code=1)
    assert str(refused.exception).startswith("--at: ")
    file.write_text("route: {}")
    refused = fake.run("routes", "test", "--file", str(file), "a=b", code=1)
    assert str(refused.exception) == f"{file}:1: the root route needs a receiver"
    file.write_text(CONFIG.replace("receiver: db", "receiver: dbs") + "time_intervals:\n  - name: nights\n")
    refused = fake.run("routes", "test", "--file", str(file), "a=b", code=1)
    assert str(refused.exception).startswith(f"{file}:12: nights: a time interval has 1 to")
    assert not fake.asked


def test_an_import_of_routes_lists_what_is_not_taken(fake: Fake, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(CONFIG)
    part = {
        "kind": "channel",
        "name": "db webhook",
        "type": "webhook",
        "destination": "https://a/***",
        "verdict": "created",
    }
    fake.answer = lambda _: {
        "unmapped": [{"line": 3, "message": "templates: no"}], "warnings": [], "parts": [part],
        "tree": {"route": {**ROUTE, "routes": [ROUTE]}, "version": 2},
    }  # fmt: skip
    shown = fake.run("routes", "import", str(file))
    assert shown.stdout == "created\tchannel\tdb webhook\twebhook\thttps://a/***\n"
    assert f"{file}:3: not taken: templates: no" in shown.stderr
    assert "2 routes are at version 2." in shown.stderr
    assert "nothing was done" in fake.run("routes", "import", "--dry-run", str(file)).stderr
    assert [one.url.params["dryRun"] for one in fake.asked] == ["false", "true"]
    assert (fake.asked[0].url.path, fake.asked[0].content.decode()) == ("/api/alerts/routes/import", CONFIG)


SILENCE = {
    "id": "019a0000-0000-7000-8000-000000000000", "state": "active", "matchers": ['alertname="cpu_high"'],
    "startsAt": "2026-01-31T12:00:00.000Z", "endsAt": "2026-01-31T14:00:00.000Z", "recurrence": None,
    "createdBy": "alice", "comment": "new\x1b[2J disks", "wouldHaveMuted": {"alerts": 2, "rules": 1, "firings": 5},
}  # fmt: skip


def test_a_silence_is_added_and_what_it_would_have_muted_is_told(fake: Fake) -> None:
    fake.answer = lambda _: dict(SILENCE)
    shown = fake.run("silences", "add", "alertname=cpu_high", 'host=~"web-.*"', "--comment", "disks", "--for", "2h")
    assert shown.stdout == f"{SILENCE['id']}\n"
    assert "until 2026-01-31 14:00:00 UTC" in shown.stderr
    assert "2 alerts of 1 rules, 5 times" in shown.stderr
    assert json.loads(fake.asked[0].content) == {
        "matchers": ["alertname=cpu_high", 'host=~"web-.*"'], "comment": "disks", "confirm": False, "endsAt": "now+2h",
    }  # fmt: skip
    weekly = ["--rrule", "FREQ=WEEKLY;BYDAY=SU", "--each", "2h", "--zone", "Europe/Paris"]
    fake.run("silences", "add", "site=paris", "--comment", "backup", *weekly)
    assert json.loads(fake.asked[1].content)["recurrence"] == {
        "rrule": "FREQ=WEEKLY;BYDAY=SU", "duration": "2h", "timeZone": "Europe/Paris",
    }  # fmt: skip
    assert "endsAt" not in json.loads(fake.asked[1].content)
    fake.answer = lambda _: {**SILENCE, "wouldHaveMuted": None}
    shown = fake.run("silences", "add", "alertname=cpu_high", "--comment", "disks")
    assert "cannot be told now" in shown.stderr
    assert shown.stdout == f"{SILENCE['id']}\n"


def test_silences_are_listed_extended_and_ended(fake: Fake) -> None:
    fake.answer = lambda _: {"silences": [SILENCE], "nextCursor": None}
    shown = fake.run("silences", "list", "--state", "active", "--matcher", "alertname=cpu_high").stdout
    assert shown.startswith(f"{SILENCE['id']}\tactive\t2026-01-31 14:00:00 UTC\talice\t")
    assert "\x1b" not in shown
    assert fake.asked[0].url.params.get_list("matcher") == ["alertname=cpu_high"]
    fake.answer = lambda _: dict(SILENCE)
    fake.run("silences", "extend", str(SILENCE["id"]), "now+4h")
    assert json.loads(fake.asked[1].content) == {"endsAt": "now+4h"}
    fake.answer = lambda _: {}
    fake.run("silences", "expire", "a", "b")
    assert [(one.method, one.url.path) for one in fake.asked[2:]] == [
        ("DELETE", "/api/alerts/silences/a"), ("DELETE", "/api/alerts/silences/b"),
    ]  # fmt: skip


def test_a_preview_tells_what_would_be_muted_and_when_that_is_everything(fake: Fake) -> None:
    one = {"id": "c0ffee", "labels": {"alertname": "cpu_high"}, "lastAt": SILENCE["startsAt"], "times": 3}
    fake.answer = lambda _: {
        "examples": [one], "wouldHaveMuted": SILENCE["wouldHaveMuted"], "mutesNow": 1, "complete": False,
        "everything": "none of the matchers narrows anything down",
    }  # fmt: skip
    shown = fake.run("silences", "preview", "alertname!=x")
    assert shown.stdout == "c0ffee\t3\t2026-01-31 12:00:00 UTC\talertname=cpu_high\n"
    assert "It would mute 1 that fire now." in shown.stderr
    assert "the newest of it" in shown.stderr
    assert "needs --confirm" in shown.stderr
