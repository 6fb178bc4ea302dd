"""GET /api/metrics/...: the summaries.

Their numbers are evaluated in threads: of many series that takes long, and other requests wait for the event loop. What
looks at the catalogue of families stays on the loop, which extends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS

from vigie_api.context import Context, Ctx, cached, stale_before_ms
from vigie_api.dashboard import application, business, overview, system
from vigie_api.dashboard.custom import MAX_CUSTOM, custom_families, custom_metrics, of_area, of_business
from vigie_api.dashboard.panels import dashboard, read_panel
from vigie_api.dashboard.schemas.application import ApplicationMetrics
from vigie_api.dashboard.schemas.business import BusinessMetrics
from vigie_api.dashboard.schemas.common import CustomMetric
from vigie_api.dashboard.schemas.overview import MetricsSummary
from vigie_api.dashboard.schemas.system import SystemMetrics
from vigie_api.exposition.families import Family, FamilyIndex, LatestTable
from vigie_api.parameters import From, Period, To
from vigie_api.query.ranges import parse_range

router = APIRouter(tags=["metrics"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("GET", "/api/metrics/system"): Access(Permission.METRICS_READ),
        ("GET", "/api/metrics/application"): Access(Permission.METRICS_READ),
        ("GET", "/api/metrics/business"): Access(Permission.METRICS_READ),
        ("GET", "/api/metrics/summary"): Access(Permission.METRICS_READ),
    },
    "Summaries of systems, applications and the business",
)


@router.get("/api/metrics/system", response_model=SystemMetrics)
async def system_metrics(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """CPU, memory, disk, load and network, of each host and of all; of the last hour by default."""
    time_range = parse_range(period, from_, to, "1h", context.now_ms)

    async def compute() -> SystemMetrics:
        panel = await read_panel(context, time_range, system.NAMES)
        other = await _other(context, lambda index: of_area(custom_families(index), system.PREFIXES))
        return await asyncio.to_thread(
            lambda: SystemMetrics(
                **panel.head,
                overall=system.resources(panel.numbers),
                hosts=system.hosts(panel.numbers),
                **other,
            )
        )

    return await cached(context, ("system", period, from_, to), compute)


@router.get("/api/metrics/application", response_model=ApplicationMetrics)
async def application_metrics(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """Requests, latency, errors, connections and database queries, of each service and of all; of the last hour
    by default."""
    time_range = parse_range(period, from_, to, "1h", context.now_ms)

    async def compute() -> ApplicationMetrics:
        panel = await read_panel(context, time_range, application.NAMES)
        other = await _other(context, lambda index: of_area(custom_families(index), application.PREFIXES))
        return await asyncio.to_thread(
            lambda: ApplicationMetrics(
                **panel.head,
                overall=application.work(panel.numbers),
                services=application.services(panel.numbers),
                queries=application.queries(panel.numbers),
                **other,
            )
        )

    return await cached(context, ("application", period, from_, to), compute)


@router.get("/api/metrics/business", response_model=BusinessMetrics)
async def business_metrics(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """Bookings, revenue, users, conversion funnel and satisfaction; of the last 24 hours by default."""
    time_range = parse_range(period, from_, to, "24h", context.now_ms)

    async def compute() -> BusinessMetrics:
        panel = await read_panel(context, time_range, business.NAMES)
        numbers = panel.numbers
        sent = await context.resources.series.business(context.tenant, MAX_CUSTOM + 1)
        other = await _other(context, lambda index: of_business(index, business.PREFIXES, sent, business.NAMES))
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

    return await cached(context, ("business", period, from_, to), compute)


@router.get("/api/metrics/summary", response_model=MetricsSummary)
async def summary(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """What is recorded, the head of each area, and every custom metric with its latest value; of the last hour by
    default."""
    time_range = parse_range(period, from_, to, "1h", context.now_ms)

    async def compute() -> MetricsSummary:
        areas = await dashboard(context, time_range)
        index = await context.resources.families.of(context.tenant)
        latest = LatestTable(await context.resources.latest.some(context.tenant, index.chunks()))
        custom = custom_families(index)
        return MetricsSummary(
            **areas.model_dump(),
            series=overview.series_count(index, latest, stale_before_ms(context)),
            custom=custom_metrics(custom[:MAX_CUSTOM], latest),
            custom_total=len(custom),
            custom_truncated=len(custom) > MAX_CUSTOM,
        )

    return await cached(context, ("summary", period, from_, to), compute)


async def _other(context: Context, chosen: Callable[[FamilyIndex], list[Family]]) -> dict[str, Any]:
    """The fields for the families that `chosen` gives."""
    index = await context.resources.families.of(context.tenant)
    families = chosen(index)
    metrics: list[CustomMetric] = []
    if families:
        latest = LatestTable(await context.resources.latest.some(context.tenant, index.chunks()))
        metrics = custom_metrics(families[:MAX_CUSTOM], latest)
    return {"other": metrics, "other_truncated": len(families) > MAX_CUSTOM}
