"""GET /admin/...: what nodes report, for those who look after the platform."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response
from vigie_contracts import telemetry as words
from vigie_contracts.days import to_datetime, to_ms
from vigie_identity.permissions import Permission
from vigie_identity.tenants import Tenant
from vigie_query.errors import InvalidParameter, QueryLimitExceeded
from vigie_query.times import HOUR, MAX_AHEAD_MS, iso, parse_time
from vigie_storage.reports.documents import LatestDocument, ReportDocument
from vigie_storage.reports.totals import NodeGroup, Stretch
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS

from vigie_api.context import Context, Ctx, cached
from vigie_api.node_reports import docs
from vigie_api.node_reports.aggregated import aggregated
from vigie_api.node_reports.errors import NoReport
from vigie_api.node_reports.health import SILENT_MS, THRESHOLDS
from vigie_api.node_reports.numbers import plain
from vigie_api.node_reports.periods import PERIODS, up_to
from vigie_api.node_reports.schemas import (
    AggregatedAnswer,
    GlobalSummaryAnswer,
    HistoryAnswer,
    LatestAnswer,
    Metric,
    Pagination,
    TrendsAnswer,
    WholeMetric,
)  # fmt: skip
from vigie_api.node_reports.summary import summary
from vigie_api.node_reports.trends import Now, days_up_to, hour_began, trends

MAX_LIMIT: Final = 1_000
MAX_OFFSET: Final = 100_000
"""Reports that are skipped for one page: 90 days of one every 78 seconds."""
MAX_DAYS: Final = 90
_ENDED_MS: Final = SILENT_MS + HOUR
"""No tenant that ended earlier has a latest report of the last 24 hours: a gateway that cannot ask goes by its memory
for 15 minutes, and the time of a report is at most 10 ahead."""

_TIME: Final = "ms since 1970, RFC 3339, or relative: now-1d"
TenantPath = Annotated[str, Path(description="id of the tenant", examples=[docs.TENANT_ID])]

router = APIRouter(tags=["telemetry"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("GET", "/admin/tenant/{tenant}/metrics"): Access(Permission.TELEMETRY_READ),
        ("GET", "/admin/tenant/{tenant}/metrics/latest"): Access(Permission.TELEMETRY_READ),
        ("GET", "/admin/tenant/{tenant}/metrics/aggregated"): Access(Permission.TELEMETRY_READ),
        ("GET", "/admin/global/summary"): Access(Permission.PLATFORM_READ, platform=True),
        ("GET", "/admin/global/usage-trends"): Access(Permission.PLATFORM_READ, platform=True),
    },
    "What nodes report, for those who look after the platform",
)


@router.get("/admin/tenant/{tenant}/metrics", response_model=HistoryAnswer, responses=docs.HISTORY)
async def history(
    *,
    context: Ctx,
    tenant: TenantPath,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="reports of the page")] = 100,
    offset: Annotated[
        int,
        Query(ge=0, description=f"how many newer reports to skip, at most {MAX_OFFSET}; further back: use `to`"),
    ] = 0,
    from_: Annotated[
        str | None, Query(alias="from", max_length=64, description=f"{_TIME}: only reports from then on")
    ] = None,
    to: Annotated[str | None, Query(max_length=64, description=f"{_TIME}: only reports before that")] = None,
) -> Any:
    """The reports of a tenant's node as they were sent, newest first; of all the time that reports are kept (90 days
    unless set otherwise), or from `from` until before `to`."""
    if offset > MAX_OFFSET:
        raise QueryLimitExceeded(
            f"offset: at most {MAX_OFFSET}; further back, give `to`: only reports before that time are listed", "offset"
        )
    within = _within(context, from_, to)
    known = await context.resources.identity.tenants.get(context.tenant)
    reader = context.resources.node_reports
    async with context.resources.report_pages.slot():
        total = await reader.count(context.tenant, within)
        reports = await reader.page(context.tenant, within, limit, offset) if offset < total else []
        page = Pagination(total=total, limit=limit, offset=offset, has_more=offset + len(reports) < total)
        # In a thread: a thousand reports of 16 kB each take long to write.
        return Response(await asyncio.to_thread(_page, known, reports, page), media_type="application/json")


@router.get("/admin/tenant/{tenant}/metrics/latest", response_model=LatestAnswer, responses=docs.LATEST)
async def latest(context: Ctx, tenant: TenantPath) -> Any:
    """The newest report of a tenant's node."""

    async def compute() -> LatestAnswer:
        known = await context.resources.identity.tenants.get(context.tenant)
        found = await context.resources.node_reports.latest(context.tenant)
        if found is None:
            raise NoReport
        return LatestAnswer(tenant_id=known.id, tenant_name=known.name, metric=_metric(found))

    return await cached(context, "latest", compute)


@router.get("/admin/tenant/{tenant}/metrics/aggregated", response_model=AggregatedAnswer, responses=docs.AGGREGATED)
async def aggregated_metrics(
    context: Ctx,
    tenant: TenantPath,
    period: Annotated[Literal["24h", "7d", "30d"], Query(description="the time up to now")] = "7d",
) -> Any:
    """Averages, extremes, total and trends of a tenant's reports. Exact to the millisecond. Without a report there are
    0 `dataPoints`, null for numbers, and `stable`."""

    async def compute() -> AggregatedAnswer:
        await context.resources.identity.tenants.get(context.tenant)
        kept_from = context.now_ms - context.state.settings.report_retention_ms
        asked = up_to(context.now_ms, PERIODS[period], kept_from)
        reader = context.resources.node_reports
        before, after = await reader.halves(context.tenant, asked.middle, asked.hours, asked.edges)
        return aggregated(period, asked, before, after)

    return await cached(context, ("aggregated", period), compute)


@router.get("/admin/global/summary", response_model=GlobalSummaryAnswer, responses=docs.SUMMARY)
async def global_summary(context: Ctx) -> Any:
    """Tenants, licences, usage, health and versions now."""

    async def compute() -> GlobalSummaryAnswer:
        known = context.resources.identity
        tenants, licences, groups = await asyncio.gather(
            known.tenants.counts(), known.licences.counts(), _groups(context)
        )
        return summary(context.now_ms, tenants, licences, groups)

    return await cached(context, "summary", compute)


@router.get("/admin/global/usage-trends", response_model=TrendsAnswer, responses=docs.TRENDS)
async def usage_trends(
    context: Ctx,
    days: Annotated[int, Query(ge=1, le=MAX_DAYS, description="days up to and with today")] = 30,
    timezone: Annotated[
        str | None,
        Query(
            max_length=64,
            examples=["UTC"],
            description="in which days begin and end: one of the VIGIE_TELEMETRY_TIMEZONES; by default the first",
        ),
    ] = None,
) -> Any:
    """What all tenants reported, day by day, newest first. A day without a report has zeros and nulls."""
    zones = context.state.settings.zones
    zone = timezone or zones[0]
    if zone not in zones:
        raise InvalidParameter("timezone", f"days are kept in {', '.join(zones)} (VIGIE_TELEMETRY_TIMEZONES)")

    async def compute() -> TrendsAnswer:
        asked = days_up_to(context.now_ms, days, zone)
        store = context.resources.node_reports
        # In this order: a report that arrives in between makes an hour that is not missed, and not one that is.
        reporting = await store.reporting_since(hour_began(asked[0], context.now_ms))
        totals = await store.days(zone, asked)
        return trends(zone, asked, Now(context.now_ms, reporting), totals)

    return await cached(context, ("trends", days, zone), compute)


def _within(context: Context, from_: str | None, to: str | None) -> Stretch | None:
    if from_ is None and to is None:
        return None
    start = 0 if from_ is None else parse_time(from_, "from", context.now_ms)
    end = context.now_ms + MAX_AHEAD_MS if to is None else parse_time(to, "to", context.now_ms)
    if start >= end:
        raise InvalidParameter("from", "must be before to")
    return start, end


def _page(known: Tenant, reports: Sequence[ReportDocument], pagination: Pagination) -> bytes:
    data = [_whole(report) for report in reports]
    answer = HistoryAnswer(tenant_id=known.id, tenant_name=known.name, data=data, pagination=pagination)
    return answer.model_dump_json().encode()


def _whole(report: ReportDocument) -> WholeMetric:
    said = report["body"]
    return WholeMetric(
        id=report["_id"],
        uptime=said.get(words.UPTIME),
        active_users=said.get(words.ACTIVE_USERS),
        exercises_completed_today=said.get(words.EXERCISES),
        ai_latency=said.get(words.AI_LATENCY),
        version=said.get(words.VERSION),
        additional_data=said.get(words.ADDITIONAL),
        timestamp=iso(to_ms(report["at"])),
    )


def _metric(found: LatestDocument) -> Metric:
    return Metric(
        id=found["report"],
        uptime=plain(found["uptime"]),
        active_users=plain(found["activeUsers"]),
        exercises_completed_today=plain(found["exercisesCompletedToday"]),
        ai_latency=plain(found.get("aiLatency")),
        version=found.get("version"),
        timestamp=iso(to_ms(found["at"])),
    )


async def _groups(context: Context) -> list[NodeGroup]:
    ended = await context.resources.identity.tenants.ended_since(to_datetime(context.now_ms - _ENDED_MS))
    return await context.resources.node_reports.groups(context.now_ms, THRESHOLDS, ended)
