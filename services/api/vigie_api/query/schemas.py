"""GET /api/query_range and GET /api/dashboard/charts/{type}."""

from __future__ import annotations

from pydantic import Field

from vigie_api.schemas import Model, Ranged, Time

Point = tuple[int, float | None]
"""Beginning of the step in ms since 1970, and the number: null when there is no sample, or it is beyond float64."""


class Line(Model):
    """One group of series. Every line has the same times."""

    labels: dict[str, str]
    points: list[Point]


class RangeResult(Model):
    """Points of a metric over time."""

    timestamp: Time
    metric: str
    function: str
    from_: int = Field(alias="from", description="beginning of the first step, ms since 1970")
    to: int = Field(description="end of the last step, ms since 1970")
    step: int = Field(description="seconds")
    tier: str = Field(description="the coarsest windows that were read")
    tiers: list[str] = Field(description="all widths of windows that were read: the newest part may need finer ones")
    error_bound: float | None = Field(
        description="largest relative error of the points; null when nothing bounds it, a number is beyond float64, "
        "or no series was found"
    )
    series: list[Line]
    series_count: int = Field(description="groups that were found")
    truncated: bool = Field(description="whether there are more groups than were asked for")


class ChartLine(Line):
    name: str = Field(description="for a legend")


class ChartData(Ranged):
    """Points of a chart."""

    type: str
    title: str
    unit: str
    step: int = Field(description="seconds; days that are shorter or longer exist where clocks change")
    timezone: str
    tier: str
    series: list[ChartLine]
    truncated: bool
