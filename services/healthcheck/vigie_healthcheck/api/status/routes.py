"""/status/{tenant}: the public page with its feeds, and badges."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import NotFound
from vigie_identity.permissions import Permission
from vigie_web.access import PUBLIC, Access
from vigie_web.feature import Feature
from vigie_web.named_route import NamedRoute
from vigie_web.problem_schema import READ_PROBLEMS, Responses, problem_response
from vigie_web.security import CONTENT_SECURITY_POLICY
from vigie_web.state import app_state

from vigie_healthcheck import badges
from vigie_healthcheck.api.context import Ctx
from vigie_healthcheck.api.health.routes import Name
from vigie_healthcheck.api.status.schemas import StatusResult
from vigie_healthcheck.api.visible import seen
from vigie_healthcheck.known import Known
from vigie_healthcheck.readings import Span
from vigie_healthcheck.reads import Reads
from vigie_healthcheck.settings import HealthcheckSettings
from vigie_healthcheck.status.feed import rss
from vigie_healthcheck.status.pages import KEPT_S
from vigie_healthcheck.status.rendering import POLICY
from vigie_healthcheck.targets.errors import TargetNotFound
from vigie_healthcheck.uptime import Window

router = APIRouter(tags=["status pages"], route_class=NamedRoute, responses=READ_PROBLEMS)
_PAGE: Final = "/status/{tenant}"
_PUBLIC_BADGE: Final = "/status/{tenant}/services/{name}/badge.svg"
_BADGE: Final = "/api/health/services/{name}/badge.svg"
FEATURE = Feature(
    router,
    {
        ("GET", f"{_PAGE}.json"): PUBLIC,
        ("GET", f"{_PAGE}.rss"): PUBLIC,
        ("GET", _PAGE): PUBLIC,
        ("GET", _PUBLIC_BADGE): PUBLIC,
        ("GET", _BADGE): Access(Permission.SERVICES_READ),
    },
    "What anybody may see of services that are public",
)
_CACHED: Final = f"public, max-age={KEPT_S:.0f}"
_BADGE_S: Final = 30
_NOT_FOUND: Responses = {404: problem_response("There is no such tenant, or it shows nothing")}
_SVG: Responses = {
    200: {"content": {"image/svg+xml": {}}},
    404: problem_response("There is no such service, or it is not public"),
}
Tenant = Annotated[str, Path(max_length=128)]


class Badge(StrEnum):
    STATUS = "status"
    UPTIME = "uptime"
    LATENCY = "latency"


Type = Annotated[Badge, Query(alias="type", description="latency: the median")]
BadgeWindow = Annotated[Window, Query(description="of uptime and latency: the time up to now")]


@router.get(f"{_PAGE}.json", response_model=StatusResult, responses=_NOT_FOUND)
async def status_json(request: Request, tenant: Tenant) -> Any:
    """The status page as JSON."""
    made = await _reads(request).pages.of(tenant)
    return JSONResponse(StatusResult.of(made.page).model_dump(mode="json"), headers={"cache-control": _CACHED})


@router.get(
    f"{_PAGE}.rss",
    response_class=Response,
    responses={**_NOT_FOUND, 200: {"content": {"application/rss+xml": {}}}},
)
async def status_rss(request: Request, tenant: Tenant) -> Response:
    """Incidents and maintenance as a feed, RSS 2.0."""
    made = await _reads(request).pages.of(tenant)
    body = rss(made.page, _link(request, made.page.tenant)).encode("utf-8", "replace")
    return Response(body, headers={"cache-control": _CACHED}, media_type="application/rss+xml")


@router.get(_PAGE, response_class=Response, responses={**_NOT_FOUND, 200: {"content": {"text/html": {}}}})
async def status_page(request: Request, tenant: Tenant) -> Response:
    """The status page of a tenant: its public services, uptime, incidents and maintenance. It needs no script."""
    made = await _reads(request).pages.of(tenant)
    headers = {"cache-control": _CACHED, CONTENT_SECURITY_POLICY: POLICY}
    return Response(made.html, headers=headers, media_type="text/html; charset=utf-8")


@router.get(_PUBLIC_BADGE, response_class=Response, responses=_SVG)
async def public_badge(
    request: Request, tenant: Tenant, name: Name, type_: Type = Badge.STATUS, window: BadgeWindow = Window.DAY
) -> Response:
    """A badge of a service that is public, for anybody."""
    reads = _reads(request)
    try:
        owner = await reads.pages.tenant(tenant)
        known = await reads.health.one(owner, name)
    except (NotFound, TargetNotFound):
        raise NotFound("public service") from None
    if not known.target.public:
        raise NotFound("public service")
    return await _badge(reads, owner, known, type_, window, scope="public")


@router.get(_BADGE, response_class=Response, responses=_SVG)
async def badge(context: Ctx, name: Name, type_: Type = Badge.STATUS, window: BadgeWindow = Window.DAY) -> Response:
    """A badge of any service. Of one that is public, `/status/{tenant}/services/{name}/badge.svg` is the same without a
    credential."""
    known = await seen(context, name)
    return await _badge(context.resources.reads, context.tenant, known, type_, window, scope="private")


async def _badge(reads: Reads, tenant: TenantId, known: Known, type_: Badge, window: Window, *, scope: str) -> Response:
    target, readings = known.target, reads.readings
    match type_:
        case Badge.STATUS:
            svg = badges.of_state(target.name, known.verdict(reads.clock.now_ms()))
        case Badge.UPTIME:
            svg = badges.of_uptime(target.name, (await readings.uptime(tenant, Span.of(target), window)).percent)
        case Badge.LATENCY:
            svg = badges.of_latency(target.name, (await readings.latency(tenant, Span.of(target), window)).p50)
    headers = {"cache-control": f"{scope}, max-age={_BADGE_S}", CONTENT_SECURITY_POLICY: "default-src 'none'"}
    return Response(svg, headers=headers, media_type="image/svg+xml")


def _link(request: Request, tenant: str) -> str:
    """Where people see the page: by the settings, for a proxy may have called us by another name."""
    settings: HealthcheckSettings = app_state(request).settings
    base = settings.external_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"
    return f"{base}/status/{quote(tenant, safe='')}"


def _reads(request: Request) -> Reads:
    return app_state(request).connected().reads
