"""/api/alerts/import on real MongoDB: for the record, once, and nobody is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from vigie_identity.permissions import Role, Scope

from services.alerting.tests.office import ACME, Office, key, person

pytestmark = pytest.mark.connected

PATH = "/api/alerts/import"


def alert(number: int, ago_s: float = 3600, **changes: Any) -> dict[str, Any]:
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=ago_s)
    return {
        "id": f"65f{number}", "type": "service_down", "severity": "error", "message": "api is stopped", "host": "web-1",
        "site": "shop", "service": "twoine-shop-api", "createdAt": began.isoformat(),
        "resolvedAt": (began + timedelta(seconds=60)).isoformat(), **changes,
    }  # fmt: skip


async def test_past_alerts_are_listed_with_their_history_once_and_nobody_is_told(office: Office) -> None:
    some = [alert(1, acknowledgedBy="ada", resolvedBy="bob"), alert(2, 7200), alert(3, 60, site="blog")]
    done = await office.call("POST", PATH, json={"alerts": some})
    assert done == {"imported": 3, "repeated": 0, "rejected": 0, "repeats": [], "errors": []}
    before = await office.call("GET", "/stats/alerts")
    assert before["counts"] == {"pending": 0, "active": 0, "acknowledged": 0, "resolved": 3}
    first = before["alerts"][1]
    assert (first["type"], first["severity"], first["message"]) == ("service_down", "error", "api is stopped")
    assert (first["site"], first["service"], first["status"]) == ("shop", "twoine-shop-api", "resolved")
    assert datetime.fromisoformat(first["createdAt"]) == datetime.fromisoformat(some[0]["createdAt"])
    assert datetime.fromisoformat(first["resolvedAt"]) == datetime.fromisoformat(some[0]["resolvedAt"])
    told = await office.call("GET", f"/api/alerts/{first['id']}/history")
    assert [(one["toState"], one["actor"]) for one in reversed(told["transitions"])] == [
        ("firing", ""), ("acknowledged", "ada"), ("resolved", "bob"),
    ]  # fmt: skip
    assert told["notifications"] == []
    lately = datetime.now(UTC) - timedelta(seconds=30)
    news = await office.resources.stores.ledger.since(ACME, lately, 100)
    assert {one.transition.labels["imported"] for one in news} <= {"65f3"}, "no news to who looks on, but what is new"
    assert {one["outcome"] for one in told["why"]} == {"not_told"}

    again = await office.call("POST", PATH, json={"alerts": [*some, alert(4)]}, by=key(Scope.CONFIGURE))
    assert (again["imported"], again["repeated"], again["repeats"]) == (1, 3, [0, 1, 2])
    after = (await office.call("GET", "/stats/alerts"))["alerts"]
    assert [one for one in after if one["labels"]["imported"] != "65f4"] == before["alerts"]
    mine = person("u", Role.USER, sites=frozenset({"blog"}))
    assert [one["site"] for one in (await office.call("GET", "/stats/alerts", by=mine))["alerts"]] == ["blog"]
    assert await office.resources.stores.states.due(0, 1 << 42, 10) == [], "the clock moves none of them"
    assert len(await office.resources.stores.states.page(ACME, {}, 10)) == 4


async def test_each_is_judged_alone_and_who_may_not_is_refused(office: Office) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    old, odd = alert(3, 10 * 86_400), alert(4, resolvedAt="2020-01-01T00:00:00Z")
    done = await office.call("POST", PATH, json={"alerts": [alert(1), alert(2, resolvedAt=later), old, odd, alert(1)]})
    assert (done["imported"], done["rejected"], done["repeats"]) == (1, 3, [4]), "twice in one request is once"
    assert [(one["index"], one["reason"].split(":")[0]) for one in done["errors"]] == [
        (1, "is in the future"), (2, "is more than 7 days ago"), (3, "is before createdAt"),
    ]  # fmt: skip
    for wrong in ({"severity": "awful"}, {"createdAt": "2026-01-01T00:00:00"}, {"host": "a/b"}, {"type": "a b"}):
        await office.call("POST", PATH, 422, json={"alerts": [alert(5, **wrong)]})
    await office.call("POST", PATH, 422, json={"alerts": [alert(n) for n in range(201)]})
    await office.call("POST", PATH, 422, json={"alerts": []})
    for caller in (person("u", Role.USER), key(Scope.READ), key(Scope.AGENT)):
        await office.call("POST", PATH, 403, json={"alerts": [alert(1)]}, by=caller)
