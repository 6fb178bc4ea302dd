"""GET /api/series: find what is recorded."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from vigie_contracts.latest import Latest
from vigie_contracts.limits import MAX_NAME_CHARS
from vigie_contracts.series import Kind
from vigie_identity.permissions import Permission
from vigie_query import matchers
from vigie_query.errors import InvalidParameter
from vigie_query.series import Series
from vigie_query.times import iso
from vigie_storage.latest import Chunks
from vigie_storage.series.catalogue import COUNT_LIMIT
from vigie_storage.series.filter import Filter, kinds_of
from vigie_summaries.numbers import finite
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS

from vigie_api.context import Context, Ctx
from vigie_api.parameters import Match, MatchBrackets, Temporality, Types
from vigie_api.series import cursors
from vigie_api.series.schemas import LatestValue, SeriesItem, SeriesPage

router = APIRouter(tags=["series"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("GET", "/api/series"): Access(Permission.METRICS_READ),
    },
    "What is recorded",
)


@router.get("/api/series", response_model=SeriesPage)
async def find_series(
    *,
    context: Ctx,
    name: Annotated[
        str | None,
        Query(max_length=MAX_NAME_CHARS + 1, description="exactly, or the beginning and *", examples=["http_*"]),
    ] = None,
    name_regex: Annotated[
        str | None,
        Query(alias="nameRegex", max_length=matchers.MAX_REGEX_CHARS, description="RE2, of the whole name"),
    ] = None,
    match: Match = None,
    match_brackets: MatchBrackets = None,
    type_: Types = None,
    temporality: Temporality = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: Annotated[str | None, Query(max_length=1_000, description="nextCursor of the page before")] = None,
) -> Any:
    """Series by name and labels, in the order of their names. Series are only ever added: a listing that was begun
    misses none that was there."""
    wanted = Filter(
        matchers=matchers.parse([*(match or ()), *(match_brackets or ())]), kinds=kinds_of(type_, temporality)
    )
    wanted = await _named(context, wanted, name, name_regex)
    page = await context.resources.series.page(
        context.tenant, wanted, limit, None if cursor is None else cursors.decode(cursor)
    )
    total = await context.resources.series.count(context.tenant, wanted)
    latest = await context.resources.latest.some(context.tenant, sorted({one.chunk for one in page.series}))
    return SeriesPage(
        timestamp=iso(context.now_ms),
        series=_items(page.series, latest),
        total=None if total is None else min(total, COUNT_LIMIT),
        total_is_exact=total is not None and total <= COUNT_LIMIT,
        next_cursor=None if page.after is None else cursors.encode(page.after),
    )


async def _named(context: Context, wanted: Filter, name: str | None, name_regex: str | None) -> Filter:
    if name is not None and name_regex is not None:
        raise InvalidParameter("nameRegex", "cannot be given together with name")
    if name_regex is not None:
        names = await context.resources.series.names(context.tenant, name_regex, "nameRegex")
        return Filter(tuple(names), None, wanted.matchers, wanted.kinds)
    if name is None:
        return wanted
    if name.endswith("*"):
        return Filter(None, name[:-1] or None, wanted.matchers, wanted.kinds)
    return Filter((name,), None, wanted.matchers, wanted.kinds)


def _items(series: list[Series], latest: Chunks) -> list[SeriesItem]:
    slots = {place: {slot: at for at, slot in enumerate(chunk.slots.tolist())} for place, chunk in latest.items()}
    return [
        SeriesItem(
            fingerprint=f"{one.fingerprint:016x}",
            name=one.name,
            type=one.kind.type,
            temporality=one.kind.temporality,
            labels=dict(one.labels),
            created=iso(one.created_ms),
            latest=_latest(one.kind, latest.get(one.chunk), slots.get(one.chunk, {}).get(one.slot)),
        )
        for one in series
    ]


def _latest(kind: Kind, chunk: Latest | None, at: int | None) -> LatestValue | None:
    if chunk is None or at is None:
        return None
    return LatestValue(
        value=finite(chunk.values[at]),
        timestamp=iso(int(chunk.timestamps[at])),
        # The values of a cumulative counter are totals already: adding them up would mean nothing.
        sum=finite(chunk.values[at] if kind is Kind.CUMULATIVE else chunk.sums[at]),
        count=int(chunk.counts[at]),
    )
