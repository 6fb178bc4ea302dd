"""What is stored of nodes' reports, read-only. Every read is bounded in time, and in documents by what is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, cast

from vigie_contracts import telemetry as words
from vigie_contracts.days import Day, to_datetime
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryLimitExceeded
from vigie_runtime.clients import Database, Document

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, TIMEOUT_S, reading, retryable
from vigie_storage.reports.documents import LatestDocument, ReportDocument, hour_id, platform_day_id
from vigie_storage.reports.totals import DayTotals, Facts, NodeGroup, Reports, Spread, Stretch, Thresholds
from vigie_storage.tenancy import TenantCollection, Why, shared

COUNT_LIMIT: Final = 10_000_000
"""Reports that are counted for one answer."""

_PARTS: Final = ("sum", "min", "max")


class StoredReports:
    """Which reports are stored."""

    def __init__(self, db: Database) -> None:
        self._reports = TenantCollection(db, collections.REPORTS).across(Why.IDS)

    async def among(self, ids: Collection[str]) -> set[str]:
        """Which of the reports are stored. An id holds its tenant, as a hash. Raises Retryable."""
        with retryable("looking up reports"):
            found = await self._reports.find({"_id": {"$in": list(ids)}}, {"_id": 1}).to_list()
        return {document["_id"] for document in found}


class NodeReportReader:
    """Reads the collections of `reports.documents`. Whoever calls has checked permissions."""

    def __init__(self, db: Database) -> None:
        self._reports = TenantCollection(db, collections.REPORTS)
        self._hours = TenantCollection(db, collections.TELEMETRY_HOURS)
        self._latest = TenantCollection(db, collections.TELEMETRY_LATEST)
        self._platform_days = shared(db, collections.TELEMETRY_PLATFORM_DAYS)

    async def count(self, tenant: TenantId, within: Stretch | None) -> int:
        """How many reports the tenant has in that time. Raises QueryLimitExceeded beyond COUNT_LIMIT."""
        async with reading(TIMEOUT_S):
            count = await self._reports.of(tenant).count(_nodes(within), COUNT_LIMIT + 1, max_time_ms=MAX_TIME_MS)
        if count > COUNT_LIMIT:
            raise QueryLimitExceeded(
                f"from: the tenant has more than {COUNT_LIMIT} reports in that time: narrow it", "from"
            )
        return count

    async def page(self, tenant: TenantId, within: Stretch | None, limit: int, offset: int) -> list[ReportDocument]:
        """The tenant's reports in that time, newest first."""
        pipeline = [
            {"$match": _nodes(within)},
            # The order of the index, backwards: reports that are skipped are not fetched.
            {"$sort": {"at": -1, "_id": -1}},
            {"$skip": offset},
            {"$limit": limit},
        ]
        async with reading(TIMEOUT_S):
            found = self._reports.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS)
            return [cast(ReportDocument, document) async for document in found]

    async def latest(self, tenant: TenantId) -> LatestDocument | None:
        """The tenant's newest report; None when there is none."""
        async with reading(TIMEOUT_S):
            return cast(LatestDocument | None, await self._latest.of(tenant).one({}, max_time_ms=MAX_TIME_MS))

    async def halves(
        self, tenant: TenantId, middle_ms: int, hours: Sequence[Stretch], edges: Sequence[Stretch]
    ) -> tuple[Reports, Reports]:
        """What the tenant reported before `middle_ms` and from it on, in these whole UTC hours and parts of hours."""
        middle = to_datetime(middle_ms)
        whole = [
            {"$match": {"$or": [{"_id": _hours(tenant, stretch)} for stretch in hours]}},
            {"$group": {"_id": {"$gte": ["$hour", middle]}, "reports": {"$sum": "$reports"}, **_OF_HOURS}},
        ]
        parts = [
            {"$match": {**_nodes(None), "$or": [{"at": _between(part)} for part in edges]}},
            {"$group": {"_id": {"$gte": ["$at", middle]}, "reports": {"$sum": 1}, **_OF_REPORTS}},
        ]
        async with reading(TIMEOUT_S):
            limit_ms = MAX_TIME_MS // 2  # of each
            found = [document async for document in self._hours.of(tenant).aggregate(whole, max_time_ms=limit_ms)]
            if edges:
                rest = self._reports.of(tenant).aggregate(parts, max_time_ms=limit_ms)
                found += [document async for document in rest]
        halves = {False: Reports(), True: Reports()}
        for document in found:
            halves[document["_id"]] += _reports(document)
        return halves[False], halves[True]

    async def groups(self, now_ms: int, thresholds: Thresholds, without: Collection[TenantId]) -> list[NodeGroup]:
        """The latest reports of all tenants but these, grouped by what the thresholds say of them."""
        match: Document = {"at": {"$gte": to_datetime(now_ms - thresholds.silent_ms)}}
        if without:
            match["_id"] = {"$nin": list(without)}
        pipeline = [{"$match": match}, {"$group": {"_id": _facts(now_ms, thresholds), **_SUMS}}]
        async with reading(TIMEOUT_S):
            cursor = await self._latest.across(Why.PLATFORM).aggregate(pipeline, maxTimeMS=MAX_TIME_MS)
            return [_group(document) async for document in cursor]

    async def reporting_since(self, since_ms: int) -> int:
        """How many tenants have reported since then."""
        async with reading(TIMEOUT_S):
            query = {"at": {"$gte": to_datetime(since_ms)}}
            return await self._latest.across(Why.PLATFORM).count_documents(query, maxTimeMS=MAX_TIME_MS)

    async def days(self, zone: str, days: Sequence[Day]) -> dict[str, DayTotals]:
        """Of each day with a report, by its name, what all tenants reported. `days` follow each other, newest first."""
        first = platform_day_id(zone, days[-1].name, 0)
        last = platform_day_id(zone, days[0].name, _NO_PARTITION)
        pipeline = [{"$match": {"_id": {"$gte": first, "$lt": last}}}, {"$group": {"_id": "$day", **_OF_DAYS}}]
        async with reading(TIMEOUT_S):
            cursor = await self._platform_days.aggregate(pipeline, maxTimeMS=MAX_TIME_MS)
            return {document["_id"]: _totals(document) async for document in cursor}


_NO_PARTITION: Final = (1 << 31) - 1
"""Above every partition."""

_OF_HOURS: Final = {
    f"{name}_{part}": {operator: f"${name}.{part}"}
    for name in words.NUMBERS
    for part, operator in (("n", "$sum"), *((part, f"${part}") for part in _PARTS))
}
_OF_REPORTS: Final = {
    **{f"{name}_n": {"$sum": {"$cond": [{"$isNumber": f"$body.{name}"}, 1, 0]}} for name in words.NUMBERS},
    **{f"{name}_{part}": {f"${part}": f"$body.{name}"} for name in words.NUMBERS for part in _PARTS},
}

_SUMS: Final = {
    "tenants": {"$sum": 1},
    "users": {"$sum": f"${words.ACTIVE_USERS}"},
    "exercises": {"$sum": f"${words.EXERCISES}"},
    "uptime": {"$sum": f"${words.UPTIME}"},
    "latency": {"$sum": f"${words.AI_LATENCY}"},
}

_OF_DAYS: Final = {
    "tenants": {"$sum": "$tenants"},
    "users_n": {"$sum": "$activeUsers.n"},
    "users_sum": {"$sum": "$activeUsers.sum"},
    "users_max": {"$max": "$activeUsers.max"},
    "exercises": {"$sum": "$exercises"},
    "latency_n": {"$sum": "$aiLatency.n"},
    "latency_sum": {"$sum": "$aiLatency.sum"},
    "hours": {"$sum": "$hours"},
    "first_hours": {"$sum": "$firstHours"},
}


def _facts(now_ms: int, than: Thresholds) -> Document:
    """`Facts` of a latest report, and its version: what is missing is below every number."""
    load = {"$max": [f"${name}" for name in (words.CPU, words.MEMORY, words.DISK)]}
    return {
        "version": f"${words.VERSION}",
        "recent": {"$gte": ["$at", to_datetime(now_ms - than.recent_ms)]},
        "fresh": {"$gte": ["$at", to_datetime(now_ms - than.fresh_ms)]},
        "overloaded": {"$gte": [load, than.overloaded]},
        "strained": {
            "$or": [
                {"$gte": [load, than.strained]},
                {"$gte": [f"${words.AI_LATENCY}", than.slow_ms]},
                {"$gte": [f"${words.ERRORS}", than.failing]},
            ]
        },
        "timed": {"$isNumber": f"${words.AI_LATENCY}"},
    }


def _group(document: Document) -> NodeGroup:
    identity = document["_id"]
    return NodeGroup(
        version=identity.get("version"),
        facts=Facts(
            recent=identity["recent"],
            fresh=identity["fresh"],
            overloaded=identity["overloaded"],
            strained=identity["strained"],
        ),
        tenants=document["tenants"],
        active_users=document["users"],
        exercises=document["exercises"],
        uptime=document["uptime"],
        latency=document["latency"],
        latencies=document["tenants"] if identity["timed"] else 0,
    )


def _reports(document: Document) -> Reports:
    return Reports(document["reports"], {name: _spread(document, name) for name in words.NUMBERS})


def _spread(document: Document, name: str) -> Spread:
    n, total, least, greatest = (document[f"{name}_{part}"] for part in ("n", *_PARTS))
    return Spread(n, float(total), float(least), float(greatest)) if n else Spread()


def _totals(document: Document) -> DayTotals:
    users, latency = (document["users_n"], document["users_sum"]), (document["latency_n"], document["latency_sum"])
    return DayTotals(
        tenants=document["tenants"],
        active_users=Spread(*users, max=document["users_max"]),
        exercises=document["exercises"],
        latency=Spread(*latency),
        hours=document["hours"],
        first_hours=document["first_hours"],
    )


def _nodes(within: Stretch | None) -> Document:
    """The reports of nodes."""
    return {"kind": words.KIND, **({} if within is None else {"at": _between(within)})}


def _hours(tenant: TenantId, stretch: Stretch) -> Document:
    """Ids of the tenant's hours."""
    first, end = (hour_id(tenant, to_datetime(ms)) for ms in stretch)
    return {"$gte": first, "$lt": end}


def _between(stretch: Stretch) -> Document:
    return {"$gte": to_datetime(stretch[0]), "$lt": to_datetime(stretch[1])}
