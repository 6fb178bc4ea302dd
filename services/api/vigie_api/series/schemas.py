"""GET /api/series."""

from __future__ import annotations

from pydantic import Field

from vigie_api.schemas import Model, Number, Time


class LatestValue(Model):
    """The newest sample, and what was counted in all."""

    value: Number
    timestamp: Time
    sum: Number = Field(description="of all samples; of a counter its total, which is the value of a cumulative one")
    count: int = Field(description="number of samples")


class SeriesItem(Model):
    fingerprint: str = Field(pattern="^[0-9a-f]{16}$")
    name: str
    type: str
    temporality: str | None
    labels: dict[str, str]
    created: Time
    latest: LatestValue | None = Field(description="null when no sample has been counted yet")


class SeriesPage(Model):
    """A page of series, by name. It may hold fewer than `limit` although `nextCursor` is not null."""

    timestamp: Time
    series: list[SeriesItem]
    total: int | None = Field(
        description="how many there are, counted up to 10000; null when label patterns forbid counting"
    )
    total_is_exact: bool
    next_cursor: str | None = Field(description="give it as `cursor` to go on; null on the last page")
