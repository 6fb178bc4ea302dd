"""GET /api/metrics/...: the summaries.

Their numbers are evaluated in threads: of many series that takes long, and other requests wait for the event loop. What
looks at the catalogue of families stays on the loop, which extends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from vigie_contracts.series import Kind
from vigie_query.functions import Function
from vigie_query.grid import Grid, single
from vigie_query.planning import steps_possible
from vigie_query.times import iso
from vigie_storage.series.filter import exactly

from vigie_api.context import Context, Ctx
from vigie_api.dashboard import application, business, overview, system
from vigie_api.dashboard.numbers import Numbers
from vigie_api.dashboard.schemas.application import ApplicationAnswer
from vigie_api.dashboard.schemas.business import BusinessAnswer
from vigie_api.dashboard.schemas.overview import DashboardAnswer, SummaryAnswer
from vigie_api.dashboard.schemas.system import SystemAnswer
from vigie_api.exposition.families import LatestTable
from vigie_api.parameters import From, Period, To
from vigie_api.problem_schema import READ_PROBLEMS
from vigie_api.query.ranges import TimeRange, parse_range
from vigie_api.schemas import CustomMetric

router = APIRouter(tags=["metrics"], responses=READ_PROBLEMS)

_GAUGES = (Function.AVG, Function.MAX, Function.LAST, Function.SUM)
_HISTOGRAMS = (Function.AVG, Function.COUNT, Function.P50)
ASKED = [
    *((function, Kind.GAUGE) for function in _GAUGES),
    *((Function.INCREASE, kind) for kind in (Kind.COUNTER, Kind.CUMULATIVE)),
    *((function, Kind.HISTOGRAM) for function in _HISTOGRAMS),
]
"""What the panels ask of series of each kind."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The numbers of a panel and the head of its answer."""

    numbers: Numbers
    head: dict[str, Any]


@router.get("/api/metrics/system", response_model=SystemAnswer)
async def system_metrics(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """CPU, memory, disk, load and network, of each host and of all; of the last hour by default."""
    asked = parse_range(period, from_, to, "1h", context.now_ms)

    async def compute() -> SystemAnswer:
        panel = await read_panel(context, asked, system.NAMES)
        other = await _other(context, system.PREFIXES)
        return await asyncio.to_thread(
            lambda: SystemAnswer(
                **panel.head,
                overall=system.resources(panel.numbers),
                hosts=system.hosts(panel.numbers),
                other=other,
            )
        )

    return await context.cached(("system", period, from_, to), compute)


@router.get("/api/metrics/application", response_model=ApplicationAnswer)
async def application_metrics(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """Requests, latency, errors, connections and database queries, of each service and of all; of the last hour
    by default."""
    asked = parse_range(period, from_, to, "1h", context.now_ms)

    async def compute() -> ApplicationAnswer:
        panel = await read_panel(context, asked, application.NAMES)
        other = await _other(context, application.PREFIXES)
        return await asyncio.to_thread(
            lambda: ApplicationAnswer(
                **panel.head,
                overall=application.work(panel.numbers),
                services=application.services(panel.numbers),
                queries=application.queries(panel.numbers),
                other=other,
            )
        )

    return await context.cached(("application", period, from_, to), compute)


@router.get("/api/metrics/business", response_model=BusinessAnswer)
async def business_metrics(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """Bookings, revenue, users, conversion funnel and satisfaction; of the last 24 hours by default."""
    asked = parse_range(period, from_, to, "24h", context.now_ms)

    async def compute() -> BusinessAnswer:
        panel = await read_panel(context, asked, business.NAMES)
        numbers = panel.numbers
        other = await _other(context, business.PREFIXES)
        return await asyncio.to_thread(
            lambda: BusinessAnswer(
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
                other=other,
            )
        )

    return await context.cached(("business", period, from_, to), compute)


@router.get("/api/metrics/summary", response_model=SummaryAnswer)
async def summary(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """What is recorded, the head of each area, and every custom metric with its latest value; of the last hour by
    default."""
    asked = parse_range(period, from_, to, "1h", context.now_ms)

    async def compute() -> SummaryAnswer:
        areas = await dashboard(context, asked)
        index = await context.stores.families.of(context.tenant)
        latest = LatestTable(await context.stores.latest.everything(context.tenant, index.chunks()))
        custom = overview.custom_families(index)
        return SummaryAnswer(
            **areas.model_dump(),
            series=overview.series_count(index, latest, context.stale_before_ms),
            custom=overview.custom_metrics(custom[: overview.MAX_CUSTOM], latest),
            custom_total=len(custom),
            custom_truncated=len(custom) > overview.MAX_CUSTOM,
        )

    return await context.cached(("summary", period, from_, to), compute)


async def dashboard(context: Context, asked: TimeRange) -> DashboardAnswer:
    """The head of each area."""
    panel = await read_panel(context, asked, overview.HEADLINES)
    return await asyncio.to_thread(
        lambda: DashboardAnswer(
            **panel.head,
            system=overview.system_overview(panel.numbers),
            application=overview.application_overview(panel.numbers),
            business=overview.business_overview(panel.numbers),
        )
    )


async def read_panel(context: Context, asked: TimeRange, names: Collection[str]) -> Panel:
    """The samples of these metrics over the whole range, as one step."""
    reader = context.stores.reader
    series = await reader.select(context.tenant, exactly(names), "the panel")
    grid = single(asked.from_ms, asked.to_ms, steps_possible(asked.from_ms, context.now_ms))
    answer = await reader.read(context.tenant, series, grid, ASKED)
    return Panel(Numbers(answer.selection, answer.samples), head(context, grid, asked))


def head(context: Context, grid: Grid, asked: TimeRange) -> dict[str, Any]:
    """The fields that every answer about a stretch of time has."""
    return {
        "timestamp": iso(context.now_ms),
        "from": iso(grid.start),
        "to": iso(grid.end),
        "period": asked.period,
    }


async def _other(context: Context, prefixes: tuple[str, ...]) -> list[CustomMetric]:
    index = await context.stores.families.of(context.tenant)
    families = overview.custom_families(index, prefixes)[: overview.MAX_CUSTOM]
    if not families:
        return []
    return overview.custom_metrics(
        families, LatestTable(await context.stores.latest.everything(context.tenant, index.chunks()))
    )
