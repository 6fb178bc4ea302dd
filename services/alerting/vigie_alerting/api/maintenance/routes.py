"""/api/alerts/maintenance: what is planned, and mutes while it goes on."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response
from vigie_identity.errors import NotFound
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.named_route import NamedRoute

from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.api.maintenance.schemas import Window, WindowBody, WindowList
from vigie_alerting.api.named import CONFLICT, IfMatch, Name, versioned
from vigie_alerting.api.rules.writing import expected_version
from vigie_alerting.maintenance import MaintenanceWindow
from vigie_alerting.routing.matchers import parse
from vigie_alerting.silences.active import State, state
from vigie_alerting.silences.checking import checked_comment, checked_matchers, checked_timing
from vigie_alerting.silences.errors import MutesEverything

router = APIRouter(tags=["maintenance"], route_class=NamedRoute)
_WINDOWS: Final = "/api/alerts/maintenance"
_ONE: Final = f"{_WINDOWS}/{{name}}"
_READ, _CONFIGURE = Access(Permission.MONITORING_READ), Access(Permission.MONITORING_CONFIGURE)
FEATURE = Feature(
    router,
    {("GET", _WINDOWS): _READ, ("GET", _ONE): _READ, ("PUT", _ONE): _CONFIGURE, ("DELETE", _ONE): _CONFIGURE},
    "What is planned",
)


@router.get(_WINDOWS, response_model=WindowList)
async def list_windows(context: Ctx) -> Any:
    """Maintenance windows by name; those that are over too."""
    found = await context.resources.mutes.maintenance.all(context.tenant)
    return WindowList(windows=[Window.of(one, context.now_ms) for one in found])


@router.get(_ONE, response_model=Window)
async def read_window(context: Ctx, name: Name, response: Response) -> Any:
    """The window; its version is the ETag."""
    found = await context.resources.mutes.maintenance.get(context.tenant, name)
    response.headers["etag"] = f'"{found.version}"'
    return Window.of(found, context.now_ms)


@router.put(_ONE, response_model=Window, responses=CONFLICT)
async def put_window(context: Ctx, name: Name, body: WindowBody, response: Response, if_match: IfMatch = None) -> Any:
    """Make the window, or change it in its place. One that mutes everything must be confirmed."""
    mutes, version = context.resources.mutes, expected_version(if_match)
    made = await _judged(context, name, body)
    stored = await mutes.maintenance.put(
        context.tenant, name, made, context.actor, if_version=version, comment=made.comment
    )
    versioned(stored, response)
    return Window.of(stored, context.state.clock.now_ms())


@router.delete(_ONE, status_code=204, responses=CONFLICT)
async def delete_window(context: Ctx, name: Name, if_match: IfMatch = None) -> None:
    """Alerts that it muted and that still fire are told."""
    await context.resources.mutes.maintenance.remove(
        context.tenant, name, context.actor, if_version=expected_version(if_match)
    )


async def _judged(context: Context, name: str, body: WindowBody) -> MaintenanceWindow:
    now, mutes = context.now_ms, context.resources.mutes
    before = None
    with suppress(NotFound):
        before = (await mutes.maintenance.get(context.tenant, name)).value
    starts = None
    if before and state(before.timing, now) is not State.EXPIRED:
        starts = before.timing.starts  # a rule goes by it
    made = MaintenanceWindow(
        matchers=checked_matchers(parse(body.matchers).all),
        timing=checked_timing(body.timing(now, starts), now),
        comment=checked_comment(body.comment),
        created_by=before.created_by if before else context.actor.name,
        created_at=before.created_at if before else now,
    )
    if not body.confirm:
        preview = await mutes.previews.tried(context.tenant, made.matchers, made.timing, now)
        if why := preview.everything(made.matchers):
            raise MutesEverything(why)
    return made
