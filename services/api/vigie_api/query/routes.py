"""GET /api/query_range: one function of one metric over time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response
from vigie_contracts.limits import MAX_LABEL_NAME_CHARS, MAX_NAME_CHARS
from vigie_contracts.tiers import TIERS
from vigie_identity.permissions import Permission
from vigie_query import functions, matchers
from vigie_query.errors import InvalidParameter, QueryLimitExceeded
from vigie_query.functions import MEANING, Function
from vigie_query.grid import Grid
from vigie_query.ranges import TimeRange, parse_range
from vigie_query.series import Series
from vigie_query.times import SECOND, iso
from vigie_storage.reader import SelectedSamples
from vigie_storage.series.filter import Filter, kinds_of
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS

from vigie_api.context import Context, Ctx
from vigie_api.parameters import From, Match, MatchBrackets, Step, Temporality, To, Types
from vigie_api.query.schemas import RangeResult
from vigie_api.query.steps import asked_grid, grid_for, points

MAX_POINTS = 200_000
"""Of all series of one answer together."""
MAX_BY = 16
"""Labels to group by."""
_EVERY_LABEL = "*"

Group: TypeAlias = tuple[tuple[str, str], ...]
"""Labels that all series of a line have."""

router = APIRouter(tags=["query"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("GET", "/api/query_range"): Access(Permission.METRICS_READ),
    },
    "Any metric over time",
)


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """The checked parameters of a range query."""

    metric: str
    function: Function
    series_filter: Filter
    by: tuple[str, ...]
    limit: int
    time_range: TimeRange
    step: str | None


@dataclass(frozen=True, slots=True)
class SelectedGroups:
    """The series of the first groups, the group of each, and how many groups there are in all."""

    series: list[Series]
    groups: list[Group]
    count: int


@router.get(
    "/api/query_range",
    response_model=RangeResult,
    description="One function of one metric over time. A metric that nobody has sent gives an empty list of "
    f"series.\n\n{MEANING}",
)
async def query_range(
    *,
    context: Ctx,
    metric: Annotated[str, Query(min_length=1, max_length=MAX_NAME_CHARS, examples=["http_requests_total"])],
    function: Annotated[Function, Query(description="what to compute; see the table above")] = Function.AVG,
    match: Match = None,
    match_brackets: MatchBrackets = None,
    type_: Types = None,
    temporality: Temporality = None,
    from_: From = None,
    to: To = None,
    step: Step = None,
    by: Annotated[
        list[str] | None,
        Query(
            description="labels to group by, at most 16, separated by commas; * for every series by itself. By default "
            "all series together",
            examples=[["service,region"]],
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1_000, description="groups in the answer, the first ones by labels")] = 100,
) -> Response:
    """See the description above."""
    query = RangeQuery(
        metric=metric,
        function=function,
        series_filter=Filter(
            names=(metric,),
            matchers=matchers.parse([*(match or ()), *(match_brackets or ())]),
            kinds=kinds_of(type_, temporality),
        ),
        by=_labels(by or []),
        limit=limit,
        time_range=parse_range(None, from_, to, "1h", context.now_ms),
        step=step,
    )
    return Response(await _answer(context, query), media_type="application/json")


async def _answer(context: Context, query: RangeQuery) -> bytes:
    """Groups and numbers are made in threads: of many series they take long, and other requests wait for the loop."""
    reader = context.resources.reader
    asked = asked_grid(context, query.time_range, query.step)
    found = await reader.select(context.tenant, query.series_filter, query.metric)
    kinds = {one.kind for one in found}
    functions.check_applicable(query.function, query.metric, kinds)
    shown = await asyncio.to_thread(_select_groups, found, query)
    grid = asked or await grid_for(context, query.time_range, None, shown.series)
    _check_points(len(set(shown.groups)), grid)
    answer = await reader.read(context.tenant, shown.series, grid, [(query.function, kind) for kind in kinds])
    head = {
        "timestamp": iso(context.now_ms),
        "metric": query.metric,
        "function": query.function.value,
        "from": grid.start,
        "to": grid.end,
        "step": grid.step_ms // SECOND,
        "tier": answer.plan.tier.name,
        "tiers": [tier.name for tier in TIERS if any(piece.tier is tier for piece in answer.plan.pieces)],
        "seriesCount": shown.count,
        "truncated": shown.count > query.limit,
    }
    return await asyncio.to_thread(_encoded, head, answer, query.function, shown.groups)


def _select_groups(found: Sequence[Series], query: RangeQuery) -> SelectedGroups:
    groups = [_group(one, query.by) for one in found]
    names = sorted(set(groups))
    first = set(names[: query.limit])
    kept = [position for position, group in enumerate(groups) if group in first]
    return SelectedGroups([found[position] for position in kept], [groups[position] for position in kept], len(names))


def _encoded(head: dict[str, Any], answer: SelectedSamples, function: Function, groups: Sequence[Group]) -> bytes:
    # Built by hand: 200,000 points through a model would take longer than reading them.
    return msgspec.json.encode({**head, **_lines(answer, function, groups)})


def _lines(answer: SelectedSamples, function: Function, groups_of_series: Sequence[Group]) -> dict[str, Any]:
    groups, group_of_row = answer.selection.grouped(groups_of_series)
    if not groups:
        return {"errorBound": None, "series": []}
    evaluation = answer.samples.grouped(group_of_row, len(groups))
    lines = [
        {"labels": dict(group), "points": points(answer.samples.grid, row)}
        for group, row in zip(groups, evaluation.run(function), strict=True)
    ]
    return {"errorBound": evaluation.error_bound(function), "series": lines}


def _group(one: Series, by: tuple[str, ...]) -> Group:
    """The labels of the group that a series is in; a label that it does not have is left out."""
    if by == (_EVERY_LABEL,):
        return one.labels
    return tuple((label, value) for label in by if (value := one.label(label)))


def _labels(by: list[str]) -> tuple[str, ...]:
    labels = tuple(dict.fromkeys(part.strip() for entry in by for part in entry.split(",") if part.strip()))
    if len(labels) > MAX_BY or any(len(label) > MAX_LABEL_NAME_CHARS for label in labels):
        raise InvalidParameter("by", f"must be at most {MAX_BY} label names")
    if _EVERY_LABEL in labels and len(labels) > 1:
        raise InvalidParameter("by", "* stands alone")
    return labels


def _check_points(groups: int, grid: Grid) -> None:
    total = groups * grid.steps
    if total > MAX_POINTS:
        raise QueryLimitExceeded(
            f"limit: {groups} series of {grid.steps} points are more than the {MAX_POINTS} points of one answer: use "
            f"limit={MAX_POINTS // grid.steps}, a larger step or a shorter time",
            "limit",
        )
