"""Reports of nodes, and the documents that are kept of them: added up from scratch, one report after the other.

The aggregator adds differences to what is stored; this is the same in the plainest way, for tests and the bench.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from pymongo.asynchronous.database import AsyncDatabase
from vigie_contracts import telemetry as words
from vigie_contracts.days import day_of, to_datetime
from vigie_contracts.tiers import HOUR

Document = dict[str, Any]
PARTITIONS = 3


@dataclass(frozen=True)
class NodeReport:
    """What a tenant's node said of itself at a time, in milliseconds since the epoch."""

    tenant: str
    at: int
    body: Document
    id: str = field(default_factory=lambda: str(uuid4()))


def report(tenant: str, at: int, users: float = 1, exercises: float = 1, uptime: float = 60, **more: Any) -> NodeReport:
    """`more` as in the body: aiLatency, version, additionalData."""
    body = {words.UPTIME: uptime, words.ACTIVE_USERS: users, words.EXERCISES: exercises, **more}
    return NodeReport(tenant, at, {"tenantId": tenant, **body})


def partition(tenant: str) -> int:
    """Some partition, always the same."""
    return sum(tenant.encode()) % PARTITIONS


async def write(
    database: AsyncDatabase[Document], reports: Sequence[NodeReport], zones: Sequence[str] = ("UTC",)
) -> None:
    """Replace everything that is kept of nodes by what is kept of these reports."""
    await database[words.REPORTS].create_index([("tenant", 1), ("kind", 1), ("at", 1), ("_id", 1)])
    for name, documents in kept(reports, zones).items():
        await database[name].delete_many({})
        if documents:
            await database[name].insert_many(documents)


def kept(reports: Sequence[NodeReport], zones: Sequence[str]) -> dict[str, list[Document]]:
    """The documents of each collection."""
    days = [day for zone in zones for day in _days(reports, zone)]
    return {
        words.REPORTS: [_report(one) for one in reports],
        words.LATEST: [
            _latest(max(own, key=lambda one: (one.at, one.id))) for own in _by(reports, lambda one: one.tenant)
        ],
        words.HOURS: [_hour(own) for own in _by(reports, lambda one: (one.tenant, HOUR.floor(one.at)))],
        words.DAYS: days,
        words.PLATFORM_DAYS: [
            _platform_day(own)
            for own in _by(days, lambda day: (day["_id"]["zone"], day["_id"]["day"], partition(day["tenant"])))
        ],
    }


def _by(items: Iterable[Any], key: Callable[[Any], Any]) -> list[list[Any]]:
    groups: defaultdict[Any, list[Any]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return list(groups.values())


def _values(reports: Iterable[NodeReport], name: str) -> list[float]:
    return [float(value) for one in reports if (value := one.body.get(name)) is not None]


def _report(one: NodeReport) -> Document:
    at = to_datetime(one.at)
    return {
        "_id": one.id, "tenant": one.tenant, "kind": words.KIND, "subject": words.SUBJECT, "at": at, "received": at,
        "body": one.body,
    }  # fmt: skip


def _latest(one: NodeReport) -> Document:
    additional = one.body.get(words.ADDITIONAL) or {}
    numbers = {name: one.body.get(name) for name in words.NUMBERS}
    numbers |= {name: additional.get(name) for name in words.ADDITIONAL_NUMBERS}
    said = {name: float(value) for name, value in numbers.items() if value is not None}
    version = {words.VERSION: one.body[words.VERSION]} if one.body.get(words.VERSION) else {}
    return {"_id": one.tenant, "at": to_datetime(one.at), "report": one.id, **said, **version}


def _hour(own: Sequence[NodeReport]) -> Document:
    tenant, hour = own[0].tenant, to_datetime(HOUR.floor(own[0].at))
    spreads = {
        name: {"n": len(values), "sum": sum(values), "min": min(values), "max": max(values)}
        for name in words.NUMBERS
        if (values := _values(own, name))
    }
    return {"_id": words.hour_id(tenant, hour), "tenant": tenant, "hour": hour, "reports": len(own), **spreads}


def _days(reports: Sequence[NodeReport], zone: str) -> list[Document]:
    return [_day(own, zone) for own in _by(reports, lambda one: (one.tenant, day_of(zone, one.at).name))]


def _day(own: Sequence[NodeReport], zone: str) -> Document:
    day, tenant = day_of(zone, own[0].at), own[0].tenant
    users, latency = _values(own, words.ACTIVE_USERS), _values(own, words.AI_LATENCY)
    return {
        "_id": words.day_id(zone, day.name, tenant),
        "tenant": tenant,
        "at": to_datetime(day.start_ms),
        "reports": len(own),
        "activeUsers": {"n": len(users), "sum": sum(users), "max": max(users)},
        "exercises": max(_values(own, words.EXERCISES)),
        "aiLatency": {"n": len(latency), "sum": sum(latency)},
        "hours": sum({words.hour_bit(day.hour(one.at)) for one in own}),
    }


def _platform_day(days: Sequence[Document]) -> Document:
    zone, day, number = days[0]["_id"]["zone"], days[0]["_id"]["day"], partition(days[0]["tenant"])

    def total(*path: str) -> float:
        return sum(_at(one, path) for one in days)

    return {
        "_id": words.platform_day_id(zone, day, number),
        "zone": zone,
        "day": day,
        "at": days[0]["at"],
        "tenants": len(days),
        "reports": total("reports"),
        "activeUsers": {
            "n": total("activeUsers", "n"),
            "sum": total("activeUsers", "sum"),
            "max": max(one["activeUsers"]["max"] for one in days),
        },
        "exercises": total("exercises"),
        "aiLatency": {"n": total("aiLatency", "n"), "sum": total("aiLatency", "sum")},
        "hours": sum(words.hours_reported(one["hours"]) for one in days),
        "firstHours": sum(words.first_hour(one["hours"]) for one in days),
    }


def _at(document: Document, path: Iterable[str]) -> float:
    value: Any = document
    for name in path:
        value = value[name]
    return cast(float, value)


def every(minutes: float, start: int, end: int) -> Iterable[int]:
    """Times from `start` until before `end`."""
    return itertools.takewhile(lambda at: at < end, itertools.count(start, round(minutes * 60_000)))
