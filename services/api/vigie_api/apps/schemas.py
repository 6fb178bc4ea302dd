"""GET /api/apps and below."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from vigie_api.schemas import Model, Time


class App(Model):
    app_id: str
    first_report: Time
    last_report: Time = Field(description="the time of its newest report")
    reports: int = Field(description="in all, also those that are not kept any more")


class AppPage(Model):
    """Apps that have reported, by their ids."""

    apps: list[App]
    next_cursor: str | None


class AppReport(Model):
    """What the app said at one time, as it was sent."""

    id: str
    user_id: str | None
    metrics: dict[str, Any]
    timestamp: Time


class AppHistory(Model):
    """Reports of an app, newest first."""

    app_id: str
    from_: Time = Field(alias="from")
    to: Time = Field(description="exclusive")
    period: str | None = Field(description="the period that was asked for; null when it was from and to")
    data: list[AppReport]
    next_cursor: str | None


class Statistics(Model):
    """Of all samples of one number in one step; null when nothing bounds it."""

    count: int
    min: float | None
    max: float | None
    avg: float | None
    last: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


class Step(Statistics):
    at: int = Field(description="beginning of the step, ms since 1970")


class Aggregate(Model):
    """One number over time."""

    path: str = Field(description="where it stands in `metrics`", examples=["cpu.usage"])
    metric: str = Field(description="the name of its series", examples=["app_cpu_usage"])
    count: int = Field(description="samples in all")
    min: float | None
    max: float | None
    avg: float | None
    steps: list[Step] = Field(description="those with a sample, oldest first")


class AppAggregates(Model):
    """The numbers of an app over time, by their paths."""

    app_id: str
    from_: Time = Field(alias="from", description="beginning of the first step")
    to: Time = Field(description="end of the last step")
    period: str | None
    step: int = Field(description="seconds")
    tier: str = Field(description="the coarsest windows that were read")
    error_bound: float | None = Field(description="largest relative error of the percentiles")
    data: list[Aggregate]
