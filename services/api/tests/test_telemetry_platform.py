"""The reads of all nodes' telemetry together, over a real MongoDB with the documents that are kept of reports."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from vigie_contracts.days import day_of
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM
from vigie_identity.permissions import Role
from vigie_identity.tenants import Status
from vigie_storage.reports.reader import NodeReportReader

from tests.kit.nodes import NodeReport, every, report

from .nodes_platform import ACME, DAY, HOUR, MINUTE, NOW, RIVAL, ZONES, Platform, mean, token

pytestmark = pytest.mark.connected


def late(minutes: float, **additional: float) -> tuple[int, dict[str, Any]]:
    return NOW - round(minutes * MINUTE), {"additionalData": additional} if additional else {}


HEALTH = [
    ("healthy", late(0)), ("healthy", late(15)), ("warning", late(15.001)), ("warning", late(60)),
    ("critical", late(60.001)), ("critical", late(24 * 60)), ("noData", late(24 * 60 + 0.001)),
    ("healthy", late(1, cpuUsage=84.9, memoryUsage=84.9, diskUsage=84.9, errorCount=9)),
    ("warning", late(1, cpuUsage=85)), ("warning", late(1, memoryUsage=85)), ("warning", late(1, diskUsage=94.9)),
    ("critical", late(1, cpuUsage=95)), ("critical", late(1, memoryUsage=400)), ("critical", late(1, diskUsage=95)),
    ("warning", late(1, errorCount=10)),
    ("warning", (NOW, {"aiLatency": 1000})), ("healthy", (NOW, {"aiLatency": 999})),
    ("critical", late(61, errorCount=10)), ("noData", late(2000, cpuUsage=99)),
    ("healthy", late(-5)),  # a clock that is ahead of ours
]  # fmt: skip


async def test_the_summary_says_how_nodes_are_by_their_latest_report(platform: Platform) -> None:
    kept: list[NodeReport] = []
    for number, (_, (at, more)) in enumerate(HEALTH):
        tenant = await platform.tenant(f"t{number}")
        kept += [report(tenant, at - DAY, users=10**6), report(tenant, at, users=1, **more)]
    await platform.keep(*kept)
    answer = await platform.get("/admin/global/summary")
    expected = {health: sum(one == health for one, _ in HEALTH) for health in ("healthy", "warning", "critical")}
    assert answer["health"] == {**expected, "noData": sum(one == "noData" for one, _ in HEALTH) + 3}
    assert answer["tenants"]["withRecentData"] == sum(NOW - at <= HOUR for _, (at, _) in HEALTH)
    assert answer["usage"]["totalActiveUsers"] == sum(NOW - at <= DAY for _, (at, _) in HEALTH)
    assert answer["usage"]["averageAiLatency"] == 999.5
    assert answer["versions"] == [{"version": "unknown", "count": sum(expected.values())}]


async def test_the_summary_leaves_inactive_tenants_out(platform: Platform) -> None:
    for name in ("old", "older"):
        await platform.tenant(name, active=False)
    await platform.keep(
        report("old", NOW, 100, 100, 100, version="0.1"),
        report(ACME, NOW, 5, 6, 7, aiLatency=100.004, version="1.2.0"),
        report(RIVAL, NOW, 1, 2, 3.5, version="1.10.0"),
    )
    answer = await platform.get("/admin/global/summary")
    assert answer["tenants"] == {"total": 5, "active": 3, "inactive": 2, "withRecentData": 2}
    assert answer["usage"] == {
        "totalActiveUsers": 6, "totalExercisesCompletedToday": 8, "averageAiLatency": 100, "totalUptime": 10.5,
    }  # fmt: skip
    assert answer["health"] == {"healthy": 2, "warning": 0, "critical": 0, "noData": 1}
    assert answer["versions"] == [{"version": "1.10.0", "count": 1}, {"version": "1.2.0", "count": 1}]
    await platform.identity.tenants.change(TenantId("old"), SYSTEM, status=Status.ACTIVE)
    assert (await platform.get("/admin/global/summary"))["usage"]["totalActiveUsers"] == 106


async def test_a_tenant_that_is_deleted_stays_out_of_the_summary(platform: Platform) -> None:
    await platform.keep(report(ACME, NOW - MINUTE, 5, version="1"), report(RIVAL, NOW - MINUTE, 100, version="9"))
    rival = TenantId(RIVAL)
    await platform.identity.tenants.change(rival, SYSTEM, status=Status.INACTIVE)
    before = await platform.get("/admin/global/summary")
    await platform.identity.tenants.delete(rival, SYSTEM)
    after = await platform.get("/admin/global/summary")
    assert [answer["tenants"]["withRecentData"] for answer in (before, after)] == [1, 1]
    for part in ("usage", "health", "versions"):
        assert before[part] == after[part], part
    assert (after["health"]["healthy"], after["versions"]) == (1, [{"version": "1", "count": 1}])


async def test_the_summary_counts_licences_by_what_they_are_now(platform: Platform) -> None:
    now = datetime.fromtimestamp(NOW / 1000, UTC)
    for days in (1, 29, 30, 31, 400):
        await platform.identity.licences.give(TenantId(ACME), "nodes", now + timedelta(days=days), SYSTEM)
    ended = await platform.identity.licences.give(TenantId(RIVAL), "nodes", now + timedelta(days=9), SYSTEM)
    await platform.identity.licences.end(TenantId(RIVAL), ended.id, SYSTEM)
    answer = await platform.get("/admin/global/summary")
    assert answer["licenses"] == {"total": 6, "active": 5, "expired": 1, "expiringSoon": 3}


async def test_all_who_ask_at_once_share_one_summary(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    groups = NodeReportReader.groups

    async def counted(self: NodeReportReader, *arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return await groups(self, *arguments)

    monkeypatch.setattr(NodeReportReader, "groups", counted)
    headers = token(Role.SUPPORT)
    answers = await asyncio.gather(*(platform.http.get("/admin/global/summary", headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert asked == 1


def naive_days(reports: list[NodeReport], zone: str, count: int) -> list[dict[str, Any]]:
    """The days of the zone, newest first, from all reports."""
    days, day = [], day_of(zone, NOW)
    for _ in range(count):
        own = [one for one in reports if day.start_ms <= one.at < day.end_ms]
        users = [one.body["activeUsers"] for one in own]
        latency = [one.body["aiLatency"] for one in own if "aiLatency" in one.body]
        tenants = {one.tenant for one in own}
        best, reported, possible = 0, 0, 0
        for tenant in tenants:
            mine = [one for one in own if one.tenant == tenant]
            best += max(one.body["exercisesCompletedToday"] for one in mine)
            hours = {(one.at - day.start_ms) // HOUR for one in mine}
            current = (NOW - day.start_ms) // HOUR if day.end_ms > NOW else day.hours
            reported += len(hours)
            possible += len([hour for hour in range(min(hours), day.hours) if hour < current or hour in hours])
        days.append(
            {
                "date": day.name,
                "avgActiveUsers": mean(users),
                "totalExercises": best,
                "avgAiLatency": mean(latency),
                "tenantsReporting": len(tenants),
                "uptimePercentage": round(reported / possible * 100, 2) if possible else None,
            }
        )
        day = day_of(zone, day.start_ms - 1)
    return days


@pytest.mark.parametrize("zone", ZONES)
async def test_trends_are_those_of_all_reports_in_every_zone(
    platform: Platform, reports: list[NodeReport], zone: str
) -> None:
    # 31 days ago clocks changed in Paris; a third tenant has gaps.
    some = [report("default", one.at, users=3) for one in reports[::7]]
    kept = [one for one in (*reports, *some) if one.at < NOW]
    await platform.keep(*reversed(kept), *kept[::3])  # late ones, and some twice
    answer = await platform.get("/admin/global/usage-trends", days=35, timezone=zone)
    assert (answer["timezone"], answer["dataPoints"]) == (zone, 35)
    expected = naive_days(kept, zone, 35)
    for found, day in zip(answer["trends"], expected, strict=True):
        assert found == pytest.approx(day, abs=0.011), zone
    peak = max(one.body["activeUsers"] for one in kept)
    assert answer["summary"]["peakUsers"] == peak
    assert answer["summary"]["peakDate"] == max(
        day_of(zone, one.at).name for one in kept if one.body["activeUsers"] == peak
    )
    assert any(day["avgActiveUsers"] is None for day in answer["trends"]), "days before the first report are there"


async def test_a_day_of_25_hours_is_full_with_25(platform: Platform) -> None:
    day = day_of("Europe/Paris", NOW - 29 * DAY)
    assert (day.name, day.hours) == ("2098-10-26", 25)
    await platform.keep(*(report(ACME, at) for at in every(60, day.start_ms, day.end_ms)))
    answer = await platform.get("/admin/global/usage-trends", timezone="Europe/Paris")
    (found,) = [one for one in answer["trends"] if one["tenantsReporting"]]
    assert (found["date"], found["uptimePercentage"]) == ("2098-10-26", 100)
    utc = await platform.get("/admin/global/usage-trends", days=31)
    assert [one["date"] for one in utc["trends"] if one["tenantsReporting"]] == ["2098-10-26", "2098-10-25"]


async def test_the_first_zone_is_that_of_who_asks_for_none(platform: Platform) -> None:
    late_evening = NOW - NOW % DAY - HOUR  # 23:00 UTC: midnight in Paris
    await platform.keep(report(ACME, late_evening))
    for zone, day in ((None, "2098-11-23"), ("UTC", "2098-11-23"), ("Europe/Paris", "2098-11-24")):
        answer = await platform.get("/admin/global/usage-trends", **({} if zone is None else {"timezone": zone}))
        assert [one["date"] for one in answer["trends"] if one["tenantsReporting"]] == [day]
