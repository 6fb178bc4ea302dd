"""/api/v2 on real MongoDB: alerts from outside are stored with all that comes of them, and end by a stored timer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from vigie_alerting.external import intake
from vigie_alerting.external.ending import GRACE_MS, Ending
from vigie_alerting.external.intake import Intake
from vigie_alerting.external.metrics import EXTERNAL_METRICS
from vigie_alerting.external.reading import read
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Role, Scope
from vigie_query.times import iso
from vigie_runtime.clock import ManualClock, SystemClock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.expressions import Expressions
from vigie_runtime.metrics import MetricSet
from vigie_storage.alerts.states import StoredAlert

from services.alerting.tests.office import ACME, Office, key, person

pytestmark = pytest.mark.connected

ALERTS = "/api/v2/alerts"
RIVAL = TenantId("rival")


def alert(name: str = "Down", **changes: Any) -> dict[str, Any]:
    return {"labels": {"alertname": name, "team": "db", "site": "paris"}, "annotations": {"summary": "down"}, **changes}


async def test_alerts_are_posted_listed_and_end(office: Office) -> None:
    assert await office.call("POST", ALERTS, by=key(Scope.WRITE), json=[alert("a"), alert("b")]) is None
    found = await office.call("GET", ALERTS)
    assert sorted(one["labels"]["alertname"] for one in found) == ["a", "b"]
    assert [one["fingerprint"] for one in found] == sorted(one["fingerprint"] for one in found)
    assert [one["labels"]["alertname"] for one in await office.call("GET", f'{ALERTS}?filter=alertname%3D"a"')] == ["a"]

    past = iso(SystemClock().now_ms() - 1)
    await office.call("POST", ALERTS, json=[alert("a", endsAt=past)])
    [left] = await office.call("GET", ALERTS)
    assert left["labels"]["alertname"] == "b"

    own = await office.call("GET", "/api/alerts")
    assert own["counts"] == {"pending": 0, "active": 1, "acknowledged": 0, "resolved": 1}
    over = next(one for one in own["alerts"] if one["status"] == "resolved")
    history = (await office.call("GET", f"/api/alerts/{over['id']}/history"))["transitions"]
    assert [(one["toState"], one["reason"]) for one in history] == [
        ("resolved", "recovered"), ("firing", "condition_met"),
    ]  # fmt: skip
    assert (await office.call("GET", "/api/v1/alerts"))["data"]["alerts"][0]["labels"]["alertname"] == "b"


async def test_what_people_do_to_rules_alerts_they_do_to_these(office: Office) -> None:
    await office.call("POST", ALERTS, json=[alert()])
    [one] = await office.call("GET", ALERTS)
    path = f"/api/alerts/{one['fingerprint']}"
    assert (await office.call("POST", f"{path}/acknowledge", json={"note": "mine"}))["acknowledgedBy"] == "alice"
    await office.call("POST", ALERTS, json=[alert()])
    assert (await office.call("GET", path))["status"] == "acknowledged", "sent again it stays so"
    await office.call("POST", f"{path}/resolve")
    await office.call("POST", ALERTS, json=[alert()])
    assert await office.call("GET", ALERTS) == []


async def test_a_repeat_that_says_nothing_new_writes_nothing(office: Office) -> None:
    end = iso(SystemClock().now_ms() + 600_000)
    await office.call("POST", ALERTS, json=[alert(endsAt=end)])
    before = await office.call("GET", ALERTS)
    await office.call("POST", ALERTS, json=[alert(endsAt=end)])
    assert await office.call("GET", ALERTS) == before, "not even the time of its last change"
    later = iso(SystemClock().now_ms() + 700_000)
    await office.call("POST", ALERTS, json=[alert(endsAt=later)])
    [after] = await office.call("GET", ALERTS)
    assert after["endsAt"] == later
    history = await office.call("GET", f"/api/alerts/{after['fingerprint']}/history")
    assert len(history["transitions"]) == 1


async def test_those_that_are_right_are_taken_and_the_others_told(office: Office) -> None:
    said = await office.call("POST", ALERTS, 400, json=[alert("good"), {"labels": {}}, {"labels": {"a=b": "c"}}])
    assert said.startswith("alert 1: at least one label pair required; alert 2: ")
    assert [one["labels"]["alertname"] for one in await office.call("GET", ALERTS)] == ["good"]
    assert "parsing alerts body" in await office.call("POST", ALERTS, 400, json={})
    assert (await office.call("POST", ALERTS, 415, content=b"[]"))["code"] == 415
    assert isinstance(await office.call("GET", f"{ALERTS}?filter=(", 400), str)
    assert isinstance(await office.call("GET", "/api/v2/nothing", 404), str)


async def test_there_is_a_bound_on_what_fires(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_OPEN", 2)
    said = await office.call("POST", ALERTS, 400, json=[alert(str(n)) for n in range(3)])
    assert said.startswith("1 alerts were not taken")
    assert len(await office.call("GET", ALERTS)) == 2
    await office.call("POST", ALERTS, json=[alert("0"), alert("1")])


async def test_expressions_of_a_listing_have_a_limited_time(office: Office) -> None:
    await office.call("POST", ALERTS, json=[alert("a")])
    office.app.state.service.resources = replace(office.resources, patterns=Expressions(0.0))
    for path in (ALERTS, f"{ALERTS}/groups"):
        assert len(await office.call("GET", f'{path}?filter=team="db"')) == 1
        for asked in ('filter=team=~"d.*"', "receiver=un.*"):
            assert "takes longer than" in await office.call("GET", f"{path}?{asked}", 400)


async def test_others_do_not_see_them(office: Office) -> None:
    await office.call("POST", ALERTS, json=[alert()])
    await office.resources.access.tenants.ensure(RIVAL)
    rival = person("eve", tenant=RIVAL)
    assert await office.call("GET", ALERTS, by=rival) == []
    assert await office.call("GET", "/api/v2/alerts/groups", by=rival) == []
    elsewhere = person("u", Role.USER, sites=frozenset({"rome"}))
    assert await office.call("GET", ALERTS, by=elsewhere) == []
    assert len(await office.call("GET", ALERTS, by=person("u", Role.USER, sites=frozenset({"paris"})))) == 1
    await office.call("POST", ALERTS, by=rival, json=[alert()])
    [theirs] = await office.call("GET", ALERTS, by=rival)
    [mine] = await office.call("GET", ALERTS)
    assert mine["fingerprint"] != theirs["fingerprint"]


async def test_status_receivers_and_groups_are_answered_without_any_route(office: Office) -> None:
    await office.call("POST", ALERTS, json=[alert()])
    status = await office.call("GET", "/api/v2/status")
    assert "receiver: unrouted" in status["config"]["original"]
    assert await office.call("GET", "/api/v2/receivers") == []
    [group] = await office.call("GET", "/api/v2/alerts/groups")
    assert (group["receiver"], group["labels"]) == ({"name": "unrouted"}, {"alertname": "Down"})
    assert len(group["alerts"]) == 1


async def test_routes_decide_who_is_told(office: Office) -> None:
    tree = {
        "route": {
            "receiver": "everybody", "routes": [{"matchers": ['team="db"'], "receiver": "dba", "groupBy": ["team"]}],
        },
        "receivers": {"everybody": {}, "dba": {"channels": [{"type": "live"}]}},
    }  # fmt: skip
    await office.call("PUT", "/api/alerts/routes", json=tree)
    await office.call("POST", ALERTS, json=[alert("a"), alert("b"), {"labels": {"alertname": "c"}}])
    assert await office.call("GET", "/api/v2/receivers") == [{"name": "everybody"}, {"name": "dba"}]
    groups = await office.call("GET", "/api/v2/alerts/groups")
    shown = [(one["receiver"]["name"], one["labels"], len(one["alerts"])) for one in groups]
    assert shown == [("everybody", {}, 1), ("dba", {"team": "db"}, 2)]
    found = await office.call("GET", f"{ALERTS}?receiver=d.a")
    assert sorted(one["labels"]["alertname"] for one in found) == ["a", "b"]
    told = await office.call("GET", f"/api/alerts/{found[0]['fingerprint']}/history")
    assert [one["channel"].split()[0] for one in told["notifications"]] == ["live"]
    original = (await office.call("GET", "/api/v2/status"))["config"]["original"]
    assert '- team="db"' in original


async def test_what_is_not_sent_again_ends_once_whoever_looks(office: Office) -> None:
    stores, dispatcher = office.resources.stores, office.resources.dispatcher
    clock = ManualClock(SystemClock().now_ms() - 3_600_000)  # the app's own does not meet them
    taking = Intake(stores.states, dispatcher, clock, MetricSet(EXTERNAL_METRICS))
    posted, _ = read(b'[{"labels": {"alertname": "a"}}, {"labels": {"alertname": "b"}}]')
    first, second = (Ending(stores.states, dispatcher, clock) for _ in range(2))
    await taking.take(ACME, posted)
    clock.advance(200)
    await taking.take(ACME, posted[:1])  # goes on
    clock.advance(101)
    await asyncio.gather(first.end_some(), second.end_some())
    listed = (await office.call("GET", "/api/alerts"))["alerts"]
    assert sorted((one["type"], one["status"]) for one in listed) == [("a", "active"), ("b", "resolved")]
    over = next(one for one in listed if one["type"] == "b")
    history = (await office.call("GET", f"/api/alerts/{over['id']}/history"))["transitions"]
    assert [one["reason"] for one in history] == ["expired", "condition_met"]


async def test_of_those_who_post_at_once_one_tells_it(office: Office) -> None:
    posted, _ = read(b'[{"labels": {"alertname": "a"}}]')
    await asyncio.gather(*(office.resources.intake.take(ACME, posted) for _ in range(4)))
    [one] = (await office.call("GET", "/api/alerts"))["alerts"]
    history = (await office.call("GET", f"/api/alerts/{one['id']}/history"))["transitions"]
    assert [entry["reason"] for entry in history] == ["condition_met"]


async def test_a_post_that_comes_while_it_is_ended_counts(office: Office) -> None:
    stores, dispatcher = office.resources.stores, office.resources.dispatcher
    clock = ManualClock(SystemClock().now_ms() - 3_600_000)
    taking = Intake(stores.states, dispatcher, clock, MetricSet(EXTERNAL_METRICS))
    posted, _ = read(b'[{"labels": {"alertname": "a"}}]')

    class Slow:
        """Finds what is due, and is held up then."""

        write = stores.states.write

        async def due(self, since_ms: int, now_ms: int, limit: int) -> list[StoredAlert]:
            found = await stores.states.due(since_ms, now_ms, limit)
            await taking.take(ACME, posted)
            return found

    slow: Any = Slow()
    ending = Ending(slow, dispatcher, clock)
    await taking.take(ACME, posted)
    clock.advance(301)
    assert await ending.end_some()
    assert (await office.call("GET", "/api/alerts"))["counts"]["active"] == 1


async def test_a_start_leaves_time_to_send_again(office: Office) -> None:
    stores, dispatcher = office.resources.stores, office.resources.dispatcher
    clock = ManualClock(SystemClock().now_ms() - 3_600_000)
    posted, _ = read(b'[{"labels": {"alertname": "a"}}]')
    await Intake(stores.states, dispatcher, clock, MetricSet(EXTERNAL_METRICS)).take(ACME, posted)
    clock.advance(1_000)  # nobody was there
    again = Ending(stores.states, dispatcher, clock)
    assert not await again.end_some()
    clock.advance(GRACE_MS / 1000)
    assert await again.end_some()
    assert (await office.call("GET", "/api/alerts"))["counts"]["resolved"] == 1


async def test_a_store_that_was_away_leaves_time_to_send_again_too(office: Office) -> None:
    stores, dispatcher = office.resources.stores, office.resources.dispatcher
    clock = ManualClock(SystemClock().now_ms() - 3_600_000)
    posted, _ = read(b'[{"labels": {"alertname": "a"}}]')

    class Away:
        away = False
        write = stores.states.write

        async def due(self, since_ms: int, now_ms: int, limit: int) -> list[StoredAlert]:
            if self.away:
                raise StoreUnavailable
            return await stores.states.due(since_ms, now_ms, limit)

    states: Any = Away()
    ending = Ending(states, dispatcher, clock)
    clock.advance(GRACE_MS / 1000)
    await Intake(stores.states, dispatcher, clock, MetricSet(EXTERNAL_METRICS)).take(ACME, posted)
    clock.advance(1_000)
    states.away = True
    with pytest.raises(StoreUnavailable):
        await ending.end_some()
    states.away = False
    assert not await ending.end_some(), "nobody could send it again"
    clock.advance(GRACE_MS / 1000)
    assert await ending.end_some()


SILENCES = "/api/v2/silences"


def silence(value: str = "db", **changes: Any) -> dict[str, Any]:
    now_ms = SystemClock().now_ms()
    return {
        "matchers": [{"name": "team", "value": value, "isRegex": False, "isEqual": True}],
        "startsAt": iso(now_ms), "endsAt": iso(now_ms + 3_600_000), "createdBy": "anna", "comment": "moves", **changes,
    }  # fmt: skip


async def test_silences_live_as_in_alertmanager(office: Office) -> None:
    await office.call("POST", ALERTS, json=[alert()])
    made = (await office.call("POST", SILENCES, json=silence()))["silenceID"]
    [one] = await office.call("GET", SILENCES)
    assert one.keys() == {
        "id", "status", "updatedAt", "annotations", "comment", "createdBy", "endsAt", "matchers", "startsAt",
    }  # fmt: skip
    assert (one["id"], one["status"], one["createdBy"]) == (made, {"state": "active"}, "anna")
    assert one["matchers"] == [{"name": "team", "value": "db", "isRegex": False, "isEqual": True}]
    assert await office.call("GET", f"/api/v2/silence/{made}") == one
    [muted] = await office.call("GET", ALERTS)
    assert muted["status"] == {"inhibitedBy": [], "mutedBy": [], "silencedBy": [made], "state": "suppressed"}
    assert await office.call("GET", f"{ALERTS}?silenced=false") == []
    assert await office.call("GET", f'{SILENCES}?filter=team="web"') == []
    assert len(await office.call("GET", f'{SILENCES}?filter=team="db"')) == 1
    assert (await office.call("GET", f"/api/alerts/silences/{made}"))["id"] == made

    later = iso(SystemClock().now_ms() + 7_200_000)
    again = await office.call("POST", SILENCES, json={**one, "endsAt": later})
    assert again == {"silenceID": made}, "the same one, longer"
    other = (await office.call("POST", SILENCES, json={**silence("web"), "id": made}))["silenceID"]
    assert other != made
    states = {one["id"]: one["status"]["state"] for one in await office.call("GET", SILENCES)}
    assert states == {made: "expired", other: "active"}
    await office.call("DELETE", f"/api/v2/silence/{other}")
    await office.call("DELETE", f"/api/v2/silence/{other}")
    assert await office.call("GET", f"{SILENCES}?expired=false") == []
    assert (await office.call("GET", ALERTS))[0]["status"]["state"] == "active"


async def test_silences_that_cannot_be_are_refused_as_in_alertmanager(office: Office) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert isinstance(await office.call("POST", SILENCES, 404, json={**silence(), "id": unknown}), str)
    assert isinstance(await office.call("GET", f"/api/v2/silence/{unknown}", 404), str)
    assert isinstance(await office.call("DELETE", f"/api/v2/silence/{unknown}", 404), str)
    past = iso(SystemClock().now_ms() - 1000)
    wrong = [{"endsAt": past}, {"matchers": []}, {"comment": ""}, {"createdBy": "x" * 201}]
    for body in (*(silence(**one) for one in wrong), {"matchers": 1}, []):
        assert isinstance(await office.call("POST", SILENCES, 400, json=body), str)
    own = person("u", Role.USER, sites=frozenset({"paris"}))
    assert (await office.call("POST", SILENCES, 403, by=own, json=silence()))["code"] == 403


async def test_a_silence_that_mutes_everything_is_confirmed_as_the_refusal_says(office: Office) -> None:
    everything = [{"name": "alertname", "value": ".+", "isRegex": True, "isEqual": True}]
    refused = await office.call("POST", SILENCES, 400, json=silence(matchers=everything))
    assert 'send "confirm": true' in refused
    await office.call("POST", SILENCES, json=silence(matchers=everything, confirm=True))
    [made] = await office.call("GET", SILENCES)
    assert made["matchers"] == everything
    await office.call("POST", SILENCES, 400, json={**made, "comment": "longer"})
    again = await office.call("POST", SILENCES, json={**made, "comment": "longer", "confirm": True})
    assert again == {"silenceID": made["id"]}


async def test_a_silence_that_recurs_is_shown_by_its_next_time_and_not_changed(office: Office) -> None:
    body = {
        "matchers": ['team="db"'], "comment": "every night",
        "recurrence": {"rrule": "FREQ=DAILY;BYHOUR=2;BYMINUTE=0", "duration": "2h"},
    }  # fmt: skip
    made = (await office.call("POST", "/api/alerts/silences", 201, json=body))["id"]
    one = await office.call("GET", f"/api/v2/silence/{made}")
    assert one["endsAt"][11:13] == "04"
    assert "recurs" in await office.call("POST", SILENCES, 400, json={**silence(), "id": made})
    await office.call("DELETE", f"/api/v2/silence/{made}")
