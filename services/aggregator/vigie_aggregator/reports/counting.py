"""The arithmetic of reports: from new reports to what changes in `vigie_storage.reports.documents`.

Whoever calls this has made sure that no report comes twice. Then the order of the reports, and how they are divided
into calls, does not matter: counts and sums are added, and of the rest the least, the greatest or the latest counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from vigie_contracts import telemetry
from vigie_contracts.days import Day, day_of, to_datetime
from vigie_contracts.tiers import HOUR
from vigie_storage.reports.documents import (
    DayDocument,
    LatestDocument,
    day_id,
    first_hour,
    hour_bit,
    hours_reported,
)
from vigie_storage.reports.writer import Update

from vigie_aggregator.reports.reading import AppReport, NodeReport


class HourKey(NamedTuple):
    tenant: str
    hour_ms: int


class DayKey(NamedTuple):
    zone: str
    day: Day
    tenant: str


class PlatformDayKey(NamedTuple):
    zone: str
    day: Day
    partition: int


class Change(NamedTuple):
    """A tenant's day before new reports, None when there was none, and with them."""

    partition: int
    before: DayDocument | None
    after: DayDocument


def by_tenant(reports: Iterable[NodeReport]) -> dict[str, list[NodeReport]]:
    """The reports of each tenant."""
    found: dict[str, list[NodeReport]] = defaultdict(list)
    for report in reports:
        found[report.tenant].append(report)
    return found


def by_hour(reports: Iterable[NodeReport]) -> dict[HourKey, list[NodeReport]]:
    """The reports of each tenant and UTC hour."""
    found: dict[HourKey, list[NodeReport]] = defaultdict(list)
    for report in reports:
        found[HourKey(report.tenant, HOUR.floor(report.at_ms))].append(report)
    return found


def by_day(reports: Iterable[NodeReport], zones: Sequence[str]) -> dict[DayKey, list[NodeReport]]:
    """The reports of each tenant and local day, for every zone."""
    found: dict[DayKey, list[NodeReport]] = defaultdict(list)
    for report in reports:
        for zone in zones:
            found[DayKey(zone, day_of(zone, report.at_ms), report.tenant)].append(report)
    return found


def by_app(reports: Iterable[AppReport]) -> dict[tuple[str, str], list[AppReport]]:
    """The reports of each tenant and app."""
    found: dict[tuple[str, str], list[AppReport]] = defaultdict(list)
    for report in reports:
        found[report.tenant, report.app].append(report)
    return found


def app_update(reports: Sequence[AppReport]) -> Update:
    """What new reports of one app add to what is known of it."""
    times = [report.at for report in reports]
    return {
        "$inc": {"reports": len(reports)},
        "$min": {"first": min(times)},
        "$max": {"last": max(times)},
        "$setOnInsert": {"tenant": reports[0].tenant, "app": reports[0].app},
    }


def latest(before: LatestDocument | None, reports: Iterable[NodeReport]) -> LatestDocument | None:
    """A tenant's new latest document; None when the one before stays."""
    newest = max(reports, key=lambda report: (report.at_ms, report.id))
    if before is not None and (newest.at, newest.id) <= (before["at"], before["report"]):
        return None
    document: Any = {"_id": newest.tenant, "at": newest.at, "report": newest.id, **newest.numbers}
    if newest.version is not None:
        document[telemetry.VERSION] = newest.version
    return document


def hour_update(key: HourKey, reports: Sequence[NodeReport]) -> Update:
    """What new reports add to an hour."""
    update: Update = {
        "$inc": {"reports": len(reports)},
        "$min": {},
        "$max": {},
        "$setOnInsert": {"tenant": key.tenant, "hour": to_datetime(key.hour_ms)},
    }
    for name in telemetry.NUMBERS:
        values = [report.numbers[name] for report in reports if name in report.numbers]
        if values:
            update["$inc"] |= {f"{name}.n": len(values), f"{name}.sum": sum(values)}
            update["$min"][f"{name}.min"] = min(values)
            update["$max"][f"{name}.max"] = max(values)
    return update


def grown_day(key: DayKey, before: DayDocument | None, reports: Sequence[NodeReport]) -> DayDocument:
    """A tenant's day with new reports."""
    after = _empty_day(key) if before is None else before
    users, latency, hours = after["activeUsers"], after["aiLatency"], after["hours"]
    active = [report.numbers[telemetry.ACTIVE_USERS] for report in reports]
    latencies = [report.numbers[telemetry.AI_LATENCY] for report in reports if telemetry.AI_LATENCY in report.numbers]
    for report in reports:
        hours |= hour_bit(key.day.hour(report.at_ms))
    return {
        **after,
        "reports": after["reports"] + len(reports),
        "activeUsers": {
            "n": users["n"] + len(active),
            "sum": users["sum"] + sum(active),
            "max": max(users["max"], *active),
        },
        "exercises": max(after["exercises"], *(report.numbers[telemetry.EXERCISES] for report in reports)),
        "aiLatency": {"n": latency["n"] + len(latencies), "sum": latency["sum"] + sum(latencies)},
        "hours": hours,
    }


def by_platform_day(changes: Mapping[DayKey, Change]) -> dict[PlatformDayKey, list[Change]]:
    """The changes of each platform day."""
    found: dict[PlatformDayKey, list[Change]] = defaultdict(list)
    for key, change in changes.items():
        found[PlatformDayKey(key.zone, key.day, change.partition)].append(change)
    return found


def platform_update(key: PlatformDayKey, changes: Iterable[Change]) -> Update:
    """What changes in a platform day when tenants' days change: the difference of each."""
    added: dict[str, float] = defaultdict(int)
    peak = 0.0
    for _, before, after in changes:
        added["tenants"] += before is None
        for name, value in _parts(after).items():
            added[name] += value
        for name, value in _parts(before).items() if before is not None else ():
            added[name] -= value
        peak = max(peak, after["activeUsers"]["max"])
    return {
        "$inc": dict(added),
        "$max": {"activeUsers.max": peak},
        "$setOnInsert": {"zone": key.zone, "day": key.day.name, "at": to_datetime(key.day.start_ms)},
    }


def _parts(day: DayDocument) -> dict[str, float]:
    """What a tenant's day adds to the platform's."""
    return {
        "reports": day["reports"],
        "activeUsers.n": day["activeUsers"]["n"],
        "activeUsers.sum": day["activeUsers"]["sum"],
        "exercises": day["exercises"],
        "aiLatency.n": day["aiLatency"]["n"],
        "aiLatency.sum": day["aiLatency"]["sum"],
        "hours": hours_reported(day["hours"]),
        "firstHours": first_hour(day["hours"]),
    }


def _empty_day(key: DayKey) -> DayDocument:
    return {
        "_id": day_id(key.zone, key.day.name, key.tenant),
        "tenant": key.tenant,
        "at": to_datetime(key.day.start_ms),
        "reports": 0,
        "activeUsers": {"n": 0, "sum": 0.0, "max": 0.0},
        "exercises": 0.0,
        "aiLatency": {"n": 0, "sum": 0.0},
        "hours": 0,
    }
