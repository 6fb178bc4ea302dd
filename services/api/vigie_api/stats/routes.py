"""/stats: servers, sites and services as they were last reported, and over time. Alerts are served by alerting, the
numbers of live connections by push."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from vigie_contracts.hosts import HOST_PATTERN, SITE_PATTERN
from vigie_identity.permissions import Permission
from vigie_query.times import iso
from vigie_storage.hosts.reports import LatestReport
from vigie_storage.hosts.sites import Site
from vigie_summaries import hosts as shown
from vigie_web import cursors
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS, Responses, problem_response

from vigie_api.context import Context, Ctx
from vigie_api.hosts import errors
from vigie_api.hosts.schemas import ports_of
from vigie_api.sites.routes import visible
from vigie_api.stats import history, schemas
from vigie_api.stats.history import MAX_HOURS, MAX_POINTS, Asked

router = APIRouter(tags=["stats"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("GET", "/stats/server"): Access(Permission.SERVER_READ),
        ("GET", "/stats/server/history"): Access(Permission.SERVER_READ),
        ("GET", "/stats/system"): Access(Permission.SITES_READ),
        ("GET", "/stats/sites"): Access(Permission.SITES_READ_ALL),
        ("GET", "/stats/site/{site}"): Access(Permission.SITES_READ),
        ("GET", "/stats/site/{site}/history"): Access(Permission.SITES_READ),
        ("GET", "/stats/services/{site}"): Access(Permission.SERVICES_READ),
        ("GET", "/stats/services"): Access(Permission.SITES_READ_ALL),
    },
    "Server supervision, as the replaced system shows it",
)
MAX_SITES: Final = 200
HostAsked = Annotated[
    str | None, Query(pattern=HOST_PATTERN, description="which host; the only one there is need not be said")
]
SitePath = Annotated[str, Path(pattern=SITE_PATTERN, description="id of the site")]
Hours = Annotated[float, Query(gt=0, le=MAX_HOURS, description="how far back", examples=[1])]
Points = Annotated[int, Query(ge=1, le=MAX_POINTS, description="how many points at most")]
_NO_HOST: Responses = {404: problem_response("No host has reported, or not this one")}
_NO_SITE: Responses = {404: problem_response("There is no such site, or it is not the caller's")}


@router.get("/stats/server", response_model=schemas.ServerStats, responses=_NO_HOST)
async def server(context: Ctx, host: HostAsked = None) -> Any:
    """The host, whole, as it last reported."""
    report = await _latest(context, await _host(context, host))
    sites, users = await asyncio.gather(
        context.resources.sites.count(context.tenant, report.host),
        context.resources.identity.users.count(context.tenant),
    )
    said = shown.server_stats(report.body, report.at_ms, sites=sites, users=users)
    return schemas.ServerStats(**said, stale=shown.stale(report.body, report.at_ms, context.now_ms))


@router.get("/stats/server/history", response_model=schemas.ServerHistory, responses=_NO_HOST)
async def server_history(context: Ctx, host: HostAsked = None, hours: Hours = 1, points: Points = 60) -> Any:
    """The host over time: of its reports for as long as they are kept, beyond that of windows."""
    name = (await _latest(context, await _host(context, host))).host
    made = await history.of_server(context, name, await _asked(context, name, hours, points))
    return schemas.ServerHistory(**made.head(), host=name, history=[schemas.ServerPoint(**one) for one in made.points])


@router.get("/stats/system", response_model=schemas.ServerStats | schemas.SystemStats, responses=_NO_HOST)
async def system(context: Ctx, host: HostAsked = None) -> Any:
    """For who may see the server the same as /stats/server; for others how busy it is in per cent, of the hosts of
    their sites."""
    if context.principal.may(Permission.SERVER_READ, context.tenant):
        return await server(context, host)
    own = context.principal.sites(context.tenant) or frozenset()
    sites = await context.resources.sites.page(context.tenant, 1_000, only=own) if own else []
    names = sorted({site.host for site in sites})
    if host is None:
        if len(names) > 1:
            raise errors.which_host(names)
        host = names[0] if names else None
    if host is None or host not in names:
        raise errors.no_host()
    report = await _latest(context, host)
    parts = {
        name: schemas.Percent(percent=(report.body.get(name) or {}).get("percent"))
        for name in ("cpu", "memory", "disk")
    }
    return schemas.SystemStats(host=host, timestamp=iso(report.at_ms), **parts)


@router.get("/stats/sites", response_model=schemas.SiteList)
async def all_sites(
    context: Ctx,
    host: Annotated[str | None, Query(pattern=HOST_PATTERN, description="only those of this host")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_SITES)] = 100,
    cursor: cursors.Cursor = None,
) -> Any:
    """Sites by id, of all hosts."""
    after = "" if cursor is None else cursors.decode(cursor, str)
    found = await context.resources.sites.page(context.tenant, limit + 1, after=after, host=host)
    sites = found[:limit]
    hosts = {site.host for site in sites}
    reports = await context.resources.host_reports.some(
        context.tenant, hosts, "host", "interval", "agent", "sites", "services.site", "services.state", "services.name"
    )
    more = len(found) > limit
    return schemas.SiteList(
        timestamp=iso(context.now_ms),
        sites=[_site_stats(context, site, reports.get(site.host)) for site in sites],
        next_cursor=cursors.encode(sites[-1].id) if more else None,
    )


@router.get("/stats/site/{site}", response_model=schemas.SiteStats, responses=_NO_SITE)
async def one_site(context: Ctx, site: SitePath) -> Any:
    """The site, as its host last reported."""
    known = await visible(context, site)
    return _site_stats(context, known, await _known(context, known.host))


@router.get("/stats/site/{site}/history", response_model=schemas.SiteHistory, responses=_NO_SITE)
async def site_history(context: Ctx, site: SitePath, hours: Hours = 1, points: Points = 60) -> Any:
    """The site over time: of reports for as long as they are kept, beyond that of windows."""
    known = await visible(context, site)
    made = await history.of_site(context, known, await _asked(context, known.host, hours, points))
    return schemas.SiteHistory(
        **made.head(), site=site, host=known.host, history=[schemas.SitePoint(**one) for one in made.points]
    )


@router.get("/stats/services/{site}", response_model=schemas.Services, responses=_NO_SITE)
async def site_services(context: Ctx, site: SitePath) -> Any:
    """The services of a site."""
    known = await visible(context, site, Permission.SERVICES_READ)
    return _services(known.host, site, await _known(context, known.host))


@router.get("/stats/services", response_model=schemas.Services, responses=_NO_HOST)
async def all_services(context: Ctx, host: HostAsked = None) -> Any:
    """All services of a host that its agent watches."""
    report = await _latest(context, await _host(context, host))
    return _services(report.host, None, report)


async def _host(context: Context, asked: str | None) -> str:
    """The host that is asked for. Raises NotFound when there is none, InvalidField when there are several."""
    if asked is not None:
        return asked
    names: list[str] = await context.resources.stats.get(
        (context.tenant, None), lambda: context.resources.host_reports.names(context.tenant)
    )
    if not names:
        raise errors.no_host()
    if len(names) > 1:
        raise errors.which_host(names)
    return names[0]


async def _known(context: Context, host: str) -> LatestReport | None:
    return await context.resources.stats.get(
        (context.tenant, host), lambda: context.resources.host_reports.latest(context.tenant, host)
    )


async def _latest(context: Context, host: str) -> LatestReport:
    found = await _known(context, host)
    if found is None:
        raise errors.no_host()
    return found


async def _asked(context: Context, host: str, hours: float, points: int) -> Asked:
    configs = await context.resources.monitoring.all_of(context.tenant)
    return Asked(hours, points, configs.of(host).retention_hours)


def _site_stats(context: Context, site: Site, report: LatestReport | None) -> schemas.SiteStats:
    body: Mapping[str, Any] = {"host": site.host} if report is None else report.body
    at_ms = 0 if report is None else report.at_ms
    return schemas.SiteStats(
        **shown.site_stats(body, at_ms, site.id),
        name=site.name,
        stale=report is None or shown.stale(body, at_ms, context.now_ms),
        domains=list(site.domains),
        ports=ports_of(site),
    )


def _services(host: str, site: str | None, report: LatestReport | None) -> schemas.Services:
    services = [] if report is None else shown.services_of(report.body, site)
    return schemas.Services(
        **shown.counts(services),
        host=host,
        site=site,
        timestamp=None if report is None else iso(report.at_ms),
        services=[schemas.Service(**one) for one in services],
    )
