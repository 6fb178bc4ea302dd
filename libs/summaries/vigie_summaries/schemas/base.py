"""What the JSON of all answers has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Of an answer. Names are camelCase in JSON. A number that is null has no sample behind it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True, frozen=True)


Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", examples=["2026-01-31T12:00:00.000Z"])]
Number = float | None


class Ranged(Model):
    """An answer about a stretch of time."""

    timestamp: Time = Field(description="when the answer was made")
    from_: Time = Field(alias="from", description="beginning of the range, rounded down to a window")
    to: Time = Field(description="end of the range, exclusive")
    period: str | None = Field(description="the period that was asked for; null when it was from and to")
