"""Silences, maintenance, inhibitions and time intervals over HTTP, on real servers."""

from __future__ import annotations

import time
from typing import Any

import pytest
from vigie_alerting.alert import Alert
from vigie_contracts.decisions import Why
from vigie_identity.permissions import Role, Scope

from services.alerting.tests.office import ACME, Office, key, opened, person
from tests.kit.wait import eventually

pytestmark = pytest.mark.connected

SILENCES = "/api/alerts/silences"


async def down(office: Office, service: str, site: str = "paris", rule: str = "service_down") -> Alert:
    """An alert begins to fire."""
    rules = {one.name: one for one in await office.resources.stores.rules.all(ACME)}
    labels = (("host", "web-1"), ("service", service), ("site", site))
    return await office.fires(rules[rule], labels, 0.0, int(time.time() * 1000))


async def told(office: Office, alert: Alert) -> int:
    """How many messages there are about it."""
    return len(await office.resources.stores.outbox.of_alert(ACME, alert.fingerprint, 100))


async def decided(office: Office, alert: Alert, why: Why) -> list[tuple[str, str]]:
    found = await office.resources.stores.decisions.of_alert(ACME, alert.fingerprint)
    return [(one.by, one.detail) for one in found if one.why is why]


def silence(*matchers: str, **more: Any) -> dict[str, Any]:
    return {"matchers": list(matchers), "endsAt": "now+2h", "comment": "new disks", **more}


async def test_a_silence_mutes_at_once_survives_a_restart_and_what_it_held_is_told_when_it_ends(office: Office) -> None:
    assert await told(office, await down(office, "before")) == 1
    made = await office.call("POST", SILENCES, 201, json=silence('service="booking"'))
    began = time.monotonic()
    muted = await down(office, "booking")
    assert time.monotonic() - began < 1.0
    assert await told(office, muted) == 0
    ((by, detail),) = await decided(office, muted, Why.SILENCED)
    assert by == made["id"]
    assert detail == f"silenced by alice until {made['endsAt']}: new disks"
    assert await told(office, await down(office, "mail")) == 1

    async with opened(office.app.state.service.settings) as again:  # another process, with nothing in its memory
        assert (await again.call("GET", f"{SILENCES}/{made['id']}"))["state"] == "active"
        assert await told(again, await down(again, "booking", "rome")) == 0
        await again.call("DELETE", f"{SILENCES}/{made['id']}", 204)

        async def is_told() -> bool:
            return await told(again, muted) == 1

        await eventually(is_told, 10)
        assert await told(again, await down(again, "booking", "oslo")) == 1


async def test_a_silence_from_its_making_to_its_end(office: Office) -> None:
    await down(office, "booking")
    await down(office, "mail")
    made = await office.call("POST", SILENCES, 201, json=silence('service="booking"', 'site=~"paris|rome"'))
    assert (made["state"], made["createdBy"], made["version"], made["recurrence"]) == ("active", "alice", 1, None)
    assert made["matchers"] == ['service="booking"', 'site=~"paris|rome"']
    assert made["wouldHaveMuted"] == {"alerts": 1, "rules": 1, "firings": 1}
    path = f"{SILENCES}/{made['id']}"

    extended = await office.call("POST", f"{path}/extend", json={"endsAt": "now+5h"}, headers={"if-match": '"1"'})
    assert extended["endsAt"] > made["endsAt"]
    late = await office.call("POST", f"{path}/extend", 409, json={"endsAt": "now+1h"}, headers={"if-match": '"1"'})
    assert "alice changed it" in late["detail"]
    bob = person("bob")
    commented = {**silence(*made["matchers"]), "comment": "still new disks"}
    changed = await office.call("PUT", path, by=bob, json=commented)
    assert (changed["id"], changed["version"], changed["startsAt"]) == (made["id"], 3, made["startsAt"])
    assert (changed["createdBy"], changed["updatedBy"]) == ("alice", "bob")

    other = await office.call("PUT", path, json=silence('service="mail"'))
    assert other["id"] != made["id"], "what was muted stays explained"
    assert (await office.call("GET", path))["state"] == "expired"
    await office.call("POST", f"{path}/extend", 409, json={"endsAt": "now+1h"})
    again = await office.call("PUT", path, json=silence('service="booking"'))
    assert again["id"] not in (made["id"], other["id"])
    await office.call("DELETE", path, 204)
    listed = await office.call("GET", SILENCES, params={"limit": 1})
    assert [one["id"] for one in listed["silences"]] == [other["id"]]
    rest = await office.call("GET", SILENCES, params={"limit": 1, "cursor": listed["nextCursor"]})
    assert ([one["id"] for one in rest["silences"]], rest["nextCursor"]) == ([again["id"]], None)
    expired = await office.call("GET", SILENCES, params={"state": "expired"})
    assert [one["id"] for one in expired["silences"]] == [made["id"]]
    found = await office.call("GET", SILENCES, params={"matcher": 'service="mail"'})
    assert [one["id"] for one in found["silences"]] == [other["id"]]
    await office.call("GET", f"{SILENCES}/{other['id']}", 404, by=person("eve", Role.ADMIN, ACME.__class__("beta")))
    actions = [one.action.value for one in (await audited(office)) if one.target == made["id"]]
    assert actions.count("silence.changed") == 2


async def audited(office: Office) -> Any:
    from vigie_identity.pages import PageRequest

    return (await office.resources.audit.page(ACME, PageRequest(100, None))).items


async def test_bad_silences_are_refused_with_a_sentence(office: Office) -> None:
    weekly = {"rrule": "FREQ=WEEKLY;BYDAY=SU", "duration": "2h", "timeZone": "Europe/Paris"}
    for body, field in (
        (silence('host="a"', endsAt="now-1h"), "endsAt"),
        (silence('host="a"', comment=" "), "comment"),
        (silence('host=~"(?=a)"'), "matchers"),
        (silence("host"), "matchers"),
        (silence('host=""'), "matchers"),
        (silence('host="a"', recurrence={**weekly, "rrule": "FREQ=SECONDLY"}), "recurrence.rrule"),
        (
            silence('host="a"', recurrence={**weekly, "rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}),
            "recurrence.rrule",
        ),
        (silence('host="a"', recurrence={**weekly, "duration": "soon"}), "recurrence.duration"),
        (silence('host="a"', recurrence={**weekly, "timeZone": "Mars"}), "recurrence.timeZone"),
    ):
        refused = await office.call("POST", SILENCES, 422, json=body)
        assert [one["field"] for one in refused["errors"]] == [field], refused
    made = await office.call("POST", SILENCES, 201, json={**silence('host="a"', recurrence=weekly), "endsAt": None})
    assert made["endsAt"] is None
    assert made["recurrence"] == weekly


async def test_nobody_mutes_everything_by_mistake_and_a_preview_tells_what_would_be(office: Office) -> None:
    first = await down(office, "booking")
    await down(office, "mail", rule="site_down")
    refused = await office.call("POST", SILENCES, 409, json=silence('alertname=~".+"'))
    assert "would mute everything: none of the matchers narrows" in refused["detail"]
    refused = await office.call("POST", SILENCES, 409, json=silence('host="web-1"'))
    assert "all 2 alerts of 2 rules" in refused["detail"]
    await office.call("POST", SILENCES, 201, json=silence('host="web-1"', confirm=True))

    preview = await office.call("POST", f"{SILENCES}/preview", json={"matchers": ['alertname="service_down"']})
    assert (preview["alerts"], preview["firings"], preview["mutesNow"]) == (2, 2, 1)
    assert preview["wouldHaveMuted"] == {"alerts": 1, "rules": 1, "firings": 1}
    assert (preview["everything"], preview["complete"]) == ("", True)
    assert [one["id"] for one in preview["examples"]] == [first.fingerprint]
    window = {"matchers": ['alertname="service_down"'], "comment": "backups", "endsAt": "now+1h"}
    refused = await office.call("PUT", "/api/alerts/maintenance/all", 409, json={**window, "matchers": ['host!=""']})
    assert "confirm" in refused["detail"]


async def test_a_user_silences_alerts_of_the_own_sites_only(office: Office) -> None:
    uma = person("uma", Role.USER, sites=frozenset({"paris"}))
    refused = await office.call("POST", SILENCES, 403, by=uma, json=silence('service="booking"'))
    assert "your own sites" in refused["detail"]
    await office.call("POST", SILENCES, 403, by=uma, json=silence('site=~"paris|rome"'))
    mine = await office.call("POST", SILENCES, 201, by=uma, json=silence('site="paris"', 'service="booking"'))
    rome = await office.call("POST", SILENCES, 201, json=silence('site="rome"'))
    info = await office.call("POST", SILENCES, 201, json=silence('severity="info"'))
    listed = await office.call("GET", SILENCES, by=uma)
    assert [one["id"] for one in listed["silences"]] == [mine["id"], info["id"]]
    await office.call("GET", f"{SILENCES}/{rome['id']}", 404, by=uma)
    await office.call("DELETE", f"{SILENCES}/{rome['id']}", 404, by=uma)
    await office.call("DELETE", f"{SILENCES}/{info['id']}", 403, by=uma)
    await office.call("PUT", f"{SILENCES}/{mine['id']}", 403, by=uma, json=silence('site="rome"'))
    await office.call("DELETE", f"{SILENCES}/{mine['id']}", 204, by=uma)
    reader = person("rita", Role.READONLY, sites=frozenset({"paris"}))
    await office.call("POST", SILENCES, 403, by=reader, json=silence('site="paris"'))
    await office.call("POST", SILENCES, 201, by=key(Scope.CONFIGURE), json=silence('service="any"'))
    await office.call("PUT", "/api/alerts/maintenance/x", 403, by=uma, json=silence('site="paris"'))


async def test_a_key_that_configures_changes_the_silences_that_it_makes(office: Office) -> None:
    await down(office, "booking")
    await down(office, "mail")
    ci = key(Scope.CONFIGURE)
    preview = await office.call("POST", f"{SILENCES}/preview", by=ci, json={"matchers": ['site="paris"']})
    assert (preview["alerts"], preview["mutesNow"], preview["wouldHaveMuted"]["alerts"]) == (2, 2, 2)
    made = await office.call("POST", SILENCES, 201, by=ci, json=silence('site="paris"', 'service="booking"'))
    path = f"{SILENCES}/{made['id']}"
    await office.call("POST", f"{path}/extend", by=ci, json={"endsAt": "now+5h"})
    await office.call("PUT", path, by=ci, json=silence('site="paris"', 'service="booking"'))
    await office.call("DELETE", path, 204, by=ci)
    await office.call("DELETE", f"/api/v2/silence/{made['id']}", 200, by=ci)


async def test_whoever_makes_a_silence_is_told_what_the_preview_tells(office: Office) -> None:
    await down(office, "booking")
    await down(office, "mail", rule="site_down")
    await down(office, "mail", site="rome")
    uma = person("uma", Role.USER, sites=frozenset({"paris"}))
    preview = await office.call("POST", f"{SILENCES}/preview", by=uma, json={"matchers": ['site="paris"']})
    assert "all 2 alerts of 2 rules" in preview["everything"]
    refused = await office.call("POST", SILENCES, 409, by=uma, json=silence('site="paris"'))
    assert preview["everything"] in refused["detail"]


async def test_maintenance_mutes_under_its_name_and_is_changed_in_its_place(office: Office) -> None:
    path = "/api/alerts/maintenance/backup%2Fnightly"
    daily = {"rrule": "FREQ=DAILY", "duration": "1h"}
    body = {"matchers": ['service="db"'], "comment": "backups", "recurrence": daily}
    made = await office.call("PUT", path, 201, json=body)
    assert (made["name"], made["state"], made["endsAt"]) == ("backup/nightly", "active", None)
    held = await down(office, "db")
    assert await told(office, held) == 0
    ((by, detail),) = await decided(office, held, Why.MAINTENANCE)
    assert by == "backup/nightly"
    assert detail == f"in the maintenance 'backup/nightly' until {made['changesAt']}: backups"
    changed = await office.call("PUT", path, json={**body, "comment": "longer"}, headers={"if-match": '"1"'})
    assert (changed["version"], changed["createdBy"]) == (2, "alice")
    assert changed["startsAt"] == made["startsAt"], "its rule goes by it"
    await office.call("PUT", path, 409, json=body, headers={"if-match": '"1"'})
    assert [one["name"] for one in (await office.call("GET", "/api/alerts/maintenance"))["windows"]] == [made["name"]]
    await office.call("DELETE", path, 204)
    await office.call("GET", path, 404)

    async def is_told() -> bool:
        return await told(office, held) == 1

    await eventually(is_told, 10)


async def test_an_inhibition_mutes_what_another_alert_says(office: Office) -> None:
    path = "/api/alerts/inhibitions/site"
    body = {
        "sourceMatchers": ['alertname="site_down"'],
        "targetMatchers": ['alertname="service_down"'],
        "equal": ["host", "site"],
    }
    assert (await office.call("PUT", path, 201, json=body))["equal"] == ["host", "site"]
    source = await down(office, "any", rule="site_down")
    target = await down(office, "booking")
    elsewhere = await down(office, "booking", "rome")
    assert (await told(office, source), await told(office, target), await told(office, elsewhere)) == (1, 0, 1)
    ((by, detail),) = await decided(office, target, Why.INHIBITED)
    assert by == "site"
    assert detail == f"inhibited by 'site' while site_down ({source.fingerprint}) fires"
    refused = await office.call("PUT", path, 422, json={**body, "sourceMatchers": ['host=~"("']})
    assert refused["errors"][0]["field"] == "sourceMatchers"
    await office.call("DELETE", path, 204)


async def test_time_intervals_are_kept_by_name_while_routes_name_them(office: Office) -> None:
    path = "/api/alerts/time-intervals/office%20hours"
    part = {"weekdays": ["monday:friday"], "times": [{"startTime": "09:00", "endTime": "17:00"}]}
    body = {"timeIntervals": [{**part, "location": "Europe/Paris"}]}
    made = await office.call("PUT", path, 201, json=body)
    assert made["timeIntervals"][0]["weekdays"] == ["monday:friday"]
    assert made["timeIntervals"][0]["times"] == part["times"]
    assert made["changesAt"]
    refused = await office.call("PUT", path, 422, json={"timeIntervals": [{"weekdays": ["monday:sunday"]}]})
    assert refused["errors"][0]["field"] == "timeIntervals[0].weekdays[0]"
    route = {"route": {"receiver": "ops", "routes": [{"matchers": ['team="db"'], "muteTimes": ["office hours"]}]}}
    tree = {**route, "receivers": {"ops": {"channels": [{"type": "live", "destination": ""}]}}}
    await office.call("PUT", "/api/alerts/routes", json=tree)
    assert "routes name" in (await office.call("DELETE", path, 409))["detail"]
    await office.call("DELETE", path, 204, params={"force": True})
