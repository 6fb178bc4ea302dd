"""The reads of one tenant's node telemetry, over a real MongoDB with the documents that are kept of reports."""

from datetime import UTC, datetime
from typing import Any

import pytest
from vigie_api.settings import ApiSettings
from vigie_contracts.days import to_datetime
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM
from vigie_identity.permissions import Role, Scope
from vigie_identity.tenants import Status
from vigie_storage.reports import reader

from tests.kit.nodes import NodeReport, report

from .nodes_guide import AGGREGATED, HISTORY, LATEST, SUMMARY, TRENDS
from .nodes_platform import ACME, DAY, HOUR, MINUTE, NOW, RIVAL, Platform, mean, metrics, token

pytestmark = pytest.mark.connected


GUIDE = {
    "HistoryAnswer": HISTORY, "LatestAnswer": LATEST, "AggregatedAnswer": AGGREGATED, "GlobalSummaryAnswer": SUMMARY,
    "TrendsAnswer": TRENDS,
}  # fmt: skip


def shape(value: Any) -> Any:
    """Names in their order, nesting, and the kinds of values."""
    if isinstance(value, dict):
        return [(name, shape(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


async def test_the_answers_have_the_shape_of_the_guide(platform: Platform) -> None:
    whole = {"aiLatency": 247.5, "version": "1.2.0", "additionalData": {"cpuUsage": 45.2}}
    await platform.keep(*(report(ACME, NOW - i * 10 * MINUTE, 42 + i, 156, 86400, **whole) for i in range(1, 200)))
    assert shape(await platform.get(metrics(ACME), limit=50)) == shape(HISTORY)
    assert shape(await platform.get(metrics(ACME, "/latest"))) == shape(LATEST)
    assert shape(await platform.get(metrics(ACME, "/aggregated"), period="24h")) == shape(AGGREGATED)
    assert shape(await platform.get("/admin/global/summary")) == shape(SUMMARY)
    trends = await platform.get("/admin/global/usage-trends", days=7)
    assert trends.pop("timezone") == "UTC", "which the guide does not have"
    trends["trends"] = trends["trends"][:1]
    assert shape(trends) == shape(TRENDS)


async def test_a_report_comes_back_as_it_was_sent(platform: Platform) -> None:
    additional = {"cpuUsage": 45.2, "platform": "linux", "nested": {"list": [1, None, True, 2**40]}, "errorCount": 3}
    full = report(ACME, NOW - MINUTE, 42, 156, 86400.5, aiLatency=247.5, version="1.2.0", additionalData=additional)
    least = report(ACME, NOW - 2 * MINUTE)
    await platform.keep(full, least)
    assert await platform.get(metrics(ACME)) == {
        "tenantId": ACME,
        "tenantName": "acme-corp",
        "data": [
            {
                "id": full.id, "uptime": 86400.5, "activeUsers": 42, "exercisesCompletedToday": 156,
                "aiLatency": 247.5, "version": "1.2.0", "additionalData": additional,
                "timestamp": "2098-11-24T10:29:00.000Z",
            },
            {
                "id": least.id, "uptime": 60, "activeUsers": 1, "exercisesCompletedToday": 1,
                "aiLatency": None, "version": None, "additionalData": None,
                "timestamp": "2098-11-24T10:28:00.000Z",
            },
        ],
        "pagination": {"total": 2, "limit": 100, "offset": 0, "hasMore": False},
    }  # fmt: skip
    assert (await platform.get(metrics(ACME, "/latest")))["metric"] == {
        "id": full.id, "uptime": 86400.5, "activeUsers": 42, "exercisesCompletedToday": 156, "aiLatency": 247.5,
        "version": "1.2.0", "timestamp": "2098-11-24T10:29:00.000Z",
    }  # fmt: skip


async def test_pages_together_are_all_reports_newest_first(platform: Platform, reports: list[NodeReport]) -> None:
    same = [report(ACME, NOW - HOUR) for _ in range(5)]
    await platform.keep(*reports, *same)
    own = [one for one in (*reports, *same) if one.tenant == ACME]
    expected = [one.id for one in sorted(own, key=lambda one: (one.at, one.id), reverse=True)]
    found: list[str] = []
    while True:
        page = await platform.get(metrics(ACME), limit=250, offset=len(found))
        found += [one["id"] for one in page["data"]]
        assert page["pagination"]["total"] == len(expected)
        if not page["pagination"]["hasMore"]:
            break
    assert found == expected
    beyond = await platform.get(metrics(ACME), offset=len(found))
    assert (beyond["data"], beyond["pagination"]["hasMore"]) == ([], False)
    last = await platform.get(metrics(ACME), limit=1, offset=len(found) - 1)
    assert (last["data"][0]["id"], last["pagination"]["hasMore"]) == (expected[-1], False)


async def test_from_and_to_reach_what_offset_does_not(platform: Platform, reports: list[NodeReport]) -> None:
    await platform.keep(*reports)
    a, b = NOW - 20 * DAY, NOW - 10 * DAY
    expected = {one.id for one in reports if one.tenant == ACME and a <= one.at < b}
    page = await platform.get(metrics(ACME), from_=a, to="now-10d", limit=1000)
    assert {one["id"] for one in page["data"]} == expected
    assert page["pagination"]["total"] == len(expected)
    assert (await platform.get(metrics(ACME), to=b))["data"] == (await platform.get(metrics(ACME), from_=0, to=b))[
        "data"
    ]
    newest = await platform.get(metrics(ACME), from_=a, limit=1)
    assert newest["pagination"]["total"] == sum(one.tenant == ACME and one.at >= a for one in reports)


async def test_what_is_no_page_period_or_day_is_refused_with_the_bounds(platform: Platform) -> None:
    for path, parameters, field, words_ in (
        (metrics(ACME), {"limit": 100_000}, "limit", "1000"),
        (metrics(ACME), {"limit": 0}, "limit", "1"),
        (metrics(ACME), {"limit": "many"}, "limit", "whole number"),
        (metrics(ACME), {"offset": -1}, "offset", "0"),
        (metrics(ACME), {"offset": 100_001}, "offset", "give `to`"),
        (metrics(ACME), {"offset": 10**30}, "offset", "100000"),
        (metrics(ACME), {"from_": "now", "to": "now-1d"}, "from", "before to"),
        (metrics(ACME), {"to": "yesterday"}, "to", "RFC 3339"),
        (metrics(ACME, "/aggregated"), {"period": "8d"}, "period", "'24h', '7d' or '30d'"),
        ("/admin/global/usage-trends", {"days": 0}, "days", "1"),
        ("/admin/global/usage-trends", {"days": 91}, "days", "90"),
        ("/admin/global/usage-trends", {"days": "7d"}, "days", "whole number"),
        ("/admin/global/usage-trends", {"timezone": "America/New_York"}, "timezone", "UTC, Europe/Paris, Asia/Kolkata"),
        ("/admin/global/usage-trends", {"timezone": "Mars"}, "timezone", "UTC"),
    ):
        body = await platform.get(path, 422, **parameters)
        assert body["message"] == body["detail"]
        assert words_ in body["message"]
        assert body["errors"][0]["field"] == field


async def test_a_tenant_that_is_not_there_is_not_found(platform: Platform) -> None:
    for tenant in ("nobody", "not a tenant", "_platform", "x" * 65):
        for rest in ("", "/latest", "/aggregated"):
            body = await platform.get(metrics(tenant, rest), 404)
            assert body["message"] == "there is no such tenant"


async def test_a_tenant_without_reports_has_empty_answers_and_no_latest_one(platform: Platform) -> None:
    body = await platform.get(metrics(ACME, "/latest"), 404)
    assert body["message"] == "the tenant has not sent any telemetry yet"
    page = await platform.get(metrics(ACME))
    assert page["data"] == []
    assert page["pagination"] == {"total": 0, "limit": 100, "offset": 0, "hasMore": False}
    for period in ("24h", "7d", "30d"):
        answer = await platform.get(metrics(ACME, "/aggregated"), period=period)
        assert (answer["dataPoints"], set(answer["metrics"].values())) == (0, {None})
        assert set(answer["trend"].values()) == {"stable"}
    summary = await platform.get("/admin/global/summary")
    assert summary["tenants"] == {"total": 3, "active": 3, "inactive": 0, "withRecentData": 0}
    assert summary["health"] == {"healthy": 0, "warning": 0, "critical": 0, "noData": 3}
    assert summary["usage"]["averageAiLatency"] is None
    trends = await platform.get("/admin/global/usage-trends")
    assert (trends["period"], trends["dataPoints"], len(trends["trends"])) == ("30 days", 30, 30)
    assert set(trends["summary"].values()) == {None}
    assert trends["startDate"] == "2098-10-26T00:00:00.000Z"


async def test_an_inactive_tenant_can_still_be_looked_at(platform: Platform) -> None:
    await platform.identity.tenants.change(TenantId(ACME), SYSTEM, status=Status.INACTIVE)
    await platform.keep(report(ACME, NOW - MINUTE, users=7))
    assert (await platform.get(metrics(ACME, "/latest")))["metric"]["activeUsers"] == 7
    assert (await platform.get(metrics(ACME, "/aggregated")))["dataPoints"] == 1


async def test_only_those_who_look_after_the_platform_may_ask(platform: Platform) -> None:
    key = (await platform.identity.keys.create(TenantId(ACME), "reader", [Scope.READ], SYSTEM)).secret
    admin = token(Role.ADMIN, tenants=(ACME,))
    tenant = [metrics(ACME, rest) for rest in ("", "/latest", "/aggregated")]
    whole = ["/admin/global/summary", "/admin/global/usage-trends"]
    await platform.keep(report(ACME, NOW))
    for path in (*tenant, *whole):
        for role in (Role.SUPPORT, Role.SUPERADMIN):
            await platform.get(path, headers=token(role))
        await platform.get(path, 403, headers=admin)
        await platform.get(path, 403, headers={"x-api-key": key})
        await platform.get(path, 401, headers={"x-nothing": ""})
    for headers in (admin, {"x-api-key": key}):
        foreign = await platform.get(metrics(RIVAL), 404, headers=headers)
        absent = await platform.get(metrics("nobody"), 404, headers=headers)
        assert foreign["message"] == absent["message"]


def naive(reports: list[NodeReport], start: int) -> dict[str, Any]:
    """What the guide calls the metrics, from all reports of the period."""
    own = [one.body for one in reports if one.tenant == ACME and start <= one.at < NOW]
    users, exercises = [one["activeUsers"] for one in own], [one["exercisesCompletedToday"] for one in own]
    latency = [one["aiLatency"] for one in own if "aiLatency" in one]
    return {
        "avgUptime": mean([one["uptime"] for one in own]),
        "avgActiveUsers": mean(users),
        "avgExercisesPerDay": mean(exercises),
        "avgAiLatency": mean(latency),
        "maxActiveUsers": max(users),
        "maxExercises": max(exercises),
        "maxAiLatency": max(latency),
        "minActiveUsers": min(users),
        "minExercises": min(exercises),
        "minAiLatency": min(latency),
        "totalExercises": sum(exercises),
    }


async def test_aggregated_is_exact_to_the_millisecond(platform: Platform, reports: list[NodeReport]) -> None:
    await platform.keep(*reversed(reports), *reports[::3])  # late ones, and some twice
    # A report of something else than a node, in every hour that is read from reports.
    others = [{"_id": f"o{i}", "tenant": ACME, "kind": "app", "at": to_datetime(one.at), "body": one.body}
              for i, one in enumerate(reports) if one.tenant == ACME]  # fmt: skip
    await platform.database["reports"].insert_many(others)
    for period, length in (("24h", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY)):
        answer = await platform.get(metrics(ACME, "/aggregated"), period=period)
        assert (answer["startDate"], answer["endDate"]) == (iso(NOW - length), iso(NOW))
        assert answer["dataPoints"] == sum(one.tenant == ACME and NOW - length <= one.at < NOW for one in reports)
        assert answer["metrics"] == pytest.approx(naive(reports, NOW - length))
    week = await platform.get(metrics(ACME, "/aggregated"))
    assert week["period"] == "7d"


def iso(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%S.000Z}"


async def test_trends_compare_the_halves_of_the_period(platform: Platform) -> None:
    half = NOW - DAY // 2
    await platform.keep(
        report(ACME, half - 1, users=100, exercises=100, aiLatency=100),
        report(ACME, half, users=106, exercises=104, aiLatency=94),
    )
    answer = await platform.get(metrics(ACME, "/aggregated"), period="24h")
    assert answer["trend"] == {"activeUsers": "increasing", "exercises": "stable", "aiLatency": "decreasing"}
    # Of seven days both are in the second half: the first one is empty.
    assert set((await platform.get(metrics(ACME, "/aggregated")))["trend"].values()) == {"stable"}


async def test_one_report_is_its_own_average(platform: Platform) -> None:
    await platform.keep(report(ACME, NOW - MINUTE, 7, 3, 90))
    answer = await platform.get(metrics(ACME, "/aggregated"))
    assert answer["dataPoints"] == 1
    assert answer["metrics"]["avgActiveUsers"] == answer["metrics"]["maxActiveUsers"] == 7
    assert answer["metrics"]["avgAiLatency"] is None


async def test_hours_that_are_no_longer_kept_whole_count_whole(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [report(ACME, NOW - 30 * DAY + shift, users=5) for shift in (-20 * MINUTE, 20 * MINUTE)]
    await platform.keep(*old, report(ACME, NOW - MINUTE, users=9))
    monkeypatch.setattr(ApiSettings, "report_retention_ms", 7 * DAY)
    await platform.database["reports"].delete_many({"at": {"$lt": to_datetime(NOW - 7 * DAY)}})
    answer = await platform.get(metrics(ACME, "/aggregated"), period="30d")
    assert answer["dataPoints"] == 3
    assert answer["startDate"] == "2098-10-25T10:00:00.000Z"
    assert answer["trend"]["activeUsers"] == "increasing"


async def test_reads_look_at_little_more_than_they_answer(
    platform: Platform, reports: list[NodeReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the store holds besides: every pipeline goes through an index."""
    await platform.keep(*reports)
    aggregated = [one for one in reports if one.tenant == ACME]
    own_hours = len({one.at // HOUR for one in aggregated})
    database = platform.app.state.service.resources.node_reports._platform_days.database
    for path, parameters, collection, most in (
        (metrics(ACME), {"limit": 10, "offset": 500}, "reports", 10),
        (metrics(ACME, "/aggregated"), {"period": "30d"}, "telemetry_hours", own_hours),
        (metrics(ACME, "/aggregated"), {"period": "30d"}, "reports", 40),
        ("/admin/global/usage-trends", {"days": 3}, "telemetry_platform_days", 3 * 2),
    ):
        await database.command({"profile": 2, "slowms": 0})
        try:
            await platform.get(path, **parameters)
        finally:
            await database.command({"profile": 0})
        entries = await database["system.profile"].find({"command.aggregate": collection}).to_list()
        await database["system.profile"].drop()
        examined = [entry["docsExamined"] for entry in entries if "$group" in str(entry) or "$skip" in str(entry)]
        assert examined
        assert max(examined) <= most, f"{path} {collection}"


async def test_more_reports_than_can_be_counted_are_refused_with_a_way_out(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    await platform.keep(*(report(ACME, NOW - i * MINUTE) for i in range(5)))
    monkeypatch.setattr(reader, "COUNT_LIMIT", 4)
    body = await platform.get(metrics(ACME), 422)
    assert body["type"] == "/problems/limit-reached"
    assert body["errors"][0]["field"] == "from"
    assert (await platform.get(metrics(ACME), from_="now-2m"))["pagination"]["total"] == 3


async def test_the_documentation_names_every_parameter_answer_and_error(platform: Platform) -> None:
    document = (await platform.http.get("/openapi.json")).json()
    mine = ("/admin/tenant/", "/admin/global/")
    others = {"/admin/global/pipeline", "/admin/global/dead-letters"}
    paths = {path: item["get"] for path, item in document["paths"].items() if path.startswith(mine)}
    paths = {path: operation for path, operation in paths.items() if path not in others}
    assert len(paths) == 5
    for path, operation in paths.items():
        assert operation["description"], path
        assert all(parameter.get("description") for parameter in operation.get("parameters", []))
        errors = {"422", "503", "401", "403"} | ({"404"} if "{tenant}" in path else set[str]())
        assert set(operation["responses"]) >= {"200", *errors}, path
        ok = operation["responses"]["200"]["content"]["application/json"]
        guide = GUIDE[ok["schema"]["$ref"].rpartition("/")[2]]
        assert shape({name: value for name, value in ok["example"].items() if name != "timezone"}) == shape(guide)
        if guide is not TRENDS:  # whose numbers do not fit together
            assert ok["example"] == guide
        for status in errors - {"422", "503"}:
            example = operation["responses"][status]["content"]["application/problem+json"]["example"]
            assert example["status"] == int(status)
