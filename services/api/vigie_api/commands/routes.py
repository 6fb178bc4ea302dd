"""POST /api/sites/{siteId}/services/{name}/{action}: start, stop and restart; GET /api/commands/{id}: what became of
it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from vigie_contracts.commands import ID_PATTERN, Action
from vigie_contracts.hosts import IMPORTED, SERVICE_PATTERN, SERVICE_RULE
from vigie_identity.errors import Conflict, NotFound
from vigie_identity.permissions import Permission
from vigie_query.errors import InvalidParameter
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS, problem_response

from vigie_api.commands.schemas import CommandAnswer
from vigie_api.context import Ctx

SITE: Final = "site"
COMMAND: Final = "command"
SERVICE: Final = "service of this site"
_NAME: Final = re.compile(SERVICE_PATTERN)
_ACTION: Final = "/api/sites/{siteId}/services/{name}/{action}"

router = APIRouter(tags=["services"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("POST", _ACTION): Access(Permission.SERVICES_CONTROL),
        ("GET", "/api/commands/{commandId}"): Access(Permission.SERVICES_READ),
    },
    "Starting and stopping the services of sites",
)

SitePath = Annotated[str, Path(alias="siteId", description="id of the site", max_length=128, examples=["shop"])]
NamePath = Annotated[
    str, Path(description="the systemd service, without `.service`", max_length=255, examples=["twoine-shop-api"])
]
CommandPath = Annotated[str, Path(alias="commandId", description="id of the command", pattern=ID_PATTERN)]


@router.post(
    _ACTION,
    response_model=CommandAnswer,
    status_code=202,
    responses={
        409: problem_response(
            "Another command for the service is under way, or several agents report in the name of its host"
        )
    },
)
async def act(context: Ctx, site_id: SitePath, name: NamePath, action: Action) -> Any:
    """Ask the agent of the site's host to start, stop or restart one of its services. 202: it is stored, and done at
    most once, within two minutes; `GET /api/commands/{id}` says what became of it. The service must be one that the
    host last reported for this site; what the agent does is decided by the list on its machine as well."""
    if not _NAME.match(name) or "\n" in name:
        raise InvalidParameter("name", SERVICE_RULE)
    if not context.principal.may_site(Permission.SERVICES_CONTROL, context.tenant, site_id):
        raise NotFound(SITE)
    resources = context.resources
    site = await resources.sites.get(context.tenant, site_id)
    if site is None:
        raise NotFound(SITE)
    latest = await resources.host_reports.latest(context.tenant, site.host)
    services = () if latest is None else latest.body.get("services", ())
    if not any(one["name"] == name and one.get("site") == site_id for one in services):
        raise NotFound(SERVICE)
    since_ms = context.now_ms - round(2_000 * latest.body["interval"]) if latest else context.now_ms
    reporters = await resources.host_reports.reporters(context.tenant, site.host, since_ms)
    if sum(one.instance != IMPORTED for one in reporters) > 1:
        raise Conflict(f"several agents report in the name of {site.host}: each of them would do it")
    given = await resources.orders.give(context.tenant, site, name, action, by=context.actor, now_ms=context.now_ms)
    return CommandAnswer.of(given, "pending")


@router.get("/api/commands/{commandId}", response_model=CommandAnswer)
async def command(context: Ctx, command_id: CommandPath) -> Any:
    """What was asked of an agent, and what became of it; for those who see the site. Kept for 90 days."""
    found = await context.resources.orders.get(context.tenant, command_id)
    if found is None or not context.principal.may_site(
        Permission.SERVICES_READ, context.tenant, found.command.site or ""
    ):
        raise NotFound(COMMAND)
    return CommandAnswer.stored(found, context.now_ms)
