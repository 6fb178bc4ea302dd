"""What the JSON of all features has in common."""

from __future__ import annotations

from vigie_summaries.schemas.base import Model, Number, Ranged, Time
from vigie_web.schemas import Body

__all__ = ["Body", "Model", "Number", "Ranged", "Time"]
