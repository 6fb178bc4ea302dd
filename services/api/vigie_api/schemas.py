"""What the JSON of all features has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from vigie_summaries.schemas.base import Model, Number, Ranged, Time

__all__ = ["Body", "Model", "Number", "Ranged", "Time"]


class Body(BaseModel):
    """Of a request. Nothing is coerced, and a field that is not known is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", alias_generator=to_camel, frozen=True)
