"""What hosts have reported: the last report of each, and all of the last hours.

host_latest   {_id: "<tenant>/<host>", tenant, host, at, received, report, body}
host_reports  {_id: that of the report, tenant, host, at, received, body, expires}

Written by the aggregator, in one transaction with the other reports of a batch. `body` is a `HostReport` in the names
of the wire. Every read is bounded in time and documents.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from vigie_contracts import hosts
from vigie_contracts.days import to_datetime, to_ms
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, exactly, reading
from vigie_storage.tenancy import TenantCollection

MAX_HOSTS: Final = 1_000
"""Of a tenant that are listed."""
_BRIEF: Final = (
    "interval", "agent", "cpu.percent", "cpu.cores", "cpu.loadAvg", "memory", "disk", "uptime", hosts.RECEIVED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LatestReport:
    """Times are milliseconds: of the report, and when the log took it."""

    host: str
    at_ms: int
    received_ms: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HostBrief:
    """The last report of a host without its lists, and how long those are; `running`: its services that are active."""

    report: LatestReport
    sites: int
    services: int
    running: int


@dataclass(frozen=True, slots=True)
class Reporter:
    """An agent that has reported in the name of a host."""

    instance: str
    version: str
    last_ms: int
    reports: int


@dataclass(frozen=True, slots=True)
class Point:
    """Parts of one report."""

    at_ms: int
    parts: Mapping[str, Any]


class HostReports:
    """Reads both collections. All methods raise StoreUnavailable, TooSlow."""

    def __init__(self, db: Database) -> None:
        self._latest = TenantCollection(db, collections.HOST_LATEST)
        self._reports = TenantCollection(db, collections.HOST_REPORTS)

    async def latest(self, tenant: TenantId, host: str) -> LatestReport | None:
        """The last report of a host, whole."""
        async with reading():
            found = await self._latest.of(tenant).one({"host": exactly(host)}, max_time_ms=MAX_TIME_MS)
        return None if found is None else _latest(found)

    async def hosts(self, tenant: TenantId) -> list[HostBrief]:
        """Every host, by name, at most MAX_HOSTS."""
        running = {"$filter": {"input": "$body.services", "cond": {"$eq": ["$$this.state", "active"]}}}
        counts = {
            "sites": {"$size": "$body.sites"},
            "services": {"$size": "$body.services"},
            "running": {"$size": running},
        }
        fields = {"host": 1, "at": 1, "received": 1, **{f"body.{name}": 1 for name in _BRIEF}, **counts}
        pipeline: Sequence[Document] = [{"$sort": {"host": 1}}, {"$limit": MAX_HOSTS}, {"$project": fields}]
        async with reading():
            found = [one async for one in self._latest.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS)]
        return [HostBrief(_latest(one), one["sites"], one["services"], one["running"]) for one in found]

    async def some(self, tenant: TenantId, hosts: Collection[str], *fields: str) -> dict[str, LatestReport]:
        """The last reports of these hosts, and of their bodies only these fields."""
        wanted = {"host": 1, "at": 1, "received": 1, **{f"body.{name}": 1 for name in fields}}
        async with reading():
            rows = self._latest.of(tenant).find(
                {"host": {"$in": sorted(hosts)}}, wanted, batch_size=MAX_HOSTS, max_time_ms=MAX_TIME_MS
            )
            found = await rows.limit(MAX_HOSTS).to_list()
        return {one["host"]: _latest(one) for one in found}

    async def names(self, tenant: TenantId) -> list[str]:
        """The hosts that have reported."""
        async with reading():
            rows = self._latest.of(tenant).find(
                {}, {"_id": 0, "host": 1}, batch_size=MAX_HOSTS, max_time_ms=MAX_TIME_MS
            )
            found = await rows.sort("host", 1).limit(MAX_HOSTS).to_list()
        return [one["host"] for one in found]

    async def reporters(self, tenant: TenantId, host: str, since_ms: int) -> list[Reporter]:
        """Who has reported in its name since then, the last one first."""
        pipeline: list[Document] = [
            {"$match": {"host": exactly(host), "at": {"$gte": to_datetime(since_ms)}}},
            {
                "$group": {
                    "_id": "$body.agent.instance",
                    "version": {"$last": "$body.agent.version"},
                    "last": {"$max": "$at"},
                    "reports": {"$sum": 1},
                }
            },
            {"$sort": {"last": -1}},
            {"$limit": 16},
        ]
        async with reading():
            found = [one async for one in self._reports.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS)]
        return [Reporter(one["_id"], one["version"], to_ms(one["last"]), one["reports"]) for one in found]

    async def first_ms(self, tenant: TenantId, host: str) -> int | None:
        """The time of the oldest report of a host that is kept; None: there is none."""
        async with reading():
            rows = self._reports.of(tenant).find(
                {"host": exactly(host)}, {"_id": 0, "at": 1}, batch_size=1, max_time_ms=MAX_TIME_MS
            )
            found = await rows.sort("at", 1).limit(1).to_list()
        return to_ms(found[0]["at"]) if found else None

    async def history(
        self, tenant: TenantId, host: str, *, from_ms: int, step_ms: int, points: int, parts: Mapping[str, Any]
    ) -> list[Point]:
        """At most `points`: of each step from `from_ms` on the last report, of it `parts` (expressions by name)."""
        start, end = to_datetime(from_ms), to_datetime(from_ms + step_ms * points)
        number = {"$floor": {"$divide": [{"$subtract": ["$at", start]}, step_ms]}}
        pipeline: Sequence[Document] = [
            {"$match": {"host": exactly(host), "at": {"$gte": start, "$lt": end}}},
            {"$sort": {"at": 1}},
            {"$project": {"at": 1, "step": number, "parts": parts}},
            {"$group": {"_id": "$step", "at": {"$last": "$at"}, "parts": {"$last": "$parts"}}},
            {"$sort": {"at": 1}},
            {"$limit": points},
        ]
        async with reading():
            found = [one async for one in self._reports.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS)]
        return [Point(to_ms(one["at"]), one["parts"]) for one in found]


def latest_id(tenant: str, host: str) -> str:
    """Of a document of `host_latest`."""
    return f"{tenant}/{host}"


def _latest(document: Mapping[str, Any]) -> LatestReport:
    at: datetime = document["at"]
    return LatestReport(document["host"], to_ms(at), to_ms(document["received"]), document["body"])
