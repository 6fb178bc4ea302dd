"""GET /api/dashboard/...: what a user interface shows."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from vigie_contracts import names
from vigie_identity.permissions import Permission
from vigie_query.ranges import parse_range, parse_zone
from vigie_query.times import SECOND
from vigie_storage.reader import SelectedSamples
from vigie_summaries.panels import head, known_series
from vigie_summaries.schemas.overview import DashboardSummary, RealtimeMetrics
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS, problem_response

from vigie_api.context import Ctx, cached
from vigie_api.dashboard.charts import CHARTS, MAX_LINES, Chart
from vigie_api.dashboard.errors import UnknownChart
from vigie_api.parameters import From, Period, Step, To
from vigie_api.query.schemas import ChartData, ChartLine
from vigie_api.query.steps import asked_grid, grid_for, points

router = APIRouter(tags=["dashboard"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("GET", "/api/dashboard/summary"): Access(Permission.METRICS_READ),
        ("GET", "/api/dashboard/realtime"): Access(Permission.METRICS_READ),
        ("GET", "/api/dashboard/charts/{type}"): Access(Permission.METRICS_READ),
    },
    "What a user interface shows",
)


@router.get("/api/dashboard/summary", response_model=DashboardSummary)
async def dashboard_summary(context: Ctx, period: Period = None, from_: From = None, to: To = None) -> Any:
    """The head of each area; of the last hour by default."""
    time_range = parse_range(period, from_, to, "1h", context.now_ms)
    ask = context.resources.summaries.dashboard
    return await cached(context, ("dashboard", period, from_, to), lambda: ask(context.tenant, time_range))


@router.get("/api/dashboard/realtime", response_model=RealtimeMetrics)
async def realtime(context: Ctx) -> Any:
    """The rates of the last minute and the latest values."""

    return await cached(context, "realtime", lambda: context.resources.summaries.realtime(context.tenant))


@router.get(
    "/api/dashboard/charts/{type}",
    response_model=ChartData,
    responses={404: problem_response(f"No such chart. The charts are {', '.join(CHARTS)}")},
)
async def chart(
    *,
    context: Ctx,
    type_: Annotated[str, Path(alias="type", max_length=64, examples=["bookings"])],
    period: Period = None,
    from_: From = None,
    to: To = None,
    step: Step = None,
    timezone: Annotated[
        str | None, Query(max_length=64, description="IANA name; days begin at its midnight", examples=["Europe/Paris"])
    ] = None,
) -> Any:
    """The points of a chart; of the last 24 hours by default."""
    if type_ not in CHARTS:
        raise UnknownChart(type_, CHARTS)
    time_range = parse_range(period, from_, to, "24h", context.now_ms)
    zone = parse_zone(timezone)
    asked_grid(context, time_range, step, zone)

    async def compute() -> ChartData:
        drawn = CHARTS[type_]
        series = await known_series(context.resources.reader, context.tenant, drawn.metrics, "the chart")
        grid = await grid_for(context, time_range, step, series, zone)
        needed = [(line.function, kind) for line in drawn.lines for kind in names.kinds_of(line.metric)]
        answer = await context.resources.reader.read(context.tenant, series, grid, needed)
        lines, truncated = await asyncio.to_thread(_lines, drawn, answer)
        return ChartData(
            **head(context.now_ms, grid, time_range),
            type=type_,
            title=drawn.title,
            unit=drawn.unit,
            step=grid.step_ms // SECOND,
            timezone=timezone or "UTC",
            tier=answer.plan.tier.name,
            series=lines,
            truncated=truncated,
        )

    return await cached(context, ("chart", type_, period, from_, to, step, timezone), compute)


def _lines(drawn: Chart, answer: SelectedSamples) -> tuple[list[ChartLine], bool]:
    lines: list[ChartLine] = []
    truncated = False
    for line in drawn.lines:
        chosen = [i for i, one in enumerate(answer.selection.series) if one.name == line.metric]
        chosen = [i for i in chosen if line.where is None or line.where(answer.selection.series[i])]
        groups, group_of_row = answer.selection.groups(line.by, chosen)
        if not groups:
            continue
        truncated |= len(groups) > MAX_LINES
        values = answer.samples.evaluate(line.function, group_of_row, len(groups))
        for group, row in zip(groups[:MAX_LINES], values, strict=False):
            name = ", ".join(part for part in (line.name, *group) if part)
            labels = dict(zip(line.by, group, strict=True))
            lines.append(ChartLine(name=name or line.metric, labels=labels, points=points(answer.samples.grid, row)))
    return lines, truncated
