"""/stats/alerts: alerts on hosts, sites and services, as the replaced server supervision asks for them: the same ones
as at /api/alerts."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from vigie_contracts.alerts import Severity
from vigie_contracts.hosts import HOST_PATTERN, SITE_PATTERN
from vigie_identity.permissions import Permission
from vigie_query.times import iso
from vigie_web import cursors
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS, Responses, problem_response

from vigie_alerting.api.alerts import queries, routes
from vigie_alerting.api.alerts.schemas import Acknowledge, Alert, AlertPage, Remark, Status
from vigie_alerting.api.context import Ctx
from vigie_alerting.rules.shipped import SUPERVISED

router = APIRouter(tags=["stats"], responses=READ_PROBLEMS, route_class=AuthorizedRoute)
_ALERTS: Final = "/stats/alerts"
_ONE: Final = f"{_ALERTS}/{{alert}}"
FEATURE = Feature(
    router,
    {
        ("GET", _ALERTS): Access(Permission.ALERTS_READ),
        ("POST", f"{_ONE}/acknowledge"): Access(Permission.ALERTS_ACKNOWLEDGE),
        ("POST", f"{_ONE}/resolve"): Access(Permission.ALERTS_RESOLVE),
    },
    "Alerts on hosts, sites and services",
)
AlertPath = Annotated[str, Path(max_length=64, description="16 hex digits")]
_CHANGED: Responses = {
    404: problem_response("There is no such alert, or it is not of the caller's sites"),
    409: problem_response("It does not fire, or somebody else has it: the sentence says who"),
}


@router.get(_ALERTS, response_model=AlertPage)
async def list_alerts(
    *,
    context: Ctx,
    status: Annotated[
        list[Status] | None, Query(description="only these; all but pending ones when nothing is said")
    ] = None,
    severity: Annotated[list[Severity] | None, Query(description="only of these severities")] = None,
    type_: Annotated[
        list[Annotated[str, Query(max_length=64)]] | None,
        Query(alias="type", max_length=16, description="only of these types", examples=[["cpu_high"]]),
    ] = None,
    site: Annotated[str | None, Query(alias="siteId", pattern=SITE_PATTERN, description="only of this site")] = None,
    host: Annotated[str | None, Query(pattern=HOST_PATTERN, description="only of this host")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
    cursor: cursors.Cursor = None,
) -> Any:
    """Alerts of the five types, the last begun first, until seven days after they ended. USER and READONLY see those of
    their sites."""
    types = [one for one in SUPERVISED if not type_ or one in type_]
    conditions = queries.visible(context)
    conditions += queries.asked(severity=severity, rule=None, type_=types or ["-"], match=[], since_ms=None)
    conditions += [
        {"search": f"{label}={value}"} for label, value in (("site", site), ("host", host)) if value is not None
    ]
    wanted = queries.all_of([*conditions, queries.in_status(status or queries.LISTED)])
    states, after = context.resources.stores.states, None if cursor is None else cursors.decode(cursor, tuple[int, str])
    found, numbers = await asyncio.gather(
        states.page(context.tenant, wanted, limit + 1, after), routes.counts(context, conditions)
    )
    shown = found[:limit]
    return AlertPage(
        timestamp=iso(context.now_ms),
        alerts=[Alert.of(one) for one in await context.resources.desk.known(context.tenant, shown)],
        counts=numbers,
        next_cursor=cursors.encode((shown[-1].starts_at, shown[-1].fingerprint)) if len(found) > limit else None,
    )


@router.post(f"{_ONE}/acknowledge", response_model=Alert, responses=_CHANGED)
async def acknowledge(context: Ctx, alert: AlertPath, body: Acknowledge | None = None) -> Any:
    """Somebody has seen it: the caller. It stays until it is over."""
    return await routes.acknowledge_alert(context, alert, body)


@router.post(f"{_ONE}/resolve", response_model=Alert, responses=_CHANGED)
async def resolve(context: Ctx, alert: AlertPath, body: Remark | None = None) -> Any:
    """Over, whatever is measured: when the condition still holds after the deduplication window, it begins anew."""
    return await routes.resolve_alert(context, alert, body)
