"""GET /api/metrics/summary, /api/dashboard/summary and /api/dashboard/realtime."""

from __future__ import annotations

from pydantic import Field

from vigie_summaries.schemas.application import Requests
from vigie_summaries.schemas.base import Model, Number, Ranged, Time
from vigie_summaries.schemas.business import Bookings, Money, Satisfaction
from vigie_summaries.schemas.common import Breakdown, CustomMetric
from vigie_summaries.schemas.system import Level


class SystemOverview(Model):
    """Percentages are 0 to 100, over all hosts."""

    hosts: int
    cpu_usage_percent: Level
    memory_usage_percent: Level
    disk_usage_percent: Level


class ApplicationOverview(Model):
    services: int
    requests: Requests
    latency: Breakdown
    active_connections: Number


class BusinessOverview(Model):
    bookings: Bookings
    revenue: list[Money]
    active_users: Number
    satisfaction: Satisfaction


class DashboardSummary(Ranged):
    """The head of a dashboard."""

    system: SystemOverview
    application: ApplicationOverview
    business: BusinessOverview


class SeriesCount(Model):
    """What is recorded."""

    total: int
    metrics: int = Field(description="different names and types")
    gauge: int
    counter: int
    histogram: int
    live: int = Field(description="series with a sample in the last five minutes")


class MetricsSummary(DashboardSummary):
    """The dashboard's head, what is recorded, and every metric that Vigie gives no meaning to itself."""

    series: SeriesCount
    custom: list[CustomMetric] = Field(description="by name; at most 500")
    custom_total: int = Field(description="how many there are")
    custom_truncated: bool


class RealtimeMetrics(Model):
    """The last minute, and what was sent last."""

    timestamp: Time
    window_seconds: Number = Field(description="length of the stretch that the rates are of")
    requests_per_second: Number
    error_rate_percent: Number
    latency: Breakdown
    bookings_per_minute: Number = Field(description="bookings created")
    completed_per_minute: Number
    cancelled_per_minute: Number
    revenue_per_minute: list[Money]
    events_per_minute: Number
    active_users: Number = Field(description="last values of the services, added")
    active_connections: Number = Field(description="last values of the services, added")
    cpu_usage_percent: Number = Field(description="mean of the hosts' last values")
    memory_usage_percent: Number = Field(description="mean of the hosts' last values")
    newest_sample_at: Time | None = Field(description="time of the newest sample of all series")
    live_series: int = Field(description="series with a sample in the last five minutes")
