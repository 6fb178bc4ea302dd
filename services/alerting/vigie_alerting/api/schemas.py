"""Times, as all answers have them."""

from __future__ import annotations

from vigie_query.times import iso
from vigie_web.schemas import Time


def time(ms: int | None) -> Time | None:
    """None is never."""
    return None if ms is None else iso(ms)
