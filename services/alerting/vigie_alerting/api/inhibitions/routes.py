"""/api/alerts/inhibitions: which alerts say enough for others."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.named_route import NamedRoute

from vigie_alerting.api.context import Ctx
from vigie_alerting.api.inhibitions.schemas import Inhibition, InhibitionBody, InhibitionList
from vigie_alerting.api.named import CONFLICT, IfMatch, Name, versioned
from vigie_alerting.api.rules.writing import expected_version
from vigie_alerting.inhibition import check_expressions
from vigie_alerting.named import normalized

router = APIRouter(tags=["inhibitions"], route_class=NamedRoute)
_INHIBITIONS: Final = "/api/alerts/inhibitions"
_ONE: Final = f"{_INHIBITIONS}/{{name}}"
_READ, _CONFIGURE = Access(Permission.MONITORING_READ), Access(Permission.MONITORING_CONFIGURE)
FEATURE = Feature(
    router,
    {("GET", _INHIBITIONS): _READ, ("GET", _ONE): _READ, ("PUT", _ONE): _CONFIGURE, ("DELETE", _ONE): _CONFIGURE},
    "Which alerts say enough for others",
)


@router.get(_INHIBITIONS, response_model=InhibitionList)
async def list_inhibitions(context: Ctx) -> Any:
    """All of the tenant, by name."""
    found = await context.resources.mutes.inhibitions.all(context.tenant)
    return InhibitionList(inhibitions=[Inhibition.of(one) for one in found])


@router.get(_ONE, response_model=Inhibition)
async def read_inhibition(context: Ctx, name: Name, response: Response) -> Any:
    """One; its version is the ETag."""
    found = await context.resources.mutes.inhibitions.get(context.tenant, name)
    response.headers["etag"] = f'"{found.version}"'
    return Inhibition.of(found)


@router.put(_ONE, response_model=Inhibition, responses=CONFLICT)
async def put_inhibition(
    context: Ctx, name: Name, body: InhibitionBody, response: Response, if_match: IfMatch = None
) -> Any:
    """Make it, or change it in its place."""
    book, made = context.resources.mutes.inhibitions, body.inhibition()
    others = [one.value for one in await book.all(context.tenant) if one.name != normalized(name)]
    check_expressions((*others, made))
    stored = await book.put(context.tenant, name, made, context.actor, if_version=expected_version(if_match))
    versioned(stored, response)
    return Inhibition.of(stored)


@router.delete(_ONE, status_code=204, responses=CONFLICT)
async def delete_inhibition(context: Ctx, name: Name, if_match: IfMatch = None) -> None:
    """What it muted and still fires is told."""
    await context.resources.mutes.inhibitions.remove(
        context.tenant, name, context.actor, if_version=expected_version(if_match)
    )
