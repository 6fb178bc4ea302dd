"""GET /admin/tenant/{id}/metrics..., /admin/global/summary and /admin/global/usage-trends."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from vigie_api.node_reports.numbers import Trend
from vigie_api.schemas import Model, Time

Value = int | float | None
"""Whole numbers are written without a fraction. Null: there is no report behind it."""
Percent = Annotated[int | float | None, Field(ge=0, le=100)]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$", examples=["2025-11-24"])]


class _NodeNumbers(Model):
    """What a node said of itself."""

    id: str = Field(description="of the report")
    uptime: Value = Field(description="seconds since the node started")
    active_users: Value
    exercises_completed_today: Value
    ai_latency: Value = Field(description="milliseconds; null when the node did not say it")
    version: str | None = Field(description="null when the node did not say it")


class Metric(_NodeNumbers):
    """The numbers of a report."""

    timestamp: Time


class WholeMetric(_NodeNumbers):
    """A report, whole."""

    additional_data: dict[str, Any] | None = Field(description="as it was sent; null when it was not")
    timestamp: Time


class Pagination(Model):
    total: int = Field(description="how many reports there are, exactly")
    limit: int
    offset: int
    has_more: bool


class HistoryAnswer(Model):
    """A page of a tenant's reports, newest first."""

    tenant_id: str
    tenant_name: str
    data: list[WholeMetric]
    pagination: Pagination


class LatestAnswer(Model):
    """A tenant's newest report."""

    tenant_id: str
    tenant_name: str
    metric: Metric


class AggregatedMetrics(Model):
    """Over the reports of the period; averages to two decimals."""

    avg_uptime: Value
    avg_active_users: Value
    avg_exercises_per_day: Value = Field(description="mean of `exercisesCompletedToday` over the reports")
    avg_ai_latency: Value = Field(description="over the reports that said it")
    max_active_users: Value
    max_exercises: Value
    max_ai_latency: Value
    min_active_users: Value
    min_exercises: Value
    min_ai_latency: Value
    total_exercises: Value = Field(description="sum of `exercisesCompletedToday` over the reports")


class AggregatedTrend(Model):
    """The mean of the period's second half against the first: more than 5 % up or down, else stable."""

    active_users: Trend
    exercises: Trend
    ai_latency: Trend


class AggregatedAnswer(Model):
    """A tenant's reports of a period, added up."""

    period: str
    start_date: Time = Field(description="included; the beginning of an hour where reports are no longer kept whole")
    end_date: Time = Field(description="now; excluded")
    data_points: int = Field(description="reports")
    metrics: AggregatedMetrics
    trend: AggregatedTrend


class TenantCounts(Model):
    total: int
    active: int
    inactive: int
    with_recent_data: int = Field(description="active ones with a report within an hour")


class LicenceCounts(Model):
    """Of all tenants."""

    total: int
    active: int = Field(description="those that expire soon included")
    expired: int
    expiring_soon: int = Field(description="active ones that end within 30 days")


class Usage(Model):
    """Sums over the latest report of each active tenant that has one within 24 hours."""

    total_active_users: Value
    total_exercises_completed_today: Value
    average_ai_latency: Value = Field(description="milliseconds, over the reports that said it")
    total_uptime: Value = Field(description="seconds")


class NodeHealth(Model):
    """How many active tenants, by their latest report; together all active ones."""

    healthy: int = Field(description="none of the others")
    warning: int = Field(
        description="the report is older than 15 min, or says cpuUsage, memoryUsage or diskUsage >= 85, "
        "aiLatency >= 1000 or errorCount >= 10"
    )
    critical: int = Field(description="the report is older than 1 h, or says cpuUsage, memoryUsage or diskUsage >= 95")
    no_data: int = Field(description="no report within 24 h")


class VersionCount(Model):
    version: str = Field(description="`unknown` for those that did not say it")
    count: int


class GlobalSummaryAnswer(Model):
    """The platform now."""

    timestamp: Time
    tenants: TenantCounts
    licenses: LicenceCounts
    usage: Usage
    health: NodeHealth
    versions: list[VersionCount] = Field(
        description="of active tenants with a report within 24 h, the most used first; at most 100"
    )


class DayTrend(Model):
    date: Date
    avg_active_users: Value = Field(description="mean over the day's reports; null without one")
    total_exercises: Value = Field(description="of each tenant the day's highest `exercisesCompletedToday`, added")
    avg_ai_latency: Value = Field(description="milliseconds, over the reports that said it")
    tenants_reporting: int
    uptime_percentage: Percent = Field(
        description="of the hours from each tenant's first report of the day to its end (or now), the share with one"
    )


class TrendsSummary(Model):
    """Of the days with a report; null when there is none."""

    avg_daily_users: Value = Field(description="mean of the days' `avgActiveUsers`")
    avg_daily_exercises: Value = Field(description="mean of the days' `totalExercises`")
    avg_ai_latency: Value = Field(description="over all reports that said it")
    peak_users: Value = Field(description="highest `activeUsers` of any report")
    peak_date: Date | None = Field(description="the day of the peak; the newest of several")


class TrendsAnswer(Model):
    """The platform day by day, newest first, days without a report included."""

    period: str = Field(examples=["7 days"])
    start_date: Time = Field(description="beginning of the oldest day")
    end_date: Time = Field(description="now")
    timezone: str = Field(description="in which days begin and end")
    data_points: int = Field(description="days")
    trends: list[DayTrend]
    summary: TrendsSummary
