"""/admin/tenants/{tenant}/keys: API keys of senders and readers."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import AfterValidator
from starlette.requests import Request
from starlette.responses import Response
from vigie_identity.api_keys import PREFIX
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response

from vigie_api.admin.bodies import NewKey, Rotation
from vigie_api.admin.listing import InTenant, PageAsked, located
from vigie_api.admin.schemas import ApiKey, CreatedKey, KeyPage

router = APIRouter(tags=["keys"], route_class=AuthorizedRoute)
FEATURE = Feature(
    router,
    {
        ("GET", "/admin/tenants/{tenant}/keys"): Access(Permission.KEYS_READ),
        ("POST", "/admin/tenants/{tenant}/keys"): Access(Permission.KEYS_MANAGE),
        ("GET", "/admin/tenants/{tenant}/keys/{key}"): Access(Permission.KEYS_READ),
        ("POST", "/admin/tenants/{tenant}/keys/{key}/rotate"): Access(Permission.KEYS_MANAGE),
        ("DELETE", "/admin/tenants/{tenant}/keys/{key}"): Access(Permission.KEYS_MANAGE),
    },
    "API keys of senders and readers",
)

_KEYS = "/admin/tenants/{tenant}/keys"
KeyPath = Annotated[
    str,
    Path(description="id of the key, or how it begins: vk_<id>"),
    AfterValidator(lambda key: key.removeprefix(PREFIX)),
]
_ENDED: Responses = {409: problem_response("The key is revoked, has expired, or was rotated already")}


@router.get(_KEYS, response_model=KeyPage)
async def list_keys(context: InTenant, page_request: PageAsked) -> Any:
    """The tenant's keys without their secrets, also those that ended in the last 90 days."""
    page = await context.resources.identity.keys.page(context.tenant, page_request)
    return KeyPage(keys=[ApiKey.of(one) for one in page.items], next_cursor=page.cursor)


@router.post(_KEYS, response_model=CreatedKey, status_code=201)
async def create_key(context: InTenant, body: NewKey, request: Request, response: Response) -> Any:
    """A key. Its secret is in this answer and nowhere else."""
    keys = context.resources.identity.keys
    made = await keys.create(context.tenant, body.name, body.scopes, context.actor, body.expires, body.host)
    located(request, response, made.key.id)
    return CreatedKey(key=ApiKey.of(made.key), secret=made.secret)


@router.get(_KEYS + "/{key}", response_model=ApiKey)
async def read_key(context: InTenant, key: KeyPath) -> Any:
    """The key without its secret."""
    return ApiKey.of(await context.resources.identity.keys.get(context.tenant, key))


@router.post(_KEYS + "/{key}/rotate", response_model=CreatedKey, status_code=201, responses=_ENDED)
async def rotate_key(
    context: InTenant, key: KeyPath, request: Request, response: Response, body: Rotation | None = None
) -> Any:
    """Another key of the same name, scopes and expiry. The old one is good for the overlap and no longer."""
    overlap = timedelta(seconds=(body or Rotation()).overlap_s)
    made = await context.resources.identity.keys.rotate(context.tenant, key, context.actor, overlap)
    located(request, response, made.key.id, under=request.url.path.rsplit("/", 2)[0])
    return CreatedKey(key=ApiKey.of(made.key), secret=made.secret)


@router.delete(_KEYS + "/{key}", status_code=204)
async def revoke_key(context: InTenant, key: KeyPath) -> None:
    """For ever, everywhere within 5 seconds."""
    await context.resources.identity.keys.revoke(context.tenant, key, context.actor)
