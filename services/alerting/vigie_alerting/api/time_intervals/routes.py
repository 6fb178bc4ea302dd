"""/api/alerts/time-intervals: times by name, which routes are muted or active in."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.responses import Response
from vigie_identity.errors import Conflict
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.named_route import NamedRoute
from vigie_web.problem_schema import Responses, problem_response

from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.api.named import CONFLICT, IfMatch, Name, versioned
from vigie_alerting.api.rules.writing import expected_version
from vigie_alerting.api.time_intervals.schemas import Interval, IntervalBody, IntervalList
from vigie_alerting.routing.tree import Routes

router = APIRouter(tags=["time intervals"], route_class=NamedRoute)
_INTERVALS: Final = "/api/alerts/time-intervals"
_ONE: Final = f"{_INTERVALS}/{{name}}"
_READ, _CONFIGURE = Access(Permission.MONITORING_READ), Access(Permission.MONITORING_CONFIGURE)
FEATURE = Feature(
    router,
    {("GET", _INTERVALS): _READ, ("GET", _ONE): _READ, ("PUT", _ONE): _CONFIGURE, ("DELETE", _ONE): _CONFIGURE},
    "When routes are muted, or active",
)
_USED: Responses = {409: problem_response("Routes name it, or somebody else changed it")}


@router.get(_INTERVALS, response_model=IntervalList)
async def list_intervals(context: Ctx) -> Any:
    """All of the tenant, by name, with whether each is now."""
    found = await context.resources.mutes.intervals.all(context.tenant)
    # Two hundred of a hundred parts each are seconds of work.
    return await asyncio.to_thread(lambda: IntervalList(intervals=[Interval.of(one, context.now_ms) for one in found]))


@router.get(_ONE, response_model=Interval)
async def read_interval(context: Ctx, name: Name, response: Response) -> Any:
    """One; its version is the ETag."""
    found = await context.resources.mutes.intervals.get(context.tenant, name)
    response.headers["etag"] = f'"{found.version}"'
    return Interval.of(found, context.now_ms)


@router.put(_ONE, response_model=Interval, responses=CONFLICT)
async def put_interval(
    context: Ctx, name: Name, body: IntervalBody, response: Response, if_match: IfMatch = None
) -> Any:
    """Make it, or change it in its place: routes that name it go by it at once."""
    stored = await context.resources.mutes.intervals.put(
        context.tenant, name, body.interval(), context.actor, if_version=expected_version(if_match)
    )
    versioned(stored, response)
    return Interval.of(stored, context.now_ms)


@router.delete(_ONE, status_code=204, responses=_USED)
async def delete_interval(
    context: Ctx,
    name: Name,
    if_match: IfMatch = None,
    force: Annotated[bool, Query(description="although routes name it: they are then never muted by it")] = False,
) -> None:
    """Refused while routes name it."""
    if not force and await _used(context, name):
        raise Conflict(f"routes name the time interval {name!r}: change them first, or add ?force=true")
    await context.resources.mutes.intervals.remove(
        context.tenant, name, context.actor, if_version=expected_version(if_match)
    )


async def _used(context: Context, name: str) -> bool:
    stored = await context.resources.routebook.stored(context.tenant)
    routes = Routes(stored.value).all() if stored else ()
    return any(name in (*one.mute_times, *one.active_times) for one in routes)
