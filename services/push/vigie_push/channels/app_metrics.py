"""`app`: what an app says of its performance, as it arrives, to those who look at that app.

`appId` says which one. How it begins, goes on and is resumed: `report_feed`. Seen by whoever has `sites.read`; without
`sites.read-all` only of the apps one is assigned to: others do not exist.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from vigie_contracts import apps
from vigie_contracts.reports import Report
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Permission
from vigie_identity.principal import Principal
from vigie_query.times import iso
from vigie_storage.reports.newest import NewestReports

from vigie_push.channels.base import ChannelMessage, Parameters, Topic
from vigie_push.channels.names import ChannelName
from vigie_push.channels.report_feed import ReportFeed, ReportSources
from vigie_push.channels.resources import ChannelResources
from vigie_push.sources import reports_tail


class AppParameters(Parameters, frozen=True, kw_only=True):
    app_id: Annotated[str, Meta(min_length=1, max_length=128)]


class AppPayload(msgspec.Struct, rename="camel", kw_only=True):
    """What the app sent."""

    app_id: str
    metrics: Any
    timestamp: Any
    """As the app said it; when it came where the app said none."""


class AppMessage(ChannelMessage, tag="metrics", kw_only=True):
    """Metrics of the app."""

    payload: AppPayload


class AppChannel:
    """See the module's text."""

    name = ChannelName.APP.value
    parameters = AppParameters
    messages = (AppMessage,)
    sources = (reports_tail.NAME,)
    permission = Permission.SITES_READ

    def __init__(self, resources: ChannelResources) -> None:
        self._reports = ReportSources(NewestReports(resources.database), resources.recent_reports)

    def authorise(self, principal: Principal, tenant: TenantId, parameters: AppParameters) -> AppParameters:
        """See `Channel`."""
        principal.require_app(Permission.SITES_READ, tenant, parameters.app_id)
        return parameters

    async def open(self, topic: Topic[AppParameters]) -> ReportFeed:
        """See `Channel`."""
        feed = ReportFeed(topic.tenant, apps.KIND, topic.parameters.app_id, self._reports, message)
        await feed.begin()
        return feed


def message(report: Report) -> AppMessage:
    """A report, as it is told."""
    said = report.body.get(apps.TIMESTAMP)
    return AppMessage(
        payload=AppPayload(
            app_id=report.subject,
            metrics=report.body.get(apps.METRICS),
            timestamp=iso(report.timestamp) if said in (None, "") else said,
        )
    )
