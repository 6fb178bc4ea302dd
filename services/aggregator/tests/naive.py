"""Telemetry documents computed the plain way, from all distinct reports at once: what the stored ones must equal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from vigie_contracts.days import to_datetime
from vigie_contracts.reports import Report

Documents = dict[str, dict[Any, dict[str, Any]]]
"""Collection -> what identifies a document -> the document without its `_id`."""


def documents(reports: Iterable[Report], zones: Sequence[str], partition_of: Callable[[Report], int]) -> Documents:
    """All documents but those of `reports` itself. Of several reports with one id the first counts: a sender that
    repeats its report with a key is given another time."""
    first: dict[str, Report] = {}
    for report in reports:
        if report.kind == "node":
            first.setdefault(report.id, report)
    distinct = list(first.values())
    days = {
        (zone, day, tenant): _day(of_day, zone, day)
        for (zone, day, tenant), of_day in _grouped(
            distinct, lambda r: [(zone, _local(zone, r).date(), r.tenant) for zone in zones]
        ).items()
    }
    partitions = {report.tenant: partition_of(report) for report in distinct}
    return {
        "telemetry_latest": {
            tenant: _latest(of_tenant) for tenant, of_tenant in _grouped(distinct, lambda r: [r.tenant]).items()
        },
        "telemetry_hours": {
            (tenant, hour): _hour(of_hour, tenant, hour)
            for (tenant, hour), of_hour in _grouped(
                distinct,
                lambda r: [(r.tenant, to_datetime(r.timestamp).replace(minute=0, second=0, microsecond=0))],
            ).items()
        },
        "telemetry_days": {(zone, str(day), tenant): document for (zone, day, tenant), document in days.items()},
        "telemetry_platform_days": {
            (zone, str(day), partition): _platform(of_partition, zone, day)
            for (zone, day, partition), of_partition in _by_platform(days, partitions).items()
        },
    }


def stored(name: str, document: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A stored document in the shape of `documents`."""
    key = document["_id"]
    return key if name == "telemetry_latest" else tuple(key.values()), {
        field: value for field, value in document.items() if field != "_id"
    }


def _grouped(reports: Iterable[Report], keys: Callable[[Report], list[Any]]) -> dict[Any, list[Report]]:
    found: dict[Any, list[Report]] = defaultdict(list)
    for report in reports:
        for key in keys(report):
            found[key].append(report)
    return found


def _local(zone: str, report: Report) -> datetime:
    return to_datetime(report.timestamp).astimezone(ZoneInfo(zone))


def _values(reports: Iterable[Report], name: str) -> list[float]:
    return [float(report.body[name]) for report in reports if report.body.get(name) is not None]


def _latest(reports: list[Report]) -> dict[str, Any]:
    last = max(reports, key=lambda r: (r.timestamp, r.id))
    more = last.body.get("additionalData") or {}
    known = {name: more[name] for name in ("cpuUsage", "memoryUsage", "diskUsage", "errorCount") if name in more}
    said = {name: value for name, value in last.body.items() if name != "additionalData" and value is not None}
    return {"at": to_datetime(last.timestamp), "report": last.id, **said, **known}


def _hour(reports: list[Report], tenant: str, hour: datetime) -> dict[str, Any]:
    spreads = {}
    for name in ("uptime", "activeUsers", "exercisesCompletedToday", "aiLatency"):
        if values := _values(reports, name):
            spreads[name] = {"n": len(values), "sum": sum(values), "min": min(values), "max": max(values)}
    return {"tenant": tenant, "hour": hour, "reports": len(reports), **spreads}


def _start(zone: str, day: Any) -> datetime:
    """Of days whose midnight exists once."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(to_datetime(0).tzinfo)


def _day(reports: list[Report], zone: str, day: Any) -> dict[str, Any]:
    start = _start(zone, day)
    users, latencies = _values(reports, "activeUsers"), _values(reports, "aiLatency")
    return {
        "tenant": reports[0].tenant,
        "at": start,
        "reports": len(reports),
        "activeUsers": {"n": len(users), "sum": sum(users), "max": max(users)},
        "exercises": max(_values(reports, "exercisesCompletedToday")),
        "aiLatency": {"n": len(latencies), "sum": sum(latencies)},
        "hours": sum({1 << ((to_datetime(r.timestamp) - start) // timedelta(hours=1)) for r in reports}),
    }


def _by_platform(days: dict[Any, dict[str, Any]], partitions: dict[str, int]) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for (zone, day, tenant), document in days.items():
        found[zone, day, partitions[tenant]].append(document)
    return found


def _platform(days: list[dict[str, Any]], zone: str, day: Any) -> dict[str, Any]:
    return {
        "zone": zone,
        "day": str(day),
        "at": _start(zone, day),
        "tenants": len(days),
        "reports": sum(d["reports"] for d in days),
        "activeUsers": {
            "n": sum(d["activeUsers"]["n"] for d in days),
            "sum": sum(d["activeUsers"]["sum"] for d in days),
            "max": max(d["activeUsers"]["max"] for d in days),
        },
        "exercises": sum(d["exercises"] for d in days),
        "aiLatency": {"n": sum(d["aiLatency"]["n"] for d in days), "sum": sum(d["aiLatency"]["sum"] for d in days)},
        "hours": sum(bin(d["hours"]).count("1") for d in days),
        "firstHours": sum(bin(d["hours"])[::-1].index("1") for d in days),
    }
