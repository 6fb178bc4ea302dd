"""The summaries of a tenant, as `GET /api/metrics/...` and the live feeds show them.

Their numbers are evaluated in threads: of many series that takes long, and others wait for the event loop. What looks
at the catalogue of families stays on the loop, which extends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vigie_contracts.tenants import TenantId
from vigie_query.ranges import TimeRange
from vigie_query.times import MINUTE
from vigie_runtime.clock import Clock
from vigie_storage.latest import LatestReader
from vigie_storage.reader import SeriesReader
from vigie_storage.series.catalogue import SeriesCatalogue

from vigie_summaries import application, business, overview, system
from vigie_summaries.custom import MAX_CUSTOM, custom_families, custom_metrics, of_area, of_business
from vigie_summaries.families.catalogue import FamilyCatalogue
from vigie_summaries.families.families import Family, FamilyIndex, LatestTable
from vigie_summaries.panels import read_panel
from vigie_summaries.schemas.application import ApplicationMetrics
from vigie_summaries.schemas.business import BusinessMetrics
from vigie_summaries.schemas.common import CustomMetric
from vigie_summaries.schemas.overview import DashboardSummary, MetricsSummary, RealtimeMetrics
from vigie_summaries.schemas.system import SystemMetrics


@dataclass(frozen=True, slots=True)
class Summaries:
    """Each method raises what the readers raise: QueryLimitExceeded, StoreUnavailable, TooSlow."""

    reader: SeriesReader
    series: SeriesCatalogue
    families: FamilyCatalogue
    latest: LatestReader
    clock: Clock
    stale_after_s: float
    """A series whose newest sample is older than this is not live."""

    async def system(self, tenant: TenantId, time_range: TimeRange) -> SystemMetrics:
        """CPU, memory, disk, load and network, of each host and of all."""
        panel = await read_panel(self.reader, tenant, time_range, system.NAMES, self.clock.now_ms())
        other = await self._other(tenant, lambda index: of_area(custom_families(index), system.PREFIXES))
        return await asyncio.to_thread(
            lambda: SystemMetrics(
                **panel.head,
                overall=system.resources(panel.numbers),
                hosts=system.hosts(panel.numbers),
                **other,
            )
        )

    async def application(self, tenant: TenantId, time_range: TimeRange) -> ApplicationMetrics:
        """Requests, latency, errors, connections and database queries, of each service and of all."""
        panel = await read_panel(self.reader, tenant, time_range, application.NAMES, self.clock.now_ms())
        other = await self._other(tenant, lambda index: of_area(custom_families(index), application.PREFIXES))
        return await asyncio.to_thread(
            lambda: ApplicationMetrics(
                **panel.head,
                overall=application.work(panel.numbers),
                services=application.services(panel.numbers),
                queries=application.queries(panel.numbers),
                **other,
            )
        )

    async def business(self, tenant: TenantId, time_range: TimeRange) -> BusinessMetrics:
        """Bookings, revenue, users, conversion funnel and satisfaction."""
        panel = await read_panel(self.reader, tenant, time_range, business.NAMES, self.clock.now_ms())
        numbers = panel.numbers
        sent = await self.series.business(tenant, MAX_CUSTOM + 1)
        other = await self._other(tenant, lambda index: of_business(index, business.PREFIXES, sent, business.NAMES))
        return await asyncio.to_thread(
            lambda: BusinessMetrics(
                **panel.head,
                bookings=business.bookings(numbers),
                bookings_by_service=business.bookings_by_service(numbers),
                revenue=business.money(numbers),
                revenue_by_service=business.money_by_service(numbers),
                payments=business.payments(numbers),
                active_users=business.users(numbers),
                funnel=business.funnel(numbers),
                satisfaction=business.satisfaction(numbers),
                sessions=business.sessions(numbers),
                events=business.events(numbers),
                **other,
            )
        )

    async def summary(self, tenant: TenantId, time_range: TimeRange) -> MetricsSummary:
        """What is recorded, the head of each area, and every custom metric with its latest value."""
        areas = await self.dashboard(tenant, time_range)
        index, latest = await self._newest(tenant)
        custom = custom_families(index)
        return MetricsSummary(
            **areas.model_dump(),
            series=overview.series_count(index, latest, self._stale_before_ms()),
            custom=custom_metrics(custom[:MAX_CUSTOM], latest),
            custom_total=len(custom),
            custom_truncated=len(custom) > MAX_CUSTOM,
        )

    async def dashboard(self, tenant: TenantId, time_range: TimeRange) -> DashboardSummary:
        """The head of each area."""
        panel = await read_panel(self.reader, tenant, time_range, overview.HEADLINES, self.clock.now_ms())
        return await asyncio.to_thread(
            lambda: DashboardSummary(
                **panel.head,
                system=overview.system_overview(panel.numbers),
                application=overview.application_overview(panel.numbers),
                business=overview.business_overview(panel.numbers),
            )
        )

    async def realtime(self, tenant: TenantId) -> RealtimeMetrics:
        """The rates of the last minute and the latest values."""
        now_ms = self.clock.now_ms()
        time_range = TimeRange(now_ms - MINUTE, now_ms, None)
        panel = await read_panel(self.reader, tenant, time_range, overview.REALTIME, now_ms)
        levels = overview.levels(*await self._newest(tenant), self._stale_before_ms())
        return await asyncio.to_thread(overview.realtime, panel.numbers, levels, now_ms)

    async def _other(self, tenant: TenantId, chosen: Callable[[FamilyIndex], list[Family]]) -> dict[str, Any]:
        """The fields for the families that `chosen` gives."""
        index = await self.families.of(tenant)
        families = chosen(index)
        metrics: list[CustomMetric] = []
        if families:
            metrics = custom_metrics(families[:MAX_CUSTOM], await self._latest(tenant, index))
        return {"other": metrics, "other_truncated": len(families) > MAX_CUSTOM}

    async def _newest(self, tenant: TenantId) -> tuple[FamilyIndex, LatestTable]:
        index = await self.families.of(tenant)
        return index, await self._latest(tenant, index)

    async def _latest(self, tenant: TenantId, index: FamilyIndex) -> LatestTable:
        return LatestTable(await self.latest.some(tenant, index.chunks()))

    def _stale_before_ms(self) -> int:
        return self.clock.now_ms() - round(self.stale_after_s * 1000)
