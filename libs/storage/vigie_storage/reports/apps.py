"""What is stored of apps' reports, read-only. Every read is bounded in time, and in documents by what is asked."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from vigie_contracts import apps as words
from vigie_contracts.days import to_datetime
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, TIMEOUT_S, reading
from vigie_storage.reports.documents import AppDocument, ReportDocument
from vigie_storage.reports.totals import Stretch
from vigie_storage.tenancy import TenantCollection

Place = tuple[int, str]
"""Where a report stands among those of its app: its time (ms) and its id."""


class AppReportReader:
    """Reads the reports of apps. Whoever calls has checked permissions."""

    def __init__(self, db: Database) -> None:
        self._reports = TenantCollection(db, collections.REPORTS)
        self._apps = TenantCollection(db, collections.APPS)

    async def apps(
        self, tenant: TenantId, limit: int, after: str | None = None, only: Collection[str] | None = None
    ) -> list[AppDocument]:
        """At most `limit` of the tenant's apps that have reported, by their ids, from the one after `after` on; of
        `only` these, if given."""
        wanted: Document = {}
        if after is not None:
            wanted["$gt"] = after
        if only is not None:
            wanted["$in"] = sorted(only)
        pipeline = [{"$match": {"app": wanted} if wanted else {}}, {"$sort": {"app": 1}}, {"$limit": limit}]
        async with reading(TIMEOUT_S):
            found = self._apps.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS)
            return [cast(AppDocument, document) async for document in found]

    async def page(
        self,
        tenant: TenantId,
        app: str,
        limit: int,
        *,
        within: Stretch | None = None,
        before: Place | None = None,
        user: str | None = None,
    ) -> list[ReportDocument]:
        """At most `limit` of the app's reports in that time, newest first, from the one before `before` on; those of
        one user, if given."""
        match: Document = {"kind": words.KIND, "subject": app}
        if within is not None:
            match["at"] = {"$gte": to_datetime(within[0]), "$lt": to_datetime(within[1])}
        if user is not None:
            match[f"body.{words.USER}"] = user
        if before is not None:
            at = to_datetime(before[0])
            match["$or"] = [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": before[1]}}]
            match["$and"] = [{"at": {"$lte": at}}]  # bounds for the index
        # The order of the index of apps' reports, backwards.
        pipeline = [{"$match": match}, {"$sort": {"at": -1, "_id": -1}}, {"$limit": limit}]
        async with reading(TIMEOUT_S):
            found = self._reports.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS)
            return [cast(ReportDocument, document) async for document in found]
