"""`server`, `site` and `services`: what hosts report, at every collection, in the words of the replaced supervision.

- `server` (`host`, unless there is only one): `serverStats`. Seen by whoever has `server.read`.
- `site` (`siteId`): `siteStats`. Seen by whoever has `sites.read` and, without `sites.read-all`, is assigned to it.
- `services` (`siteId`, or for whoever sees every site `host`): `serviceStatus`, all of its services. Seen as a site is,
  by whoever has `services.read`.

How a channel begins, goes on and is resumed: `report_feed`. Messages are what `/stats` answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from vigie_contracts import hosts
from vigie_contracts.hosts import HostName, SiteId
from vigie_contracts.reports import Report
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import InvalidField, NotFound
from vigie_identity.permissions import Permission
from vigie_identity.principal import Principal
from vigie_query.times import iso
from vigie_storage.hosts.newest import NewestHostReports
from vigie_storage.hosts.sites import Sites
from vigie_storage.hosts.totals import HostTotals, Totals
from vigie_summaries import hosts as shown

from vigie_push.channels.base import ChannelMessage, Parameters, Topic, Update
from vigie_push.channels.names import ChannelName
from vigie_push.channels.report_feed import ReportFeed, ReportSources
from vigie_push.channels.resources import ChannelResources
from vigie_push.sources import reports_tail

SITE: Final = "site"
_NAMED: Final = 10


class ServerParameters(Parameters, frozen=True, kw_only=True):
    host: HostName | None = None
    """Unless there is only one."""


class SiteParameters(Parameters, frozen=True, kw_only=True):
    site_id: SiteId


class ServicesParameters(Parameters, frozen=True, kw_only=True):
    site_id: SiteId | None = None
    """Of this site; without it all services of the host."""
    host: HostName | None = None


class ServerStatsMessage(ChannelMessage, tag="serverStats", kw_only=True):
    """A host has reported: as `GET /stats/server`."""

    data: dict[str, Any]


class SiteStatsMessage(ChannelMessage, tag="siteStats", kw_only=True):
    """The host of a site has reported: as `GET /stats/site/{site}`, without what is configured of it."""

    site_id: str
    data: dict[str, Any]


class Statuses(msgspec.Struct, rename="camel", kw_only=True):
    """The services of a site or host, and how many are in which state."""

    host: str
    site: str | None
    timestamp: str
    total: int
    running: int
    stopped: int
    failed: int
    services: Annotated[list[dict[str, Any]], Meta(max_length=hosts.MAX_SERVICES)]


class ServiceStatusMessage(ChannelMessage, tag="serviceStatus", kw_only=True):
    """The states of services: as `GET /stats/services/{site}`."""

    site_id: str | None
    data: Statuses


class HostFeed(ReportFeed):
    """An open topic: the reports of one host. `host` None: of the only one there is, as soon as there is one."""

    def __init__(
        self,
        tenant: TenantId,
        host: str | None,
        sources: ReportSources,
        message: Callable[[Report], ChannelMessage],
        refresh: Callable[[str], Any],
    ) -> None:
        """`refresh` is awaited with the host before the store is read."""
        super().__init__(tenant, hosts.KIND, host or "", sources, message)
        self._refresh = refresh

    def updates(self, record: Report) -> list[Update]:
        """See `Feed`."""
        if not self._subject and record.kind == self._kind:
            self._subject = record.subject
        return super().updates(record)

    async def poll(self) -> Sequence[Update]:
        """See `Feed`."""
        await self._refresh(self._subject)
        return await super().poll() if self._subject else []


class _Hosts:
    """What the channels have in common."""

    sources = (reports_tail.NAME,)

    def __init__(self, resources: ChannelResources) -> None:
        self._newest = NewestHostReports(resources.database)
        self._reports = ReportSources(self._newest, resources.recent_reports)
        self._sites = Sites(resources.database)
        self._totals = HostTotals(resources.database)

    async def _only(self, tenant: TenantId) -> str | None:
        """The only host there is. Raises InvalidField when there are several."""
        names = await self._newest.names(tenant, _NAMED + 1)
        if len(names) > 1:
            more = " and others" if len(names) > _NAMED else ""
            raise InvalidField("host", f"say which one: {', '.join(names[:_NAMED])}{more}")
        return names[0] if names else None

    async def _host_of(self, tenant: TenantId, site: str) -> str:
        """Raises NotFound."""
        found = await self._sites.get(tenant, site)
        if found is None:
            raise NotFound(SITE)
        return found.host

    async def _feed(
        self, tenant: TenantId, host: str | None, message: Callable[[Report], ChannelMessage], refresh: Any = None
    ) -> HostFeed:
        feed = HostFeed(tenant, host, self._reports, message, refresh or _nothing)
        await feed.begin()
        return feed


async def _nothing(_host: str) -> None: ...


class ServerChannel(_Hosts):
    """See the module's text."""

    name = ChannelName.SERVER.value
    parameters = ServerParameters
    messages = (ServerStatsMessage,)
    permission = Permission.SERVER_READ

    def authorise(self, principal: Principal, tenant: TenantId, parameters: ServerParameters) -> ServerParameters:
        """See `Channel`."""
        principal.require(Permission.SERVER_READ, tenant)
        return parameters

    async def open(self, topic: Topic[ServerParameters]) -> HostFeed:
        """See `Channel`. Raises InvalidField."""
        tenant = topic.tenant
        totals = Totals()

        async def refresh(host: str) -> None:
            nonlocal totals
            totals = await self._totals.of(tenant, host)

        def message(report: Report) -> ServerStatsMessage:
            said = shown.server_stats(report.body, report.timestamp, sites=totals.sites, users=totals.users)
            return ServerStatsMessage(data=said)

        host = topic.parameters.host or await self._only(tenant)
        return await self._feed(tenant, host, message, refresh)


class SiteChannel(_Hosts):
    """See the module's text."""

    name = ChannelName.SITE.value
    parameters = SiteParameters
    messages = (SiteStatsMessage,)
    permission = Permission.SITES_READ

    def authorise(self, principal: Principal, tenant: TenantId, parameters: SiteParameters) -> SiteParameters:
        """See `Channel`."""
        _require_site(principal, Permission.SITES_READ, tenant, parameters.site_id)
        return parameters

    async def open(self, topic: Topic[SiteParameters]) -> HostFeed:
        """See `Channel`. Raises NotFound."""
        site = topic.parameters.site_id

        def message(report: Report) -> SiteStatsMessage:
            return SiteStatsMessage(site_id=site, data=shown.site_stats(report.body, report.timestamp, site))

        return await self._feed(topic.tenant, await self._host_of(topic.tenant, site), message)


class ServicesChannel(_Hosts):
    """See the module's text."""

    name = ChannelName.SERVICES.value
    parameters = ServicesParameters
    messages = (ServiceStatusMessage,)
    permission = Permission.SERVICES_READ

    def authorise(self, principal: Principal, tenant: TenantId, parameters: ServicesParameters) -> ServicesParameters:
        """See `Channel`."""
        principal.require(Permission.SERVICES_READ, tenant)
        if parameters.site_id is None:
            principal.require(Permission.SITES_READ_ALL, tenant)
        else:
            _require_site(principal, Permission.SERVICES_READ, tenant, parameters.site_id)
        return parameters

    async def open(self, topic: Topic[ServicesParameters]) -> HostFeed:
        """See `Channel`. Raises NotFound, InvalidField."""
        asked, site = topic.parameters, topic.parameters.site_id

        def message(report: Report) -> ServiceStatusMessage:
            services = shown.services_of(report.body, site)
            data = Statuses(
                host=report.subject,
                site=site,
                timestamp=iso(report.timestamp),
                services=services,
                **shown.counts(services),
            )
            return ServiceStatusMessage(site_id=site, data=data)

        if site is not None:
            host: str | None = await self._host_of(topic.tenant, site)
        else:
            host = asked.host or await self._only(topic.tenant)
        return await self._feed(topic.tenant, host, message)


def _require_site(principal: Principal, permission: Permission, tenant: TenantId, site: str) -> None:
    """Raises as `Principal.require`; NotFound for a site that is not the caller's."""
    principal.require(permission, tenant)
    if not principal.may_site(permission, tenant, site):
        raise NotFound(SITE)
