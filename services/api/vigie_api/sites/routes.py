"""/api/sites: what is where. Who sees a site is said by the assignments of users (`/admin/tenants/.../users`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts.hosts import HOST_PATTERN, SITE_PATTERN
from vigie_identity.audit import Action
from vigie_identity.errors import LimitReached
from vigie_identity.permissions import Permission
from vigie_storage.hosts.sites import MAX_SITES, Site, SiteMoved, SiteTaken
from vigie_storage.mongo import Session, transaction
from vigie_web import cursors
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS, Responses, problem_response

from vigie_api.admin.listing import located
from vigie_api.context import Context, Ctx
from vigie_api.hosts import errors, schemas
from vigie_api.sites.bodies import NewSite, SiteBody, site_of

router = APIRouter(tags=["hosts"], responses=READ_PROBLEMS, route_class=AuthorizedRoute)
_SITES: Final = "/api/sites"
_ONE: Final = f"{_SITES}/{{site}}"
FEATURE = Feature(
    router,
    {
        ("GET", _SITES): Access(Permission.SITES_READ),
        ("POST", _SITES): Access(Permission.MONITORING_CONFIGURE),
        ("GET", _ONE): Access(Permission.SITES_READ),
        ("PUT", _ONE): Access(Permission.MONITORING_CONFIGURE),
        ("DELETE", _ONE): Access(Permission.MONITORING_CONFIGURE),
    },
    "Sites on hosts",
)
SitePath = Annotated[str, Path(pattern=SITE_PATTERN, description="id of the site")]
HostQuery = Annotated[str | None, Query(pattern=HOST_PATTERN, description="only those of this host")]
_TAKEN: Responses = {409: problem_response("There is a site of that id, or of that account on the host")}
_MISSING: Responses = {404: problem_response("There is no such site, or it is not the caller's")}


@router.get(_SITES, response_model=schemas.SitePage)
async def list_sites(
    context: Ctx,
    host: HostQuery = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: cursors.Cursor = None,
) -> Any:
    """Sites by id; of USER and READONLY those one is assigned to."""
    after = "" if cursor is None else cursors.decode(cursor, str)
    only = context.principal.sites(context.tenant)
    found = await context.resources.sites.page(context.tenant, limit + 1, after=after, host=host, only=only)
    shown = found[:limit]
    more = len(found) > limit
    return schemas.SitePage(
        sites=[schemas.Site.of(one) for one in shown],
        next_cursor=cursors.encode(shown[-1].id) if more else None,
    )


@router.get(_ONE, response_model=schemas.Site, responses=_MISSING)
async def read_site(context: Ctx, site: SitePath) -> Any:
    """The site."""
    return schemas.Site.of(await visible(context, site))


@router.post(_SITES, response_model=schemas.Site, status_code=201, responses=_TAKEN)
async def create_site(context: Ctx, body: NewSite, request: Request, response: Response) -> Any:
    """A site: its agent learns of it within one interval."""
    made = site_of(body.id, body, _now(context))

    async def work(session: Session) -> None:
        resources = context.resources
        if await resources.sites.count(context.tenant, session=session) >= MAX_SITES:
            raise LimitReached("sites", MAX_SITES)
        try:
            await resources.sites.add(context.tenant, made, session)
        except SiteTaken as e:
            raise errors.site_taken(made.id) from e
        await _note(context, session, Action.SITE_CREATED, made.id, host=made.host, account=made.account)

    await _check_account(context, made)
    await transaction(context.resources.database, work)
    located(request, response, made.id)
    return schemas.Site.of(made)


@router.put(_ONE, response_model=schemas.Site, responses=_TAKEN | _MISSING)
async def change_site(context: Ctx, site: SitePath, body: SiteBody) -> Any:
    """Everything of the site but its id. On another host its history begins anew there."""
    before = await _existing(context, site)
    made = site_of(site, body, _now(context), before)

    async def work(session: Session) -> None:
        try:
            await context.resources.sites.put(context.tenant, made, before.version, session)
        except SiteMoved as e:
            raise errors.site_moved(site) from e
        await _note(context, session, Action.SITE_CHANGED, site, host=made.host, version=made.version)

    await _check_account(context, made)
    await transaction(context.resources.database, work)
    return schemas.Site.of(made)


@router.delete(_ONE, status_code=204, responses=_MISSING)
async def delete_site(context: Ctx, site: SitePath) -> None:
    """It is watched no more. What it reported is kept as long as other history; assignments of users to its id stay
    until they are taken back."""
    await _existing(context, site)

    async def work(session: Session) -> None:
        if not await context.resources.sites.remove(context.tenant, site, session):
            raise errors.no_site()
        await _note(context, session, Action.SITE_DELETED, site)

    await transaction(context.resources.database, work)


async def visible(context: Context, site: str, permission: Permission = Permission.SITES_READ) -> Site:
    """A site that the caller sees. Raises NotFound, also for one that is not the caller's."""
    if not context.principal.may_site(permission, context.tenant, site):
        raise errors.no_site()
    return await _existing(context, site)


async def _existing(context: Context, site: str) -> Site:
    found = await context.resources.sites.get(context.tenant, site)
    if found is None:
        raise errors.no_site()
    return found


async def _check_account(context: Context, made: Site) -> None:
    """One account, one site: else both would be told the same processes."""
    after = ""
    while some := await context.resources.sites.page(context.tenant, 1_000, after=after, host=made.host):
        for one in some:
            if one.account == made.account and one.id != made.id:
                raise errors.account_taken(made.account, one.id)
        after = some[-1].id


async def _note(context: Context, session: Session, action: Action, site: str, **changes: Any) -> None:
    audit = context.resources.identity.audit
    await audit.add(session, context.tenant, context.actor, action, site, **changes)


def _now(context: Context) -> datetime:
    return datetime.fromtimestamp(context.now_ms / 1000, UTC)
