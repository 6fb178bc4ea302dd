"""The newest reports of one subject, whatever kind it is."""

from __future__ import annotations

from typing import Final, cast

from vigie_contracts.days import to_datetime
from vigie_contracts.reports import Report
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, exactly, reading
from vigie_storage.reports.documents import ReportDocument
from vigie_storage.tenancy import TenantCollection

MAX_REPORTS: Final = 1_000


class NewestReports:
    """Reads the collection `reports`."""

    def __init__(self, db: Database) -> None:
        self._reports = TenantCollection(db, collections.REPORTS)

    async def of(
        self, tenant: TenantId, kind: str, subject: str, limit: int, since_ms: int | None = None
    ) -> list[Report]:
        """The last `limit` of its reports, by their own time and id, the oldest of them first; those of `since_ms` or
        later. Raises StoreUnavailable, TooSlow."""
        query: dict[str, object] = {"kind": exactly(kind), "subject": exactly(subject)}
        if since_ms is not None:
            query["at"] = {"$gte": to_datetime(since_ms)}
        async with reading():
            cursor = self._reports.of(tenant).find(query, None, batch_size=MAX_REPORTS, max_time_ms=MAX_TIME_MS)
            found = await cursor.sort([("at", -1), ("_id", -1)]).limit(min(limit, MAX_REPORTS)).to_list()
        return [_report(cast("ReportDocument", document)) for document in reversed(found)]


def _report(document: ReportDocument) -> Report:
    return Report(
        id=document["_id"],
        tenant=document["tenant"],
        kind=document["kind"],
        subject=document["subject"],
        timestamp=round(document["at"].timestamp() * 1000),
        body=document["body"],
    )
