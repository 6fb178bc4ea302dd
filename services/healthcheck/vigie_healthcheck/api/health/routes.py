"""/api/health: what is known of targets, now and before."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import JSONResponse
from vigie_contracts.checks import Verdict
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Permission
from vigie_query.errors import InvalidParameter
from vigie_query.times import iso, parse_time
from vigie_storage.health.targets import order
from vigie_web import cursors
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.named_route import NamedRoute
from vigie_web.problem_schema import READ_PROBLEMS, Responses, problem_response

from vigie_healthcheck.api.context import Context, Ctx
from vigie_healthcheck.api.health.schemas import (
    Checked,
    CheckPage,
    CheckRequest,
    CheckResult,
    IncidentPage,
    IncidentResult,
    OneService,
    Overall,
    ServiceHealth,
    ServicePage,
    UptimeResult,
)
from vigie_healthcheck.api.visible import seen, sees_all, visible
from vigie_healthcheck.known import Known
from vigie_healthcheck.readings import Span
from vigie_healthcheck.targets.checking import MAX_NAME_CHARS
from vigie_healthcheck.uptime import Window

router = APIRouter(tags=["health checks"], route_class=NamedRoute, responses=READ_PROBLEMS)
_ONE: Final = "/api/health/services/{name}"
_READ: Final = Access(Permission.SERVICES_READ)
FEATURE = Feature(
    router,
    {
        ("GET", "/api/health"): _READ,
        ("GET", "/api/health/services"): _READ,
        ("GET", "/api/health/incidents"): _READ,
        ("POST", "/api/health/check"): _READ,
        ("GET", _ONE): _READ,
        ("GET", f"{_ONE}/checks"): _READ,
        ("GET", f"{_ONE}/uptime"): _READ,
        ("GET", f"{_ONE}/incidents"): _READ,
    },
    "Whether services answer, now and before",
)
MAX_FORCED: Final = 1_000
"""Checks of one request."""
_NOT_FOUND: Responses = {404: problem_response("There is no such service")}
_PENDING: Responses = {
    202: {"model": Checked, "description": "Not all checks were over in time: `pending` names those that go on"}
}
Name = Annotated[str, Path(max_length=MAX_NAME_CHARS, description="percent-encoded: `a%2Fb` for a/b")]
Limit = Annotated[int, Query(ge=1, le=1_000)]
TextTime = Annotated[
    str | None, Query(max_length=64, description="ms since 1970, RFC 3339, or relative: now-1h", examples=["now-1h"])
]


@router.get("/api/health", response_model=Overall)
async def read_health(context: Ctx) -> Any:
    """The state of everything: of all services together, how many are in which state, and each in short."""
    wanted = visible(context)
    known = [one for one in await context.resources.reads.health.all(context.tenant) if wanted(one)]
    return Overall.of([one for one in known if one.target.enabled], context.now_ms)


@router.get("/api/health/services", response_model=ServicePage)
async def list_services(
    *,
    context: Ctx,
    state: Annotated[list[Verdict] | None, Query(description="only in these states")] = None,
    group: Annotated[str | None, Query(max_length=MAX_NAME_CHARS, description="only of this group")] = None,
    kind: Annotated[str | None, Query(max_length=64, description="only asked so: http, tcp, ...")] = None,
    q: Annotated[str | None, Query(max_length=MAX_NAME_CHARS, description="part of the name, in any case")] = None,
    uptime: Annotated[bool, Query(description="with the percent of the last 24 hours, by whole hours")] = False,
    limit: Limit = 100,
    cursor: cursors.Cursor = None,
) -> Any:
    """Services with their state, by group and name. USER and READONLY see those of their sites and apps, by the labels
    `site` and `app`."""
    query: dict[str, Any] = {}
    if group is not None:
        query["group"] = {"$eq": group}
    if kind is not None:
        query["kind"] = {"$eq": kind}
    if q and not q.isprintable():  # no name is either, and MongoDB takes no expression with NUL
        raise InvalidParameter("q", "must be printable")
    if q:
        query["name"] = {"$regex": re.escape(q), "$options": "i"}
    theirs, states = visible(context), frozenset(state or Verdict)
    after = None if cursor is None else cursors.decode(cursor, str)
    found = await context.resources.reads.health.some(
        context.tenant, query, limit + 1, after, lambda one: theirs(one) and one.verdict(context.now_ms) in states
    )
    shown = found[:limit]
    percents = await context.resources.reads.readings.last_day(
        context.tenant, [Span.of(one.target) for one in shown] if uptime else []
    )
    return ServicePage(
        timestamp=iso(context.now_ms),
        services=[ServiceHealth.of(one, context.now_ms, percents.get(one.target.name)) for one in shown],
        next_cursor=cursors.encode(order(shown[-1].target)) if len(found) > limit else None,
    )


@router.get(_ONE, response_model=OneService, responses=_NOT_FOUND)
async def read_service(context: Ctx, name: Name) -> Any:
    """A service with its state and its definition."""
    known = await seen(context, name)
    definition = await context.resources.targetbook.definition(known.target)
    return OneService.of(known, context.now_ms, definition=definition)


@router.get(f"{_ONE}/checks", response_model=CheckPage, responses=_NOT_FOUND)
async def list_checks(
    *,
    context: Ctx,
    name: Name,
    from_: Annotated[TextTime, Query(alias="from")] = None,
    to: TextTime = None,
    verdict: Annotated[list[Verdict] | None, Query(description="only with these verdicts")] = None,
    limit: Limit = 100,
    cursor: cursors.Cursor = None,
) -> Any:
    """The checks of a service, the newest first, for as long as `HEALTH_CHECKS_TTL` says."""
    target = (await seen(context, name)).target
    after = None if cursor is None else cursors.decode(cursor, tuple[int, str])
    found = await context.resources.reads.history.page(
        context.tenant,
        target.id,
        limit + 1,
        after,
        from_ms=None if from_ is None else parse_time(from_, "from", context.now_ms),
        to_ms=None if to is None else parse_time(to, "to", context.now_ms),
        verdicts=verdict or (),
    )
    shown = found[:limit]
    return CheckPage(
        name=target.name,
        checks=[CheckResult.of(one) for one in shown],
        next_cursor=cursors.encode((shown[-1].timestamp, shown[-1].id)) if len(found) > limit else None,
    )


@router.get(f"{_ONE}/uptime", response_model=UptimeResult, responses=_NOT_FOUND)
async def read_uptime(
    context: Ctx, name: Name, window: Annotated[Window, Query(description="the time up to now")] = Window.DAY
) -> Any:
    """How much of a time a service was up, and how fast it answered. Failures in maintenance do not count."""
    known = await seen(context, name)
    target, readings = known.target, context.resources.reads.readings
    found, latency = await asyncio.gather(
        readings.uptime(context.tenant, Span.of(target), window),
        readings.latency(context.tenant, Span.of(target), window),
    )
    return UptimeResult.of(known, window, found, latency, context.now_ms)


@router.get("/api/health/incidents", response_model=IncidentPage)
async def list_incidents(
    *,
    context: Ctx,
    open_: Annotated[bool, Query(alias="open", description="only those that go on")] = False,
    limit: Limit = 100,
    cursor: cursors.Cursor = None,
) -> Any:
    """The times in which services were down, the last begun first; also of services that are not there any more, for
    who sees all."""
    targets = None
    if not sees_all(context):
        theirs = visible(context)
        targets = [one.target.id for one in await context.resources.reads.health.all(context.tenant) if theirs(one)]
    return await _incidents(context, targets, limit, cursor, open_only=open_)


@router.get(f"{_ONE}/incidents", response_model=IncidentPage, responses=_NOT_FOUND)
async def list_incidents_of_service(
    *,
    context: Ctx,
    name: Name,
    open_: Annotated[bool, Query(alias="open", description="only one that goes on")] = False,
    limit: Limit = 100,
    cursor: cursors.Cursor = None,
) -> Any:
    """The times in which a service was down, the last begun first."""
    target = (await seen(context, name)).target
    return await _incidents(context, [target.id], limit, cursor, open_only=open_)


async def _incidents(
    context: Context, targets: list[str] | None, limit: int, cursor: str | None, *, open_only: bool
) -> IncidentPage:
    after = None if cursor is None else cursors.decode(cursor, tuple[int, str])
    incidents = context.resources.reads.incidents
    found = await incidents.page(context.tenant, limit + 1, after, targets=targets, open_only=open_only)
    shown = found[:limit]
    return IncidentPage(
        incidents=[IncidentResult.of(one, context.now_ms) for one in shown],
        next_cursor=cursors.encode((shown[-1].started_ms, shown[-1].id)) if len(found) > limit else None,
    )


@router.post("/api/health/check", response_model=Checked, responses={**_NOT_FOUND, **_PENDING})
async def force_checks(
    context: Ctx,
    body: CheckRequest | None = None,
    service: Annotated[
        str | None, Query(max_length=MAX_NAME_CHARS, description="only this one; all by default")
    ] = None,
) -> Any:
    """Check services now, and answer what was found: within 3 s more than their checks may take, 30 s at most."""
    name = service if service is not None else body.service if body else None
    known = await _forced(context, name)
    found, pending = await context.resources.reads.forced.check(context.tenant, [one.target for one in known])
    now_ms = context.state.clock.now_ms()
    answer = Checked(timestamp=iso(now_ms), services=[ServiceHealth.of(one, now_ms) for one in found], pending=pending)
    return JSONResponse(answer.model_dump(mode="json"), 202) if pending else answer


async def _forced(context: Context, name: str | None) -> list[Known]:
    """The services to check: what is switched off is not."""
    if name is not None:
        known = await seen(context, name)
        if not known.target.enabled:
            raise InvalidParameter("service", "is switched off: nobody checks it")
        return [known]
    theirs, tenant = visible(context), TenantId(context.tenant)
    found = await context.resources.reads.health.some(tenant, {"enabled": True}, MAX_FORCED + 1, wanted=theirs)
    if len(found) > MAX_FORCED:
        raise InvalidParameter("service", f"there are more than {MAX_FORCED} services: say which one to check")
    return found
