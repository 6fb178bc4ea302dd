"""Times, as all answers have them."""

from __future__ import annotations

from vigie_query.times import iso
from vigie_web.schemas import Time


def time(ms: int | None) -> Time | None:
    """0 is never."""
    return iso(ms) if ms else None
