"""When to commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vigie_contracts.tiers import Tier
from vigie_storage.partitions.checkpoint import COARSE

_REST: Final = 3
"""A commit is followed by a pause of at least this many times its own duration..."""
_MAX_REST_S: Final = 5.0
"""... but of no more than this."""
LATE_MS: Final = 2_000
"""Records read so long after they were sent are a backlog: nobody sees them live..."""
_BACKLOG_S: Final = 4.0
"""... so while more of it waits, it gathers for so long: the windows are the same, and each is written fewer times."""
_STAGGER: Final = 0.618_033_988_75
"""The golden ratio spreads the partitions evenly, however many a process owns."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds between commits of the fine tier, and at most between those of a coarse one."""

    fine_s: float = 1.0
    coarse_s: float = 30.0


class Schedule:
    """The commit times of one partition, on a monotonic clock in seconds."""

    def __init__(self, intervals: Intervals, partition: int, now: float) -> None:
        self._intervals = intervals
        self._fine_due = now + intervals.fine_s
        self._since = now
        self._empty = True
        # Each partition and tier at another moment, so that no second carries all the coarse windows.
        self._coarse_due = {
            tier.name: now + intervals.coarse_s * ((partition + step / len(COARSE)) * _STAGGER % 1)
            for step, tier in enumerate(COARSE)
        }

    def received(self, now: float) -> None:
        """There is something to commit."""
        if self._empty:
            self._since, self._empty = now, False

    def fine_due(self, now: float, *, backlog: bool = False) -> bool:
        """Whether it is time to commit what is pending."""
        return now >= (max(self._fine_due, self._since + _BACKLOG_S) if backlog else self._fine_due)

    def coarse_due(self, tier: Tier, oldest: int | None, now: float, now_ms: int) -> bool:
        """Whether a coarse tier should be part of a commit made now. `oldest`: start of the oldest window it lacks."""
        if now >= self._coarse_due[tier.name]:
            return True
        return oldest is not None and oldest < now_ms - self._late_ms(tier)

    def committed(self, tiers: tuple[Tier, ...], started: float, now: float) -> None:
        """A commit of these tiers took from `started` until `now`."""
        self._empty = True
        self._fine_due = now + max(self._intervals.fine_s, min(_REST * (now - started), _MAX_REST_S))
        for tier in tiers:
            if tier.name in self._coarse_due:
                self._coarse_due[tier.name] = now + self._intervals.coarse_s

    def _late_ms(self, tier: Tier) -> int:
        # Readers take finer windows from `dirty_since` on: samples for an old window must not wait.
        return max(2 * tier.width_ms, int(2000 * self._intervals.coarse_s))
