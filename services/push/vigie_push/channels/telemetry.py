"""`telemetry`: what the tenant's node reports of itself (`POST /telemetry`), as it arrives.

How it begins, goes on and is resumed: `report_feed`. Seen by whoever has `telemetry.read`, of any tenant: name it.
"""

from __future__ import annotations

from typing import Any

from vigie_contracts import telemetry
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


class TelemetryParameters(Parameters, frozen=True):
    """None."""


class TelemetryMessage(ChannelMessage, tag="telemetry", kw_only=True):
    """A report of the node."""

    data: dict[str, Any]
    """`tenantId`, `timestamp` (UTC), and what the node sent: `uptime`, `activeUsers`, ..."""


class TelemetryChannel:
    """See the module's text."""

    name = ChannelName.TELEMETRY.value
    parameters = TelemetryParameters
    messages = (TelemetryMessage,)
    sources = (reports_tail.NAME,)
    permission = Permission.TELEMETRY_READ

    def __init__(self, resources: ChannelResources) -> None:
        self._reports = ReportSources(NewestReports(resources.database), resources.recent_reports)

    def authorise(self, principal: Principal, tenant: TenantId, parameters: TelemetryParameters) -> TelemetryParameters:
        """See `Channel`."""
        principal.require(Permission.TELEMETRY_READ, tenant)
        return parameters

    async def open(self, topic: Topic[TelemetryParameters]) -> ReportFeed:
        """See `Channel`."""
        feed = ReportFeed(topic.tenant, telemetry.KIND, telemetry.SUBJECT, self._reports, message)
        await feed.begin()
        return feed


def message(report: Report) -> TelemetryMessage:
    """A report, as it is told."""
    return TelemetryMessage(data={**report.body, "tenantId": report.tenant, "timestamp": iso(report.timestamp)})
