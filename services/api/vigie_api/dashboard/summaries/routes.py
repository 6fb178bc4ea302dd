"""GET /api/metrics/...: the summaries."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from vigie_identity.permissions import Permission
from vigie_query.ranges import parse_range
from vigie_summaries.schemas.application import ApplicationMetrics
from vigie_summaries.schemas.business import BusinessMetrics
from vigie_summaries.schemas.overview import MetricsSummary
from vigie_summaries.schemas.system import SystemMetrics
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS

from vigie_api.context import Ctx, cached
from vigie_api.parameters import From, Period, To

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
    ask = context.resources.summaries.system
    return await cached(context, ("system", period, from_, to), lambda: ask(context.tenant, time_range))


@router.get("/api/metrics/application", response_model=ApplicationMetrics)
async def application_metrics(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """Requests, latency, errors, connections and database queries, of each service and of all; of the last hour
    by default."""
    time_range = parse_range(period, from_, to, "1h", context.now_ms)
    ask = context.resources.summaries.application
    return await cached(context, ("application", period, from_, to), lambda: ask(context.tenant, time_range))


@router.get("/api/metrics/business", response_model=BusinessMetrics)
async def business_metrics(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """Bookings, revenue, users, conversion funnel and satisfaction; of the last 24 hours by default."""
    time_range = parse_range(period, from_, to, "24h", context.now_ms)
    ask = context.resources.summaries.business
    return await cached(context, ("business", period, from_, to), lambda: ask(context.tenant, time_range))


@router.get("/api/metrics/summary", response_model=MetricsSummary)
async def summary(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """What is recorded, the head of each area, and every custom metric with its latest value; of the last hour by
    default."""
    time_range = parse_range(period, from_, to, "1h", context.now_ms)
    ask = context.resources.summaries.summary
    return await cached(context, ("summary", period, from_, to), lambda: ask(context.tenant, time_range))
