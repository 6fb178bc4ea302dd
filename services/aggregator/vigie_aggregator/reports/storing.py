"""All MongoDB access of the reports: a share is one transaction, and a report that is stored is never counted again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from pymongo import ASCENDING, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern
from vigie_contracts import telemetry
from vigie_contracts.days import to_datetime
from vigie_contracts.topics import REPORTS
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Retryable
from vigie_storage import mongo, owners
from vigie_storage.owners import Owners

from vigie_aggregator.reports import counting
from vigie_aggregator.reports.counting import Change, DayKey
from vigie_aggregator.reports.reading import Incoming, NodeReport

_DURABLE: Final = WriteConcern("majority", j=True)
_MAX_COMMIT_MS: Final = 10_000
_DUPLICATE_KEY: Final = 11000
_LOG_LIFE: Final = timedelta(milliseconds=int(REPORTS.config["retention.ms"]))
"""As long as a record may be read again, its report must be known."""
_COLLECTIONS: Final = (
    telemetry.REPORTS, telemetry.LATEST, telemetry.HOURS, telemetry.DAYS, telemetry.PLATFORM_DAYS,
)  # fmt: skip


class ReportStore:
    """`store` may be called by several processes with the same reports at the same time: MongoDB lets one of two
    transactions that write the same document commit, and the other finds the reports stored when it tries again."""

    def __init__(self, db: Database, topic: str, clock: Clock, *, zones: Sequence[str], retention: timedelta) -> None:
        """Days are kept for each of `zones`, reports for `retention` after their own time."""
        self._db = db
        self._owners = Owners(db, topic, clock)
        self._session: AsyncClientSession | None = None
        self._taken_over: set[int] = set()
        self._zones = zones
        self._retention = retention

    async def prepare(self) -> None:
        """Make collections and indexes: a transaction must find them. Safe to repeat."""
        with mongo.retryable("preparing the collections of reports"):
            await mongo.ensure_collections(self._db, [*_COLLECTIONS, owners.COLLECTION])
            reports = self._db[telemetry.REPORTS]
            keys = [(name, ASCENDING) for name in ("tenant", "kind", "at", "_id")]
            await reports.create_index(keys)
            await self._db[telemetry.LATEST].create_index("at")  # the summary asks for those of the last day
            await mongo.ensure_ttl(reports, "at", self._retention + _LOG_LIFE)
            kept = timedelta(milliseconds=telemetry.RETENTION_MS)
            await mongo.ensure_ttl(self._db[telemetry.HOURS], "hour", kept)
            for name in (telemetry.DAYS, telemetry.PLATFORM_DAYS):
                await mongo.ensure_ttl(self._db[name], "at", kept)

    async def store(self, batch: Iterable[Incoming]) -> int:
        """Store those reports that are not, and count them; how many there were.

        Raises Retryable when MongoDB is away or somebody else writes the same: nothing, or all, is stored then.
        """
        reports: dict[str, Incoming] = {}
        for one in batch:
            reports.setdefault(one.id, one)
        if not reports:
            return 0
        if self._session is None:
            self._session = self._db.client.start_session()
        with mongo.retryable("storing reports"):
            try:
                await self._take_over(self._session, {report.partition for report in reports.values()})
                return await self._transaction(self._session, reports)
            except PyMongoError as e:
                if _taken(e):
                    raise Retryable("storing reports: somebody else has just stored one of them") from e
                raise

    def forget_partitions(self) -> None:
        """Somebody else may have them meanwhile: they are taken over again when reports of them come."""
        self._taken_over.clear()

    async def _take_over(self, session: AsyncClientSession, partitions: set[int]) -> None:
        for partition in partitions - self._taken_over:
            await self._owners.take_over(partition, session)
            self._taken_over.add(partition)

    async def _transaction(self, session: AsyncClientSession, reports: Mapping[str, Incoming]) -> int:
        async with await session.start_transaction(
            ReadConcern("snapshot"), _DURABLE, ReadPreference.PRIMARY, max_commit_time_ms=_MAX_COMMIT_MS
        ):
            known = {
                document["_id"] for document in await self._find(session, telemetry.REPORTS, list(reports), {"_id": 1})
            }
            new = [report for id_, report in reports.items() if id_ not in known]
            if new:
                await self._db[telemetry.REPORTS].insert_many(
                    [report.document for report in new], ordered=False, session=session
                )
                await self._count(session, [report.node for report in new if report.node is not None])
            return len(new)

    async def _count(self, session: AsyncClientSession, nodes: Sequence[NodeReport]) -> None:
        if not nodes:
            return
        await self._write(session, telemetry.LATEST, await self._latest(session, nodes))
        hours = [
            UpdateOne(
                {"_id": telemetry.hour_id(key.tenant, to_datetime(key.hour_ms))},
                counting.hour_update(key, reports),
                upsert=True,
            )
            for key, reports in counting.by_hour(nodes).items()
        ]
        await self._write(session, telemetry.HOURS, hours)
        changes = await self._changes(session, nodes)
        days = [ReplaceOne({"_id": change.after["_id"]}, change.after, upsert=True) for change in changes.values()]
        await self._write(session, telemetry.DAYS, days)
        platform = [
            UpdateOne(
                {"_id": telemetry.platform_day_id(key.zone, key.day.name, key.partition)},
                counting.platform_update(key, of_day),
                upsert=True,
            )
            for key, of_day in counting.by_platform_day(changes).items()
        ]
        await self._write(session, telemetry.PLATFORM_DAYS, platform)

    async def _latest(self, session: AsyncClientSession, nodes: Sequence[NodeReport]) -> list[ReplaceOne[Document]]:
        tenants: dict[str, list[NodeReport]] = {}
        for node in nodes:
            tenants.setdefault(node.tenant, []).append(node)
        found: Any = await self._find(session, telemetry.LATEST, list(tenants))
        before = {document["_id"]: document for document in found}
        replaced: list[Any] = []
        for tenant, reports in tenants.items():
            if (document := counting.latest(before.get(tenant), reports)) is not None:
                replaced.append(ReplaceOne({"_id": tenant}, document, upsert=True))
        return replaced

    async def _changes(self, session: AsyncClientSession, nodes: Sequence[NodeReport]) -> dict[DayKey, Change]:
        groups = counting.by_day(nodes, self._zones)
        ids = {key: telemetry.day_id(key.zone, key.day.name, key.tenant) for key in groups}
        found: Any = await self._find(session, telemetry.DAYS, list(ids.values()))
        stored = {tuple(document["_id"].values()): document for document in found}
        changes: dict[DayKey, Change] = {}
        for key, reports in groups.items():
            before = stored.get(tuple(ids[key].values()))
            changes[key] = Change(reports[0].partition, before, counting.grown_day(key, before, reports))
        return changes

    async def _find(
        self, session: AsyncClientSession, name: str, ids: Sequence[Any], fields: Mapping[str, int] | None = None
    ) -> list[Document]:
        return await self._db[name].find({"_id": {"$in": ids}}, fields, session=session).to_list()

    async def _write(self, session: AsyncClientSession, name: str, writes: Sequence[Any]) -> None:
        if writes:
            await self._db[name].bulk_write(writes, ordered=False, session=session)


def _taken(error: PyMongoError) -> bool:
    if isinstance(error, BulkWriteError):
        return any(problem["code"] == _DUPLICATE_KEY for problem in error.details["writeErrors"])
    return isinstance(error, DuplicateKeyError)
