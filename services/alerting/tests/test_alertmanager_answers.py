"""What clients of Alertmanager are answered, field by field."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from vigie_alerting.alerts.desk import Known
from vigie_alerting.alerts.stored import stored
from vigie_alerting.api.alertmanager import answers, config, errors, standing
from vigie_alerting.api.alertmanager.asked import Asked
from vigie_alerting.api.alertmanager.standing import Standing
from vigie_alerting.external import life
from vigie_alerting.external.posted import Posted
from vigie_alerting.lifecycle import step
from vigie_alerting.notifying.item import Item
from vigie_alerting.notifying.muting import Mute, Muter
from vigie_alerting.routing.model import Receiver, Route, RoutingTree
from vigie_alerting.routing.tree import Routes
from vigie_contracts.alerts import Channel
from vigie_contracts.decisions import Why
from vigie_contracts.problems import ProblemKind, problem
from vigie_contracts.tenants import TenantId
from vigie_query.errors import InvalidParameter

from .lives import LABELS, START, M, rule

ACME = TenantId("acme")
TREE = RoutingTree(
    route=Route(
        receiver="ops",
        group_by=["alertname"],
        routes=[
            Route(matchers=['team="db"'], receiver="dba", continue_=True, group_by=["..."], repeat_interval="4h"),
            Route(
                matchers=['team=~"db|web"'], receiver="web", mute_times=["nights"],
                group_interval={"critical": "30s", "default": "5m"}, repeat_interval="0",
            ),
        ],
    ),
    receivers={"ops": Receiver(), "dba": Receiver(), "web": Receiver(channels=[Channel("slack", "#web")])},
)  # fmt: skip


def sent(**labels: str) -> Known:
    """From outside, since START."""
    said = Posted(tuple(sorted(labels.items())), {"summary": "down"}, START - M, START + M, "http://p/graph?g0.expr=up")
    outcome = life.posted(None, said, ACME, START)
    assert outcome.after is not None
    return Known(outcome.after, outcome.rule, stored(outcome.after, outcome.rule))


def evaluated(*channels: Channel) -> Known:
    made = rule(notification_channels=list(channels), annotations={"summary": "{{ labels.host }} is hot"})
    after, _ = step(None, made.observe(LABELS, 90.0), made, START)
    assert after is not None
    return Known(after, made, stored(after, made))


def everything(**changes: Any) -> Asked:
    asked: dict[str, Any] = {"active": True, "silenced": True, "inhibited": True, **changes}
    return Asked.of(asked.pop("filters", ()), asked.pop("receiver", None), asked.pop("receiver_matchers", ()), **asked)


def test_an_alert_from_outside_is_shown_as_it_was_sent() -> None:
    known = sent(alertname="Down", team="db", severity="page")
    found = answers.alert(standing.ways(known, Routes(TREE)), START + 5)
    assert found == {
        "annotations": {"summary": "down"},
        "endsAt": "2025-11-24T16:01:00.000Z",
        "fingerprint": known.alert.fingerprint,
        "receivers": [{"name": "dba"}, {"name": "web"}],
        "startsAt": "2025-11-24T15:59:00.000Z",
        "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"},
        "updatedAt": "2025-11-24T16:00:00.000Z",
        "generatorURL": "http://p/graph?g0.expr=up",
        "labels": {"alertname": "Down", "severity": "page", "team": "db"},
    }


def test_an_alert_of_a_rule_has_the_same_fields_and_its_channels_as_receivers() -> None:
    known = evaluated(Channel("slack", "#alerts"), Channel("webhook", "https://user:secret@example.com/hook/secret"))
    found = answers.alert(standing.ways(known, Routes()), START + 5)
    assert found["labels"] == {"alertname": "cpu_high", "host": "web-1", "severity": "warning"}
    assert found["annotations"] == {"summary": "web-1 is hot"}
    assert found["endsAt"] == "2025-11-24T16:05:00.005Z"
    assert found["receivers"][0] == {"name": "slack #alerts"}
    assert "secret" not in str(found["receivers"])
    assert "generatorURL" not in found


def test_what_goes_nowhere_says_so() -> None:
    found = standing.ways(evaluated(), Routes())
    assert [way.receiver for way in found.ways] == ["unrouted"]
    tree = RoutingTree(receivers={"all": Receiver()}, default_receiver="all")
    assert [way.receiver for way in standing.ways(evaluated(), Routes(tree)).ways] == ["all"]


def muting(why: Why, by: str, receiver: str | None = None) -> Muter:
    async def muter(_tenant: TenantId, items: Sequence[Item], _now_ms: int) -> list[Mute | None]:
        return [Mute(why, by, "") if receiver in (None, item.receiver) else None for item in items]

    return muter


async def test_all_that_mutes_is_told_by_its_kind() -> None:
    ways = [standing.ways(sent(alertname="Down", team="db"), Routes(TREE))]
    muters = [
        muting(Why.MAINTENANCE, "upgrade"), muting(Why.INHIBITED, "f" * 16), muting(Why.SILENCED, "id"),
        muting(Why.INACTIVE, "nights"),
    ]  # fmt: skip
    [found] = await standing.judged(ways, muters, ACME, START)
    assert answers.alert(found, START)["status"] == {
        "inhibitedBy": ["f" * 16], "mutedBy": ["upgrade", "nights"], "silencedBy": ["id"], "state": "suppressed",
    }  # fmt: skip


async def test_times_mute_an_alert_when_they_mute_all_its_ways() -> None:
    ways = [standing.ways(sent(alertname="Down", team="db"), Routes(TREE))]
    [found] = await standing.judged(ways, [muting(Why.INACTIVE, "nights", "web")], ACME, START)
    assert not found.suppressed


async def test_listings_leave_out_what_they_are_told_to() -> None:
    plain = standing.ways(sent(alertname="a"), Routes(TREE))
    [silenced] = await standing.judged([plain], [muting(Why.SILENCED, "id")], ACME, START)
    [inhibited] = await standing.judged([plain], [muting(Why.INHIBITED, "f")], ACME, START)

    def shown(asked: Asked) -> list[Standing]:
        return [one for one in (plain, silenced, inhibited) if asked.shows(one)]

    assert shown(everything()) == [plain, silenced, inhibited]
    assert shown(everything(active=False)) == [silenced, inhibited]
    assert shown(everything(silenced=False)) == [plain, inhibited]
    assert shown(everything(silenced=False, inhibited=False)) == [plain]


def test_filters_are_matchers_and_receivers_expressions() -> None:
    asked = everything(filters=['team="db"', "zone!=eu"], receiver="d.a")
    assert asked.matches({"team": "db"})
    assert not asked.matches({"team": "db", "zone": "eu"})
    assert asked.receiver("dba")
    assert not asked.receiver("xdba")
    assert everything(receiver="").receiver("anybody"), "amtool sends an empty one"
    assert not everything(receiver_matchers=['owner="me"']).receiver("dba")
    for wrong in ({"filters": ["("]}, {"receiver": "("}, {"receiver_matchers": ["="]}):
        with pytest.raises(InvalidParameter):
            everything(**wrong)


def test_the_time_is_looked_at_after_each_alert_and_receiver_that_an_expression_is_tried_on() -> None:
    standings = [standing.ways(sent(alertname=name, team="db"), Routes(TREE)) for name in ("a", "b", "c")]
    looks: list[None] = []
    asked = everything(filters=['alertname=~"a|b"'], receiver="d.*")
    found, receivers = asked.among(standings, lambda: looks.append(None))
    assert ([one.labels["alertname"] for one in found], receivers) == (["a", "b"], {"dba"})
    assert len(looks) == len(standings) + len(["dba", "web"])
    assert asked.tries_expressions
    assert not everything(filters=['team="db"', "zone!=eu"]).tries_expressions
    assert everything(receiver="d.a").tries_expressions


def test_groups_are_those_of_the_routes() -> None:
    found = [
        standing.ways(sent(alertname=name, team=team), Routes(TREE))
        for name, team in (("a", "db"), ("b", "db"), ("a", "web"), ("c", "x"))
    ]
    made = answers.groups(found, everything().among(found)[1], START, muted=True)
    shown = [(one["receiver"]["name"], one["labels"], len(one["alerts"])) for one in made]
    assert shown == [
        ("web", {"alertname": "a"}, 2),
        ("dba", {"alertname": "a", "severity": "warning", "team": "db"}, 1),
        ("web", {"alertname": "b"}, 1),
        ("dba", {"alertname": "b", "severity": "warning", "team": "db"}, 1),
        ("ops", {"alertname": "c"}, 1),
    ]
    assert {name for one in made for name in one} == {"alerts", "labels", "receiver", "routeLabels"}
    assert len(answers.groups(found, everything(receiver="web").among(found)[1], START, muted=True)) == 2


def test_the_status_has_all_fields() -> None:
    found = answers.status("1.2.3", "route: {}\n", START)
    assert found["versionInfo"].keys() == {"version", "revision", "branch", "buildUser", "buildDate", "goVersion"}
    assert found["cluster"] == {"status": "disabled", "peers": []}
    assert (found["config"], found["uptime"]) == ({"original": "route: {}\n"}, "2025-11-24T16:00:00.000Z")


def test_routes_are_shown_as_alertmanager_writes_them() -> None:
    assert yaml.safe_load(config.written(TREE)) == {
        "global": {"resolve_timeout": "5m"},
        "route": {
            "receiver": "ops",
            "group_by": ["alertname"],
            "routes": [
                {"receiver": "dba", "matchers": ['team="db"'], "group_by": ["..."], "continue": True,
                 "repeat_interval": "4h"},
                {"receiver": "web", "matchers": ['team=~"db|web"'], "mute_time_intervals": ["nights"],
                 "group_interval": "5m"},
            ],
        },
        "receivers": [{"name": "ops"}, {"name": "dba"}, {"name": "web"}],
        "time_intervals": [{"name": "nights", "time_intervals": []}],
    }  # fmt: skip


@pytest.mark.parametrize("tree", [TREE, RoutingTree(), RoutingTree(route=Route(mute_times=["x"]))])
def test_amtool_takes_the_configuration(tree: RoutingTree, tmp_path: Path) -> None:
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("amtool is not installed: it did not read the configuration")
    file = tmp_path / "alertmanager.yml"
    file.write_text(config.written(tree))
    done = subprocess.run([amtool, "check-config", str(file)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("status", "told", "body"),
    [
        (400, 400, "no"),
        (422, 400, "no"),
        (409, 400, "no"),
        (404, 404, "no"),
        (403, 403, {"code": 403, "message": "no"}),
        (503, 503, {"code": 503, "message": "no"}),
    ],
)
def test_errors_are_texts_or_codes(status: int, told: int, body: object) -> None:
    answer = errors.written(problem(ProblemKind.INVALID, status, "no"), ValueError(), {"retry-after": "1"})
    assert (answer.status_code, msgspec.json.decode(answer.body)) == (told, body)
    assert answer.headers["retry-after"] == "1"
