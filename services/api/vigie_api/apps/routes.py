"""GET /api/apps: apps, what they said of themselves, and their numbers over time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import Response
from vigie_contracts import apps as words
from vigie_contracts.days import to_ms
from vigie_identity.permissions import Permission
from vigie_query.errors import InvalidParameter, QueryLimitExceeded
from vigie_query.ranges import TimeRange, parse_range
from vigie_query.times import SECOND, iso
from vigie_storage.reports.apps import Place
from vigie_storage.reports.documents import AppDocument, ReportDocument
from vigie_web import cursors
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS

from vigie_api.apps import docs
from vigie_api.apps.aggregated import ASKED, FUNCTIONS, aggregates, own, series_of
from vigie_api.apps.schemas import App, AppAggregates, AppHistory, AppPage, AppReport
from vigie_api.context import Context, Ctx
from vigie_api.parameters import From, Step, To
from vigie_api.query.steps import grid_for

MAX_LIMIT: Final = 1_000
MAX_NUMBERS: Final = 200_000
"""Of one aggregated answer."""
MAX_METRICS: Final = 64
_PERIODS: Final = {"hour": "1h", "day": "24h", "week": "7d"}

AppPath = Annotated[str, Path(alias="appId", description="id of the app", max_length=128, examples=["shop"])]
Period = Annotated[Literal["hour", "day", "week"] | None, Query(description="the time up to now; by default an hour")]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many at most")]

router = APIRouter(tags=["apps"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("GET", "/api/apps"): Access(Permission.SITES_READ),
        ("GET", "/api/apps/{appId:path}/metrics/aggregated"): Access(Permission.SITES_READ),
        ("GET", "/api/apps/{appId:path}/metrics"): Access(Permission.SITES_READ),
    },
    "What apps say of themselves",
)


class _Before(msgspec.Struct, array_like=True):
    at_ms: int
    id: str


@router.get("/api/apps", response_model=AppPage, responses=docs.APPS)
async def list_apps(context: Ctx, limit: Limit = 100, cursor: cursors.Cursor = None) -> Any:
    """The apps that have reported, by their ids; of a USER or READONLY those one is assigned to."""
    after = None if cursor is None else cursors.decode(cursor, str)
    only = context.principal.apps(context.tenant)
    found = await context.resources.app_reports.apps(context.tenant, limit + 1, after, only)
    shown = found[:limit]
    more = len(found) > limit
    return AppPage(apps=[_app(one) for one in shown], next_cursor=cursors.encode(shown[-1]["app"]) if more else None)


# Before the history: an app's id may have slashes.
@router.get("/api/apps/{appId:path}/metrics/aggregated", response_model=AppAggregates, responses=docs.AGGREGATED)
async def aggregated_metrics(
    *,
    context: Ctx,
    app: AppPath,
    period: Period = None,
    from_: From = None,
    to: To = None,
    step: Step = None,
    metric: Annotated[
        list[str] | None,
        Query(max_length=MAX_METRICS, description="paths in `metrics`; by default all", examples=[["cpu.usage"]]),
    ] = None,
) -> Any:
    """Each number that the app said, over time: count, least, greatest, mean, newest and percentiles of every step with
    a sample. From windows: exact but for the percentiles, whose error is bounded by `errorBound`."""
    _allowed(context, app)
    time_range = _range(context, period, from_, to)
    reader = context.resources.reader
    series = own(await reader.select(context.tenant, series_of(app), app), metric or ())
    grid = await grid_for(context, time_range, step, series)
    if len(series) * grid.steps * len(FUNCTIONS) > MAX_NUMBERS:
        most = max(1, MAX_NUMBERS // (grid.steps * len(FUNCTIONS)))
        raise QueryLimitExceeded(
            f"metric: {len(series)} numbers of {grid.steps} steps are more than one answer holds: name at most {most} "
            "of them, or use a larger step or a shorter time",
            "metric",
        )
    answer = await reader.read(context.tenant, series, grid, ASKED)
    data, error_bound = await asyncio.to_thread(aggregates, answer)
    return AppAggregates(
        app_id=app,
        **{"from": iso(grid.start)},
        to=iso(grid.end),
        period=period or (_DEFAULT if time_range.period else None),
        step=grid.step_ms // SECOND,
        tier=answer.plan.tier.name,
        error_bound=error_bound,
        data=data,
    )


@router.get("/api/apps/{appId:path}/metrics", response_model=AppHistory, responses=docs.HISTORY)
async def history(
    *,
    context: Ctx,
    app: AppPath,
    period: Period = None,
    from_: From = None,
    to: To = None,
    user_id: Annotated[
        str | None, Query(alias="userId", max_length=words.MAX_USER_CHARS, description="only what this user sent")
    ] = None,
    limit: Limit = 100,
    cursor: cursors.Cursor = None,
) -> Any:
    """What the app said of itself, as it was sent, newest first. Kept for 90 days unless set otherwise."""
    _allowed(context, app)
    time_range = _range(context, period, from_, to)
    before = None if cursor is None else _before(cursor)
    async with context.resources.report_pages.slot():
        found = await context.resources.app_reports.page(
            context.tenant,
            app,
            limit + 1,
            within=(time_range.from_ms, time_range.to_ms),
            before=before,
            user=user_id,
        )
        # In a thread: a thousand reports of 64 kB each take long to write.
        body = await asyncio.to_thread(_page, app, time_range, period, found, limit)
    return Response(body, media_type="application/json")


_DEFAULT: Final = "hour"


def _allowed(context: Context, app: str) -> None:
    context.principal.require_app(Permission.SITES_READ, context.tenant, app)


def _range(context: Context, period: str | None, from_: str | None, to: str | None) -> TimeRange:
    return parse_range(None if period is None else _PERIODS[period], from_, to, _PERIODS[_DEFAULT], context.now_ms)


def _before(cursor: str) -> Place:
    place = cursors.decode(cursor, _Before)
    if not 0 <= place.at_ms < 1 << 47:
        raise InvalidParameter("cursor", "is not one that an earlier answer gave")
    return place.at_ms, place.id


def _page(app: str, time_range: TimeRange, period: str | None, found: Sequence[ReportDocument], limit: int) -> bytes:
    shown = found[:limit]
    more = len(found) > limit
    answer = AppHistory(
        app_id=app,
        **{"from": iso(time_range.from_ms)},
        to=iso(time_range.to_ms),
        period=period or (_DEFAULT if time_range.period else None),
        data=[_report(one) for one in shown],
        next_cursor=cursors.encode(_Before(to_ms(shown[-1]["at"]), shown[-1]["_id"])) if more else None,
    )
    return answer.model_dump_json().encode()


def _report(found: ReportDocument) -> AppReport:
    said = found["body"]
    return AppReport(
        id=found["_id"],
        user_id=said.get(words.USER),
        metrics=said[words.METRICS],
        timestamp=iso(to_ms(found["at"])),
    )


def _app(found: AppDocument) -> App:
    return App(
        app_id=found["app"],
        first_report=iso(to_ms(found["first"])),
        last_report=iso(to_ms(found["last"])),
        reports=found["reports"],
    )
