"""Writing reports, and what is counted of them: all that belongs to some reports in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Retryable

from vigie_storage import collections, mongo
from vigie_storage.mongo import Session
from vigie_storage.partitions.owners import Owners
from vigie_storage.reports.documents import (
    AppId,
    DayDocument,
    DayId,
    EncodedReport,
    HourId,
    LatestDocument,
    PlatformDayId,
)
from vigie_storage.tenancy import Rows, TenantCollection, Why, shared

_MAX_COMMIT_MS: Final = 10_000

T = TypeVar("T")
Update = dict[str, dict[str, Any]]
"""An update of MongoDB, for a document that may not be there yet."""


class ReportTransaction:
    """What can be read and written in one transaction; reads see what was before it."""

    def __init__(self, db: Database, session: Session) -> None:
        self._session = session
        self._reports = TenantCollection(db, collections.REPORTS).across(Why.COUNT)
        self._apps = TenantCollection(db, collections.APPS).across(Why.COUNT)
        self._latest = TenantCollection(db, collections.TELEMETRY_LATEST).across(Why.COUNT)
        self._hours = TenantCollection(db, collections.TELEMETRY_HOURS).across(Why.COUNT)
        self._days = TenantCollection(db, collections.TELEMETRY_DAYS).across(Why.COUNT)
        self._platform_days = shared(db, collections.TELEMETRY_PLATFORM_DAYS)
        self._host_reports = TenantCollection(db, collections.HOST_REPORTS).across(Why.COUNT)
        self._host_latest = TenantCollection(db, collections.HOST_LATEST).across(Why.COUNT)

    async def stored(self, ids: Iterable[str]) -> set[str]:
        """Which of these reports are stored."""
        return {document["_id"] for document in await self._find(self._reports, ids, {"_id": 1})}

    async def insert(self, reports: Sequence[EncodedReport]) -> None:
        """Store new reports."""
        await self._reports.insert_many(reports, ordered=False, session=self._session)

    async def stored_of_hosts(self, ids: Iterable[str]) -> set[str]:
        """Which of these reports of hosts are stored."""
        return {document["_id"] for document in await self._find(self._host_reports, ids, {"_id": 1})}

    async def latest_of_hosts(self, ids: Iterable[str]) -> dict[str, tuple[datetime, str]]:
        """Time and id of the newest report of each host that has one; ids as `hosts.reports.latest_id` makes them."""
        found = await self._find(self._host_latest, ids, {"at": 1, "report": 1})
        return {document["_id"]: (document["at"], document["report"]) for document in found}

    async def insert_of_hosts(self, reports: Sequence[Document], latest: Iterable[Document]) -> None:
        """Store new reports of hosts, and the newest ones in the place of those before."""
        await self._host_reports.insert_many(reports, ordered=False, session=self._session)
        await self._put(self._host_latest, latest)

    async def latest(self, tenants: Iterable[str]) -> dict[str, LatestDocument]:
        """The latest document of each tenant that has one."""
        found: Any = await self._find(self._latest, tenants)
        return {document["_id"]: document for document in found}

    async def days(self, ids: Iterable[DayId]) -> dict[tuple[str, str, str], DayDocument]:
        """The days that exist, by (zone, day, tenant)."""
        found: Any = await self._find(self._days, ids)
        return {tuple(document["_id"].values()): document for document in found}

    async def put_latest(self, documents: Iterable[LatestDocument]) -> None:
        """Store these instead of those of the same tenants."""
        await self._put(self._latest, documents)

    async def put_days(self, documents: Iterable[DayDocument]) -> None:
        """Store these instead of those of the same days."""
        await self._put(self._days, documents)

    async def add_apps(self, updates: Iterable[tuple[AppId, Update]]) -> None:
        """Change these apps, which may be new."""
        await self._update(self._apps, updates)

    async def add_hours(self, updates: Iterable[tuple[HourId, Update]]) -> None:
        """Change these hours, which may be new."""
        await self._update(self._hours, updates)

    async def add_platform_days(self, updates: Iterable[tuple[PlatformDayId, Update]]) -> None:
        """Change these platform days, which may be new."""
        await self._update(self._platform_days, updates)

    async def _find(self, rows: Rows, ids: Iterable[Any], fields: Mapping[str, int] | None = None) -> list[Document]:
        return await rows.find({"_id": {"$in": list(ids)}}, fields, session=self._session).to_list()

    async def _put(self, rows: Rows, documents: Iterable[Any]) -> None:
        await self._write(rows, [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in documents])

    async def _update(self, rows: Rows, updates: Iterable[tuple[Any, Update]]) -> None:
        await self._write(rows, [UpdateOne({"_id": id_}, update, upsert=True) for id_, update in updates])

    async def _write(self, rows: Rows, writes: Sequence[Any]) -> None:
        if writes:
            await rows.bulk_write(writes, ordered=False, session=self._session)


class ReportWriter:
    """Writes reports and their counts in one transaction.

    Several processes may write the same reports at the same time: MongoDB lets one of two transactions that write
    the same document commit, and the other finds the reports stored when it tries again."""

    def __init__(self, db: Database, topic: str, clock: Clock, *, retention: timedelta) -> None:
        """Reports are kept for `retention` after their own time."""
        self._db = db
        self._owners = Owners(db, topic, clock)
        self._retention = retention
        self._session: Session | None = None
        self._taken_over: set[int] = set()

    async def prepare(self) -> None:
        """Make collections and indexes: a transaction must find them. Safe to repeat."""
        with mongo.retryable("preparing the collections of reports"):
            await mongo.ensure(
                self._db, collections.OWNERS, collections.TELEMETRY_LATEST, collections.TELEMETRY_HOURS,
                collections.TELEMETRY_DAYS, collections.TELEMETRY_PLATFORM_DAYS, collections.HOST_REPORTS,
                collections.HOST_LATEST,
            )  # fmt: skip
            life = self._retention + collections.REPORT_LOG_LIFE
            await mongo.ensure(self._db, collections.REPORTS, collections.APPS, life=life)

    async def transaction(self, partitions: Collection[int], work: Callable[[ReportTransaction], Awaitable[T]]) -> T:
        """Do `work`, all of it or nothing. `partitions`: of the log that the reports are of.

        Raises Retryable when MongoDB is away or somebody else writes the same: nothing, or all, is stored then.
        """
        if self._session is None:
            self._session = self._db.client.start_session()
        with mongo.retryable("storing reports"):
            try:
                await self._take_over(self._session, set(partitions))
                async with await self._session.start_transaction(
                    ReadConcern("snapshot"), mongo.DURABLE, ReadPreference.PRIMARY, max_commit_time_ms=_MAX_COMMIT_MS
                ):
                    return await work(ReportTransaction(self._db, self._session))
            except PyMongoError as e:
                if mongo.duplicate(e):
                    raise Retryable("storing reports: somebody else has just stored one of them") from e
                raise

    def forget_partitions(self) -> None:
        """Somebody else may have them meanwhile: they are taken over again when reports of them come."""
        self._taken_over.clear()

    async def _take_over(self, session: Session, partitions: set[int]) -> None:
        for partition in partitions - self._taken_over:
            await self._owners.take_over(partition, session)
            self._taken_over.add(partition)
