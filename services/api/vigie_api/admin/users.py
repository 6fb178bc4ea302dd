"""/admin/tenants/{tenant}/users, and /admin/users for those of the platform."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts.tenants import TenantId, tenant_id
from vigie_identity.errors import NotFound
from vigie_identity.pages import PageRequest
from vigie_identity.permissions import Permission
from vigie_identity.principal import TENANT, Place
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response

from vigie_api.admin.bodies import AnyPassword, NewAssignment, NewUser, UserChange
from vigie_api.admin.listing import InTenant, PageAsked, located
from vigie_api.admin.schemas import GuestPage, UserPage
from vigie_api.auth.schemas import Guest, User
from vigie_api.context import Context, Ctx

router = APIRouter(tags=["users"], route_class=AuthorizedRoute)
FEATURE = Feature(
    router,
    {
        ("GET", "/admin/tenants/{tenant}/users"): Access(Permission.USERS_READ),
        ("POST", "/admin/tenants/{tenant}/users"): Access(Permission.USERS_MANAGE),
        ("GET", "/admin/tenants/{tenant}/users/{user}"): Access(Permission.USERS_READ),
        ("PATCH", "/admin/tenants/{tenant}/users/{user}"): Access(Permission.USERS_MANAGE),
        ("DELETE", "/admin/tenants/{tenant}/users/{user}"): Access(Permission.USERS_MANAGE),
        ("PUT", "/admin/tenants/{tenant}/users/{user}/password"): Access(Permission.USERS_MANAGE),
        ("PUT", "/admin/tenants/{tenant}/users/{user}/assignments/{other}"): Access(Permission.TENANTS_MANAGE),
        ("DELETE", "/admin/tenants/{tenant}/users/{user}/assignments/{other}"): Access(Permission.TENANTS_MANAGE),
        ("PUT", "/admin/tenants/{tenant}/users/{user}/apps/{app}"): Access(Permission.USERS_MANAGE),
        ("DELETE", "/admin/tenants/{tenant}/users/{user}/apps/{app}"): Access(Permission.USERS_MANAGE),
        ("PUT", "/admin/tenants/{tenant}/users/{user}/sites/{site}"): Access(Permission.USERS_MANAGE),
        ("DELETE", "/admin/tenants/{tenant}/users/{user}/sites/{site}"): Access(Permission.USERS_MANAGE),
        ("GET", "/admin/tenants/{tenant}/guests"): Access(Permission.USERS_READ),
        ("GET", "/admin/users"): Access(Permission.USERS_READ, platform=True),
        ("POST", "/admin/users"): Access(Permission.USERS_MANAGE, platform=True),
        ("GET", "/admin/users/{user}"): Access(Permission.USERS_READ, platform=True),
        ("PATCH", "/admin/users/{user}"): Access(Permission.USERS_MANAGE, platform=True),
        ("DELETE", "/admin/users/{user}"): Access(Permission.USERS_MANAGE, platform=True),
        ("PUT", "/admin/users/{user}/password"): Access(Permission.USERS_MANAGE, platform=True),
    },
    "People: of a tenant, and of the platform",
)

_TENANT = "/admin/tenants/{tenant}/users"
_PLATFORM = "/admin/users"
_TAKEN: Responses = {409: problem_response("There is a user of that name already")}
_NO_ID: Responses = {422: problem_response("It cannot be the id of an app or a site")}
_LAST: Responses = {409: problem_response("This is the last SUPERADMIN")}


@router.get(_TENANT, response_model=UserPage)
async def list_users(context: InTenant, page_request: PageAsked) -> Any:
    """The users whose home the tenant is."""
    return await _page(context, page_request)


@router.get(_PLATFORM, response_model=UserPage)
async def list_platform_users(context: Ctx, page_request: PageAsked) -> Any:
    """The users of the platform: SUPERADMIN and SUPPORT."""
    return await _page(context, page_request)


@router.post(_TENANT, response_model=User, status_code=201, responses=_TAKEN)
async def create_user(context: InTenant, body: NewUser, request: Request, response: Response) -> Any:
    """A user whose home the tenant is. Names are unique there, whatever their case."""
    return await _create(context, body, request, response)


@router.post(_PLATFORM, response_model=User, status_code=201, responses=_TAKEN)
async def create_platform_user(context: Ctx, body: NewUser, request: Request, response: Response) -> Any:
    """A SUPERADMIN or SUPPORT, who sees every tenant."""
    return await _create(context, body, request, response)


@router.get(_TENANT + "/{user}", response_model=User)
async def read_user(context: InTenant, user: str) -> Any:
    """The user, and what the user is in this tenant."""
    return await _read(context, user)


@router.get(_PLATFORM + "/{user}", response_model=User)
async def read_platform_user(context: Ctx, user: str) -> Any:
    """A SUPERADMIN or SUPPORT."""
    return await _read(context, user)


@router.patch(_TENANT + "/{user}", response_model=User)
async def change_user(context: InTenant, user: str, body: UserChange) -> Any:
    """Change what is said and leave the rest, all in one transaction. Switched off, all sessions of the user end."""
    return await _change(context, user, body)


@router.patch(_PLATFORM + "/{user}", response_model=User, responses=_LAST)
async def change_platform_user(context: Ctx, user: str, body: UserChange) -> Any:
    """Change what is said and leave the rest, all in one transaction. One SUPERADMIN always stays."""
    return await _change(context, user, body)


@router.delete(_TENANT + "/{user}", status_code=204)
async def remove_user(context: InTenant, user: str) -> None:
    """For ever; all sessions of the user end."""
    await context.resources.identity.users.remove(context.tenant, user, context.actor)


@router.delete(_PLATFORM + "/{user}", status_code=204, responses=_LAST)
async def remove_platform_user(context: Ctx, user: str) -> None:
    """For ever; all sessions of the user end. One SUPERADMIN always stays."""
    await context.resources.identity.users.remove(context.tenant, user, context.actor)


@router.put(_TENANT + "/{user}/password", status_code=204)
async def set_password(context: InTenant, user: str, body: AnyPassword) -> None:
    """Another password for a user who lost it; all sessions of the user end."""
    await _set_password(context, user, body)


@router.put(_PLATFORM + "/{user}/password", status_code=204)
async def set_platform_password(context: Ctx, user: str, body: AnyPassword) -> None:
    """Another password for a user who lost it; all sessions of the user end."""
    await _set_password(context, user, body)


@router.get("/admin/tenants/{tenant}/guests", response_model=GuestPage)
async def list_guests(context: InTenant, page_request: PageAsked) -> Any:
    """The users of other tenants who are assigned to this one, and what they are here."""
    page = await context.resources.identity.users.guests(context.tenant, page_request)
    return GuestPage(guests=[Guest.of(one) for one in page.items], next_cursor=page.cursor)


@router.put(_TENANT + "/{user}/assignments/{other}", response_model=User)
async def assign(context: InTenant, user: str, other: str, body: NewAssignment) -> Any:
    """Let the user into the tenant `other` too, with a role there. What was assigned there before is replaced."""
    users = context.resources.identity.users
    return User.of(
        await users.assign(
            context.tenant, user, _tenant(other), body.role, context.actor, apps=body.apps, sites=body.sites
        )
    )


@router.delete(_TENANT + "/{user}/assignments/{other}", status_code=204)
async def unassign(context: InTenant, user: str, other: str) -> None:
    """Take a further tenant away again; the home stays."""
    await context.resources.identity.users.unassign(context.tenant, user, _tenant(other), context.actor)


@router.put(_TENANT + "/{user}/apps/{app}", response_model=User, responses=_NO_ID)
async def give_app(context: InTenant, user: str, app: str) -> Any:
    """Let the user see an app too, whatever else is changed meanwhile."""
    return await _give(context, user, Place.APPS, app)


@router.delete(_TENANT + "/{user}/apps/{app}", status_code=204)
async def take_app(context: InTenant, user: str, app: str) -> None:
    """Take an app away from the user; nothing happens when it is none of the user's."""
    await context.resources.identity.users.take(context.tenant, user, Place.APPS, app, context.actor)


@router.put(_TENANT + "/{user}/sites/{site}", response_model=User, responses=_NO_ID)
async def give_site(context: InTenant, user: str, site: str) -> Any:
    """Let the user see a site too, whatever else is changed meanwhile."""
    return await _give(context, user, Place.SITES, site)


@router.delete(_TENANT + "/{user}/sites/{site}", status_code=204)
async def take_site(context: InTenant, user: str, site: str) -> None:
    """Take a site away from the user; nothing happens when it is none of the user's."""
    await context.resources.identity.users.take(context.tenant, user, Place.SITES, site, context.actor)


async def _give(context: Context, user: str, place: Place, id_: str) -> User:
    return User.of(await context.resources.identity.users.give(context.tenant, user, place, id_, context.actor))


async def _page(context: Context, page_request: PageRequest) -> UserPage:
    page = await context.resources.identity.users.page(context.tenant, page_request, full=_full(context))
    return UserPage(users=[User.of(one) for one in page.items], next_cursor=page.cursor)


async def _create(context: Context, body: NewUser, request: Request, response: Response) -> User:
    made = await context.resources.identity.users.create(
        context.tenant, body.name, body.password, body.role, context.actor, apps=body.apps, sites=body.sites
    )
    located(request, response, made.id)
    return User.of(made)


async def _read(context: Context, user: str) -> User:
    return User.of(await context.resources.identity.users.get(context.tenant, user, full=_full(context)))


async def _change(context: Context, user: str, body: UserChange) -> User:
    said = body.model_dump(exclude_unset=True)
    users = context.resources.identity.users
    return User.of(await users.change(context.tenant, user, context.actor, full=_full(context), **said))


async def _set_password(context: Context, user: str, body: AnyPassword) -> None:
    users = context.resources.identity.users
    await users.set_password(context.tenant, user, body.password, context.actor, full=_full(context))


def _full(context: Context) -> bool:
    """Whether the caller may know and do what concerns further tenants of a user."""
    return context.principal.may(Permission.TENANTS_MANAGE, context.tenant)


def _tenant(text: str) -> TenantId:
    if (named := tenant_id(text)) is None:
        raise NotFound(TENANT)
    return named
