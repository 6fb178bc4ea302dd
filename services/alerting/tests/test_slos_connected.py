"""Objectives over HTTP: with their rules all or nothing, and budgets by what was measured."""

from __future__ import annotations

from typing import Any

import pytest
from vigie_contracts.alerts import Rule
from vigie_identity.permissions import Role

from services.alerting.tests.office import ACME, Office, person

pytestmark = pytest.mark.connected

SLOS = "/api/slos"
BODY: dict[str, Any] = {
    "objective": 99.9,
    "window": "30d",
    "errors": 'http_requests_total{service="booking",status=~"5.."}',
    "total": 'http_requests_total{service="booking"}',
    "labels": {"team": "web"},
    "notificationChannels": [{"type": "slack", "destination": "#alerts"}],
}


NOBODY = {"type": "channel", "destination": "nobody"}


async def rules_of(office: Office, name: str) -> list[Rule]:
    return [one for one in await office.resources.stores.rules.all(ACME) if one.managed_by == f"slo/{name}"]


async def test_an_objective_lives_with_its_rules_from_post_to_delete(office: Office) -> None:
    made = await office.call("POST", SLOS, 201, json={"name": "booking", **BODY})
    assert (made["version"], made["updatedBy"], made["warnings"], made["window"]) == (1, "alice", [], "30d")
    rules = await rules_of(office, "booking")
    assert sorted(rule.id for rule in rules) == sorted(made["rules"])
    assert len(rules) == 9
    await office.call("POST", SLOS, 409, json={"name": "booking", **BODY})

    page = next(rule for rule in rules if rule.id.endswith("critical"))
    path = f"/api/alerts/rules/{page.id}"
    shown = await office.call("GET", path)
    assert (shown["managedBy"], shown["severity"]) == ("slo/booking", "critical")
    told = await office.call("PATCH", path, 409, json={"severity": "info"})
    assert told["detail"] == "the rule belongs to the slo 'booking', and changes with it: change that"
    await office.call("DELETE", path, 409)
    assert "slo:" not in await office.call("GET", "/api/alerts/rules/export")

    bob = person("bob")
    changed = await office.call(
        "PUT", f"{SLOS}/booking", by=bob, json={**BODY, "objective": 85.0}, headers={"if-match": '"1"'}
    )
    assert (changed["version"], changed["updatedBy"], len(changed["warnings"])) == (2, "bob", 1)
    late = await office.call("PUT", f"{SLOS}/booking", 409, json=BODY, headers={"if-match": '"1"'})
    assert "at version 2 now, bob changed it" in late["detail"]
    after = {rule.id: rule for rule in await rules_of(office, "booking")}
    assert (after[page.id].version, after[page.id].updated_by) == (2, "bob")
    recorded = [rule.version for rule in after.values() if rule.record]
    assert recorded == [1] * 7, "what does not change has no new version"

    listed = await office.call("GET", SLOS)
    assert [one["name"] for one in listed["slos"]] == ["booking"]
    await office.call("DELETE", f"{SLOS}/booking", 409, headers={"if-match": '"1"'})
    await office.call("DELETE", f"{SLOS}/booking", 204)
    await office.call("GET", f"{SLOS}/booking", 404)
    assert await rules_of(office, "booking") == []
    again = await office.call("POST", SLOS, 201, json={"name": "booking", **BODY})
    assert again["version"] > 2, "its versions go on"


@pytest.mark.parametrize(
    ("more", "field", "reason"),
    [
        ({"objective": 100}, "objective", "100 % leaves no error budget: the first error would miss it"),
        ({"window": "500d"}, "window", "longer than measurements are kept: 400 days"),
        ({"window": "a month"}, "window", "is no duration"),
        ({"total": "sum(http_requests_total)"}, "total", "must be the selector of a counter"),
        ({"name": "数据库"}, "name", "must have letters, digits, . _ and -"),
        ({"name": "a\r\nx: y"}, "name", "must have letters, digits, . _ and -"),
        ({"notificationChannels": [NOBODY]}, "notificationChannels[0].destination", "no channel named"),
    ],
)
async def test_an_impossible_objective_is_refused_with_its_reason(
    office: Office, more: dict[str, Any], field: str, reason: str
) -> None:
    answer = await office.call("POST", SLOS, 422, json={"name": "impossible", **BODY, **more})
    assert [one["field"] for one in answer["errors"]] == [field]
    assert reason in answer["detail"]
    assert await rules_of(office, "impossible") == []


async def test_only_who_configures_may_change_objectives(office: Office) -> None:
    await office.call("POST", SLOS, 403, by=person("carol", Role.USER), json={"name": "x", **BODY})


async def test_an_objective_without_measurements_has_its_whole_budget(office: Office) -> None:
    await office.call("POST", SLOS, 201, json={"name": "quiet", **BODY, "by": ["service"]})
    found = await office.call("GET", f"{SLOS}/quiet")
    assert (found["budgets"], found["groups"], found["problem"]) == ([], 0, "")
