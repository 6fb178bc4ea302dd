"""/api/oncall on real servers: from an alert that fires to who is told, and everything that can be wrong with it."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from icalendar import Calendar
from vigie_alerting.api.oncall import routes, schemas
from vigie_alerting.schedules import rotation
from vigie_identity.permissions import Role, Scope
from vigie_storage.alerts.document import State

from services.alerting.tests.office import ACME, Office, key, person
from tests.kit.wait import eventually

pytestmark = pytest.mark.connected

ONCALL = "/api/oncall"
LAYER = {"name": "weekly", "people": ["ana", "ben"], "start": "2026-03-23", "handoff": "09:00"}
SCHEDULE = {"timezone": "Europe/Paris", "layers": [LAYER]}
CHAIN: dict[str, Any] = {"steps": [{"notify": [{"type": "schedule", "name": "db"}]}]}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("schedules/x", {**SCHEDULE, "layers": []}, "layers"),
    ("schedules/x", {**SCHEDULE, "timezone": "Mars/Olympus"}, "Mars/Olympus"),
    ("schedules/x", {**SCHEDULE, "layers": [{**LAYER, "people": ["zoe"]}]}, "zoe"),
    ("schedules/x", {**SCHEDULE, "layers": [{**LAYER, "handoff": "25:00"}]}, "handoff"),
    ("schedules/x", {**SCHEDULE, "layers": [{**LAYER, "rotation": {"every": 0}}]}, "every"),
    ("schedules/x", {**SCHEDULE, "layers": [LAYER, LAYER]}, "weekly"),
    ("people/x", {}, "email"),
    ("people/x", {"email": "nobody"}, "email"),
    ("people/x", {"email": "j\u00fcrgen@example.com"}, "email"),
    ("people/x", {"channels": ["none"]}, "none"),
    ("chains/x", {"steps": []}, "steps"),
    ("chains/x", {"steps": [{"notify": [{"type": "chain", "name": "x"}]}]}, "type"),
    ("chains/x", {"steps": [{"notify": [{"type": "schedule", "name": "none"}]}]}, "none"),
    ("chains/x", {**CHAIN, "repeat": 3, "repeatAfter": "0s"}, "without a pause"),
    ("chains/x", {**CHAIN, "repeat": 1_000}, "repeat"),
    ("chains/x", {"steps": [{**CHAIN["steps"][0], "after": "a while"}]}, "steps[0].after"),
]


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def people(office: Office) -> None:
    """ana and ben, who are reached by mail, and the schedule of both."""
    for name in ("ana", "ben"):
        await office.call("PUT", f"{ONCALL}/people/{name}", json={"email": f"{name}@example.com"})
    await office.call("PUT", f"{ONCALL}/schedules/db", json=SCHEDULE)


async def test_who_is_on_call_until_when_and_who_is_next(office: Office) -> None:
    asked = {"at": "2026-03-30T06:59:59Z"}
    (now,) = (await office.call("GET", ONCALL, params=asked, by=person("reader", Role.READONLY)))["schedules"]
    assert now == {
        "schedule": "db",
        "timezone": "Europe/Paris",
        "person": "ana",
        "by": "weekly",
        "until": "2026-03-30T07:00:00.000Z",
        "next": {"person": "ben", "at": "2026-03-30T07:00:00.000Z"},
    }
    await office.call("GET", f"{ONCALL}/schedules", 403, by=person("reader", Role.READONLY))
    await office.call("PUT", f"{ONCALL}/schedules/db", 403, json=SCHEDULE, by=key(Scope.READ))


async def test_a_schedule_is_tried_with_its_overrides_and_nothing_is_stored(office: Office) -> None:
    path = f"{ONCALL}/schedules/db"
    await office.call("POST", f"{path}/overrides", 201, json={"person": "ana", "to": "now+2h"})
    before = await office.call("GET", path)
    weekend = {"weekdays": ["saturday", "sunday"], "from": "00:00", "to": "24:00"}
    tried = {**SCHEDULE, "layers": [{**LAYER, "people": ["ben"], "restrictions": [weekend]}]}
    found = await office.call("POST", f"{path}/preview", json=tried, params={"to": "now+14d"})
    assert (found["shifts"][0]["person"], found["shifts"][0]["override"]) == ("ana", True)
    assert {one["person"] for one in found["shifts"][1:]} == {"ben"}
    assert found["gaps"]
    new = await office.call("POST", f"{ONCALL}/schedules/new/preview", json=SCHEDULE)
    assert new["gaps"] == []
    assert await office.call("GET", path) == before
    await office.call("GET", f"{ONCALL}/schedules/new", 404)
    unknown = {**SCHEDULE, "layers": [LAYER, {**LAYER, "name": "other", "people": ["zoe"]}]}
    refused = await office.call("POST", f"{path}/preview", 422, json=unknown)
    assert refused["errors"][0]["field"] == "layers[1].people"
    await office.call("POST", f"{path}/preview", 422, json=SCHEDULE, params={"to": "now+400d"})
    await office.call("POST", f"{path}/preview", 403, json=SCHEDULE, by=person("reader", Role.READONLY))


async def test_shifts_overrides_and_gaps_are_shown(office: Office) -> None:
    asked = {"from": "2026-03-23T08:00:00Z", "to": "2026-04-06T07:00:00Z"}
    found = await office.call("GET", f"{ONCALL}/schedules/db/shifts", params=asked)
    assert [(one["person"], one["from"]) for one in found["shifts"]] == [
        ("ana", "2026-03-23T08:00:00.000Z"),
        ("ben", "2026-03-30T07:00:00.000Z"),
    ]
    assert found["gaps"] == []
    made = await office.call(
        "POST", f"{ONCALL}/schedules/db/overrides", 201, json={"person": "ana", "to": "now+2h", "note": "swap"}
    )
    shown = await office.call("GET", f"{ONCALL}/schedules/db")
    assert (shown["now"]["person"], shown["now"]["by"], shown["version"]) == ("ana", made["id"], 2)
    office_hours = {**LAYER, "restrictions": [{"weekdays": ["monday"], "from": "09:00", "to": "17:00"}]}
    changed = await office.call(
        "PUT", f"{ONCALL}/schedules/db", json={**SCHEDULE, "layers": [office_hours]}, headers={"If-Match": '"2"'}
    )
    assert len(changed["gaps"]) >= 4
    assert changed["overrides"] == [made], "they stay"
    await office.call("DELETE", f"{ONCALL}/schedules/db/overrides/{made['id']}", 204)
    await office.call("DELETE", f"{ONCALL}/schedules/db/overrides/{made['id']}", 404)
    warned = await office.call("PUT", f"{ONCALL}/chains/db", json=CHAIN)
    assert "nobody is on call in 'db' from" in warned["warnings"][0]


async def test_two_who_change_one_schedule_are_told(office: Office) -> None:
    await office.call("PUT", f"{ONCALL}/schedules/db", json=SCHEDULE, headers={"If-Match": '"1"'})
    refused = await office.call("PUT", f"{ONCALL}/schedules/db", 409, json=SCHEDULE, headers={"If-Match": '"1"'})
    assert "at version 2 now, alice changed it" in refused["detail"]
    await office.call("PUT", f"{ONCALL}/schedules/db", 409, json=SCHEDULE, headers={"If-Match": '"0"'})
    await office.call("DELETE", f"{ONCALL}/schedules/db", 409, headers={"If-Match": '"1"'})
    added = {"person": "ana", "to": "now+1h"}
    url = f"{ONCALL}/schedules/db/overrides"
    await asyncio.gather(*(office.call("POST", url, 201, json=added) for _ in range(3)))
    assert len((await office.call("GET", f"{ONCALL}/schedules/db"))["overrides"]) == 3


async def test_what_cannot_work_is_refused_with_its_place(office: Office) -> None:
    for path, body, words in WRONG:
        refused = await office.call("PUT", f"{ONCALL}/{path}", 422, json=body)
        assert words in str(refused), (path, body)


async def test_overrides_in_the_past_and_backwards_are_refused(office: Office) -> None:
    url = f"{ONCALL}/schedules/db/overrides"
    for start, end in (("now-2h", "now-1h"), ("now+2h", "now+1h"), ("now", "soon")):
        await office.call("POST", url, 422, json={"person": "ana", "from": start, "to": end})
    await office.call("GET", f"{ONCALL}/schedules/db/shifts", 422, params={"from": "now", "to": "now-1h"})


async def test_a_calendar_app_subscribes_by_a_secret_address(office: Office) -> None:
    shared = (await office.call("POST", f"{ONCALL}/schedules/db/calendar", 201))["url"]
    path = shared.removeprefix("http://alerting")
    answer = await office.http.get(path)
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    events = Calendar.from_ical(answer.text).walk("VEVENT")
    assert {str(one["SUMMARY"]) for one in events} == {"ana on call (db)", "ben on call (db)"}
    now = datetime.now(UTC)
    assert sum(one.start <= now < one.end for one in events) == 1
    again = Calendar.from_ical((await office.http.get(path)).text).walk("VEVENT")
    assert [one["UID"] for one in again] == [one["UID"] for one in events]
    wrong = (path[:-3] + "xyz", path.partition("?")[0], path.replace("acme.", "rival."), path.replace("/db/", "/x/"))
    assert {(await office.http.get(one)).status_code for one in wrong} == {404}
    await office.call("DELETE", f"{ONCALL}/schedules/db/calendar", 204)
    assert (await office.http.get(path)).status_code == 404


async def test_shifts_are_worked_out_beside_the_loop_and_once_for_each_schedule(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = (await office.call("POST", f"{ONCALL}/schedules/db/calendar", 201))["url"]
    for name in ("a", "b", "c"):
        await office.call("PUT", f"{ONCALL}/chains/{name}", json=CHAIN)
    threads: list[str] = []

    def watched(*args: Any) -> list[rotation.Shift]:
        threads.append(threading.current_thread().name)
        return rotation.shifts(*args)

    for module in (routes, schemas):  # what tells of hand-overs asks the same meanwhile
        monkeypatch.setattr(module, "rotation", SimpleNamespace(shifts=watched, gaps=rotation.gaps, now=rotation.now))
    await office.call("GET", f"{ONCALL}/chains")
    assert len(threads) == 1
    for path in ("chains/a", "schedules/db", "schedules/db/shifts"):
        await office.call("GET", f"{ONCALL}/{path}")
    await office.call("PUT", f"{ONCALL}/chains/a", json=CHAIN)
    await office.call("PUT", f"{ONCALL}/schedules/db", json=SCHEDULE)
    calendar = await office.http.get(shared.removeprefix("http://alerting"))
    assert calendar.headers["cache-control"] == "private, max-age=300"
    assert len(threads) == 7
    assert threading.current_thread().name not in threads


async def test_an_alert_that_a_route_gives_to_a_chain_pages_who_is_on_call_until_somebody_has_it(
    office: Office,
) -> None:
    later = {"after": "30m", "notify": [{"type": "person", "name": "ben"}]}
    await office.call("PUT", f"{ONCALL}/schedules/db", json={**SCHEDULE, "layers": [{**LAYER, "people": ["ana"]}]})
    await office.call("PUT", f"{ONCALL}/chains/db", json={"steps": [*CHAIN["steps"], later]})
    tree = {"route": {"receiver": "db"}, "receivers": {"db": {"escalation": "db"}}}
    await office.call("PUT", "/api/alerts/routes", json=tree)
    refused = await office.call("DELETE", f"{ONCALL}/chains/db", 409)
    assert "receiver 'db' of the routes" in refused["detail"]
    rules = {one.name: one for one in await office.resources.stores.rules.all(ACME)}
    fired = await office.fires(rules["service_down"], (("host", "a"),), 0.0, int(datetime.now(UTC).timestamp() * 1000))

    async def paged() -> bool:
        found = await office.resources.stores.outbox.of_alert(ACME, fired.fingerprint)
        return [(one.address.destination, one.state is not State.SENT) for one in found] == [("ana@example.com", True)]

    await eventually(paged)
    row = await office.resources.stores.escalations.of_alert(ACME, fired.fingerprint)
    assert [(one.chain, one.open, one.due is not None) for one in row] == [("db", True, True)]
    url = f"/api/alerts/{fired.fingerprint}"
    await office.call("POST", f"{url}/escalate", 404, by=person("stranger", Role.USER))
    await office.call("POST", f"{url}/escalate", 403, by=key(Scope.READ))
    escalated = await office.call("POST", f"{url}/escalate", by=person("bob"))
    assert escalated == {"steps": [{"chain": "db", "step": 2}]}

    async def escalates() -> bool:
        why = (await office.call("GET", f"{url}/history"))["why"]
        return any("bob escalated it, step 2 of 2 of the chain 'db': told: ben" in one["sentence"] for one in why)

    await eventually(escalates)
    refused = await office.call("POST", f"{url}/escalate", 409)
    assert "the chain 'db' is done" in refused["detail"]
