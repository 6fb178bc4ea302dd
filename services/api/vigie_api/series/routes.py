"""GET /api/series: find what is recorded."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from vigie_contracts.latest import Latest
from vigie_contracts.limits import MAX_NAME_CHARS
from vigie_query import matchers
from vigie_query.errors import InvalidParameter
from vigie_query.matchers import regex
from vigie_query.series import Series
from vigie_query.times import iso
from vigie_storage.latest import Chunks
from vigie_storage.series.catalogue import COUNT_LIMIT
from vigie_storage.series.filter import Filter, kinds_of

from vigie_api import paging
from vigie_api.context import Context, Ctx
from vigie_api.dashboard.numbers import finite
from vigie_api.parameters import Match, MatchBrackets, Types
from vigie_api.problem_schema import READ_PROBLEMS
from vigie_api.series.schemas import LatestValue, SeriesAnswer, SeriesItem

router = APIRouter(tags=["series"], responses=READ_PROBLEMS)


@router.get("/api/series", response_model=SeriesAnswer)
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
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: Annotated[str | None, Query(max_length=1_000, description="nextCursor of the page before")] = None,
) -> Any:
    """Series by name and labels, in the order of their names. Series are only ever added: a listing that was begun
    misses none that was there."""
    wanted = Filter(
        matchers=matchers.parse([*(match or ()), *(match_brackets or ())]), kinds=kinds_of(type_) if type_ else None
    )
    wanted = await _named(context, wanted, name, name_regex)
    page = await context.stores.series.page(
        context.tenant, wanted, limit, None if cursor is None else paging.decode(cursor)
    )
    total = await context.stores.series.count(context.tenant, wanted)
    latest = await context.stores.latest.some(context.tenant, sorted({one.chunk for one in page.series}))
    return SeriesAnswer(
        timestamp=iso(context.now_ms),
        series=_items(page.series, latest),
        total=None if total is None else min(total, COUNT_LIMIT),
        total_is_exact=total is not None and total <= COUNT_LIMIT,
        next_cursor=None if page.after is None else paging.encode(page.after),
    )


async def _named(context: Context, wanted: Filter, name: str | None, name_regex: str | None) -> Filter:
    if name is not None and name_regex is not None:
        raise InvalidParameter("nameRegex", "cannot be given together with name")
    if name_regex is not None:
        matches = regex(name_regex, "nameRegex")
        names = await context.stores.series.names(context.tenant)
        return Filter(tuple(n for n in names if matches(n)), None, wanted.matchers, wanted.kinds)
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
            latest=_latest(latest.get(one.chunk), slots.get(one.chunk, {}).get(one.slot)),
        )
        for one in series
    ]


def _latest(chunk: Latest | None, at: int | None) -> LatestValue | None:
    if chunk is None or at is None:
        return None
    return LatestValue(
        value=finite(chunk.values[at]),
        timestamp=iso(int(chunk.timestamps[at])),
        sum=finite(chunk.sums[at]),
        count=int(chunk.counts[at]),
    )
