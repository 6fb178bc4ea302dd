"""What all answers have."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Names are camelCase in JSON. A number that is null has no sample behind it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True, frozen=True)


Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", examples=["2026-01-31T12:00:00.000Z"])]
Number = float | None


class Ranged(Model):
    """An answer about a stretch of time."""

    timestamp: Time = Field(description="when the answer was made")
    from_: Time = Field(alias="from", description="beginning of the range, rounded down to a window")
    to: Time = Field(description="end of the range, exclusive")
    period: str | None = Field(description="the period that was asked for; null when it was from and to")


class CustomMetric(Model):
    """A metric that Vigie gives no meaning to itself: one entry per name and type."""

    name: str
    type: str = Field(description="gauge, counter or histogram")
    temporality: str | None = Field(description="of counters: delta or cumulative")
    series: int = Field(description="how many series have a sample")
    value: Number = Field(
        description="counters: the total of all series (cumulative ones: of their last values); gauges: the newest "
        "sample; histograms: the mean of all observations"
    )
    sum: Number = Field(description="histograms: sum of all observations; gauges: sum of the series' last values")
    count: int | None = Field(description="histograms: number of observations")
    last_sample_at: Time | None


class Breakdown(Model):
    """Latency of something, in seconds."""

    count: Number = Field(description="observations")
    avg_seconds: Number
    p50_seconds: Number
    p90_seconds: Number
    p95_seconds: Number
    p99_seconds: Number
