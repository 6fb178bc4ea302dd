"""Storing reports: those that are not stored yet, and with them, in one transaction, what is counted of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from vigie_contracts.days import to_datetime
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_storage.reports.documents import app_id, day_id, hour_id, platform_day_id
from vigie_storage.reports.writer import ReportTransaction, ReportWriter

from vigie_aggregator.reports import counting
from vigie_aggregator.reports.counting import Change, DayKey
from vigie_aggregator.reports.hosts import HostRetention, store_hosts
from vigie_aggregator.reports.reading import Incoming, NodeReport


class ReportStore:
    """Stores reports and counts each once, also when several processes store the same ones: see `ReportWriter`."""

    def __init__(self, db: Database, topic: str, clock: Clock, *, zones: Sequence[str], retention: timedelta) -> None:
        """Days are kept for each of `zones`, reports for `retention` after their own time; those of hosts for as long
        as the tenant's configuration says when they are stored."""
        self._writer = ReportWriter(db, topic, clock, retention=retention)
        self._zones = zones
        self._kept = HostRetention(db, clock)

    async def prepare(self) -> None:
        """Make collections and indexes. Safe to repeat."""
        await self._writer.prepare()

    def forget_partitions(self) -> None:
        """Somebody else may have them meanwhile."""
        self._writer.forget_partitions()

    async def store(self, batch: Iterable[Incoming]) -> int:
        """Store those reports that are not, and count them; how many there were.

        Raises Retryable when MongoDB is away or somebody else writes the same: nothing, or all, is stored then.
        """
        reports: dict[str, Incoming] = {}
        for one in batch:
            reports.setdefault(one.id, one)
        if not reports:
            return 0
        partitions = {report.partition for report in reports.values()}
        hosts = [one.host for one in reports.values() if one.host is not None]
        kept = await self._kept.documents(hosts) if hosts else []
        others = {id_: one for id_, one in reports.items() if one.host is None}

        async def work(transaction: ReportTransaction) -> int:
            stored = await self._store(transaction, others) if others else 0
            return stored + (await store_hosts(transaction, kept) if kept else 0)

        return await self._writer.transaction(partitions, work)

    async def _store(self, transaction: ReportTransaction, reports: Mapping[str, Incoming]) -> int:
        known = await transaction.stored(reports)
        new = [report for id_, report in reports.items() if id_ not in known]
        if new:
            await transaction.insert([report.document for report in new])
        if nodes := [report.node for report in new if report.node is not None]:
            await self._count(transaction, nodes)
        if apps := [report.app for report in new if report.app is not None]:
            await transaction.add_apps(
                (app_id(*key), counting.app_update(reports)) for key, reports in counting.by_app(apps).items()
            )
        return len(new)

    async def _count(self, transaction: ReportTransaction, nodes: Sequence[NodeReport]) -> None:
        by_tenant = counting.by_tenant(nodes)
        before = await transaction.latest(by_tenant)
        newest = [counting.latest(before.get(tenant), reports) for tenant, reports in by_tenant.items()]
        await transaction.put_latest(document for document in newest if document is not None)
        await transaction.add_hours(
            (hour_id(key.tenant, to_datetime(key.hour_ms)), counting.hour_update(key, reports))
            for key, reports in counting.by_hour(nodes).items()
        )
        changes = await self._changes(transaction, nodes)
        await transaction.put_days(change.after for change in changes.values())
        await transaction.add_platform_days(
            (platform_day_id(key.zone, key.day.name, key.partition), counting.platform_update(key, of_day))
            for key, of_day in counting.by_platform_day(changes).items()
        )

    async def _changes(self, transaction: ReportTransaction, nodes: Sequence[NodeReport]) -> dict[DayKey, Change]:
        groups = counting.by_day(nodes, self._zones)
        stored = await transaction.days(day_id(key.zone, key.day.name, key.tenant) for key in groups)
        changes: dict[DayKey, Change] = {}
        for key, reports in groups.items():
            before = stored.get((key.zone, key.day.name, key.tenant))
            changes[key] = Change(reports[0].partition, before, counting.grown_day(key, before, reports))
        return changes
