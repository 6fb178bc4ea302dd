"""A period up to now, in two halves, as what is stored of it: whole UTC hours, and the reports at their edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vigie_contracts.tiers import HOUR
from vigie_query.times import DAY
from vigie_storage.reports.totals import Stretch

PERIODS: Final = {"24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end), halved at `middle`; each half is longer than an hour. Milliseconds since the epoch."""

    start: int
    middle: int
    end: int

    @property
    def hours(self) -> list[Stretch]:
        """The whole hours, at most one stretch for each half."""
        inner = ((_ceil(a), HOUR.floor(b)) for a, b in self._halves)
        return [(a, b) for a, b in inner if a < b]

    @property
    def edges(self) -> list[Stretch]:
        """What the whole hours leave: at most two parts of an hour for each half."""
        parts = (part for a, b in self._halves for part in ((a, _ceil(a)), (HOUR.floor(b), b)))
        return [(a, b) for a, b in parts if a < b]

    @property
    def _halves(self) -> tuple[Stretch, Stretch]:
        return (self.start, self.middle), (self.middle, self.end)


def up_to(now_ms: int, length_ms: int, kept_from_ms: int) -> Period:
    """The period of that length. Reports are kept from `kept_from_ms` on: where a border lies in an hour of which some
    may be gone, it moves to the beginning of that hour, and the hour counts whole."""

    def border(ms: int) -> int:
        hour = HOUR.floor(ms)
        return ms if hour >= kept_from_ms else hour

    return Period(border(now_ms - length_ms), border(now_ms - length_ms // 2), now_ms)


def _ceil(ms: int) -> int:
    return HOUR.floor(ms + HOUR.width_ms - 1)
