"""The newest reports of one host, as `reports.newest` has those of other subjects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vigie_contracts import hosts
from vigie_contracts.days import to_datetime, to_ms
from vigie_contracts.reports import Report
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, exactly, reading
from vigie_storage.tenancy import TenantCollection

MAX_REPORTS: Final = 200


class NewestHostReports:
    """Reads `host_reports` and, for the very last one, `host_latest`."""

    def __init__(self, db: Database) -> None:
        self._reports = TenantCollection(db, collections.HOST_REPORTS)
        self._latest = TenantCollection(db, collections.HOST_LATEST)

    async def of(
        self, tenant: TenantId, _kind: str, subject: str, limit: int, since_ms: int | None = None
    ) -> list[Report]:
        """The last `limit` of a host's reports, by their own time and id, the oldest of them first; those of `since_ms`
        or later. Raises StoreUnavailable, TooSlow."""
        if limit == 1 and since_ms is None:
            async with reading():
                found = await self._latest.of(tenant).one({"host": exactly(subject)}, max_time_ms=MAX_TIME_MS)
            return [] if found is None else [_report(found, found["report"])]
        query: dict[str, object] = {"host": exactly(subject)}
        if since_ms is not None:
            query["at"] = {"$gte": to_datetime(since_ms)}
        async with reading():
            cursor = self._reports.of(tenant).find(query, None, batch_size=MAX_REPORTS, max_time_ms=MAX_TIME_MS)
            some = await cursor.sort([("at", -1), ("_id", -1)]).limit(min(limit, MAX_REPORTS)).to_list()
        return [_report(document, document["_id"]) for document in reversed(some)]

    async def names(self, tenant: TenantId, limit: int) -> list[str]:
        """The first hosts that have reported, by name. Raises StoreUnavailable, TooSlow."""
        async with reading():
            rows = self._latest.of(tenant).find({}, {"_id": 0, "host": 1}, batch_size=limit, max_time_ms=MAX_TIME_MS)
            found = await rows.sort("host", 1).limit(limit).to_list()
        return [one["host"] for one in found]


def _report(document: Mapping[str, Any], id_: str) -> Report:
    return Report(
        id=id_,
        tenant=document["tenant"],
        kind=hosts.KIND,
        subject=document["host"],
        timestamp=to_ms(document["at"]),
        body=document["body"],
    )
