"""Why somebody was told, or not, over HTTP: by rules, routes and silences, on real servers."""

from __future__ import annotations

from typing import Any

import pytest
from vigie_contracts.alerts import Rule

from services.alerting.tests.office import ACME, Office
from tests.kit.wait import eventually

pytestmark = pytest.mark.connected

CPU = {"name": "cpu", "metricName": "cpu", "condition": ">", "threshold": 80}
LIVE = {"type": "live"}


async def rule(office: Office, **more: Any) -> Rule:
    made = await office.call("POST", "/api/alerts/rules", 201, json={**CPU, **more})
    return (await office.resources.rulebook.get(ACME, made["id"])).rule


async def why(office: Office, fingerprint: str) -> list[dict[str, Any]]:
    return (await office.call("GET", f"/api/alerts/{fingerprint}/history"))["why"]


async def test_history_says_why_the_channel_of_a_rule_was_told(office: Office) -> None:
    made = await rule(office, notificationChannels=[LIVE])
    alert = await office.fires(made, (("host", "web-1"),), 93.0, 1_790_000_000_000)
    path = f"/api/alerts/{alert.fingerprint}/history"

    async def told() -> Any:
        found = await why(office, alert.fingerprint)
        return found if found[0]["outcome"] == "told" else None

    [one] = await eventually(told)
    assert one["sentence"].startswith("Live was told at ")
    assert one["sentence"].endswith(" that cpu (rule version 1) fires, warning: its rule names this channel.")
    assert (one["channel"], one["why"], one["ruleVersion"]) == ("live", "sent", 1)
    assert one["decidedBy"] == {"kind": "rule", "name": made.id}
    history = await office.call("GET", path)
    assert one["notification"] == history["notifications"][0]["id"]
    assert one["step"] == history["transitions"][0]["id"]


async def test_history_says_which_route_told_whom_and_which_silence_kept_it(office: Office) -> None:
    below = {"matchers": ['team="db"'], "receiver": "db", "groupBy": ["..."]}
    receivers = {"team": {"channels": [LIVE]}, "db": {"channels": [LIVE]}}
    await office.call(
        "PUT", "/api/alerts/routes", json={"route": {"receiver": "team", "routes": [below]}, "receivers": receivers}
    )
    silence = await office.call(
        "POST", "/api/alerts/silences", 201,
        json={"matchers": ['host="web-2"'], "endsAt": "now+1h", "comment": "new disks"},
    )  # fmt: skip
    made = await rule(office)
    now_ms = office.app.state.service.clock.now_ms()
    told = await office.fires(made, (("host", "web-1"), ("team", "db")), 93.0, now_ms)
    kept = await office.fires(made, (("host", "web-2"), ("team", "db")), 93.0, now_ms)

    async def delivered() -> Any:
        found = await why(office, told.fingerprint)
        return found if {one["outcome"] for one in found} == {"told"} and len(found) == 2 else None

    by_route = next(one for one in await eventually(delivered) if not one["channel"])
    of_channel = next(one for one in await why(office, told.fingerprint) if one["channel"])
    what = "that cpu (rule version 1) fires, warning"
    assert by_route["sentence"].startswith(f'Db was told {what}, by the route /{{team="db"}}: ')
    assert by_route["decidedBy"] == {"kind": "route", "name": '/{team="db"}'}
    assert of_channel["sentence"].endswith(f"{what}: it is a channel of db.")
    assert (by_route["group"], by_route["receiver"]) == (of_channel["group"], of_channel["receiver"])

    [held] = await why(office, kept.fingerprint)
    assert (held["outcome"], held["why"], held["receiver"]) == ("held", "silenced", "db")
    assert held["decidedBy"] == {"kind": "silence", "name": silence["id"]}
    assert "silenced by alice" in held["sentence"]
    assert "new disks" in held["sentence"]
    assert held["until"] == silence["endsAt"]
    await office.call("POST", f"/api/alerts/{kept.fingerprint}/acknowledge")
    newest = (await why(office, kept.fingerprint))[0]
    assert newest["outcome"] == "not_told"
    assert "alice has" in newest["sentence"]
