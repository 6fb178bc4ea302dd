"""What the summaries of several areas have."""

from __future__ import annotations

from pydantic import Field

from vigie_summaries.schemas.base import Model, Number, Time


class LatestValue(Model):
    """The latest values of some series of one name and type, added up; not of the range of the answer."""

    value: Number = Field(
        description="counters: the total of all series (cumulative ones: of their last values); gauges: the newest "
        "sample; histograms: the mean of all observations"
    )
    sum: Number = Field(description="histograms: sum of all observations; gauges: sum of the series' last values")
    count: int | None = Field(description="histograms: number of observations")


class ServiceValue(LatestValue):
    """Of one service."""

    service: str


class CustomMetric(LatestValue):
    """A metric that Vigie gives no meaning to itself: one entry per name and type."""

    name: str
    type: str = Field(description="gauge, counter or histogram")
    temporality: str | None = Field(description="of counters: delta or cumulative")
    series: int = Field(description="how many series have a sample")
    last_sample_at: Time | None
    services: int = Field(description="how many different values the label service has")
    by_service: list[ServiceValue] = Field(description="by the label service, in the order of names; at most 50")


class Breakdown(Model):
    """Latency of something, in seconds."""

    count: Number = Field(description="observations")
    avg_seconds: Number
    p50_seconds: Number
    p90_seconds: Number
    p95_seconds: Number
    p99_seconds: Number
