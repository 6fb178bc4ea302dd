"""A sliding window made of two counts: that of the current window, and of the last one the part that still overlaps.

The same arithmetic as the Redis scripts of the library `limits` do, which assume that the last window's units came
evenly. All pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf
from typing import Final

_BEYOND_S: Final = 0.001
"""Added to a wait: at the very moment itself, rounding decides whether it is over."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Units counted; `left_s` is how long the current window still lasts."""

    previous: int
    current: int
    left_s: float

    def used(self, window_s: float) -> int:
        """Units that count now."""
        return floor(self.previous * self.left_s / window_s) + self.current

    def wait_s(self, amount: int, window_s: float, cost: int) -> float:
        """Seconds until `cost` more units fit into `amount` if nobody else takes any: 0 now, infinity never."""
        if cost > amount:
            return inf
        if self.used(window_s) + cost <= amount:
            return 0.0
        room = amount - cost - self.current
        if room >= 0:
            return self.left_s - _until(room, self.previous, window_s) + _BEYOND_S
        return self.left_s + max(0.0, window_s - _until(amount - cost, self.current, window_s)) + _BEYOND_S


def _until(room: int, count: int, window_s: float) -> float:
    """How much of the window may be left for the units of the one before to weigh at most `room`."""
    return (room + 1) * window_s / count if count > 0 else inf


class LocalWindow:
    """The counts of this process, in windows that begin at multiples of their length on its clock."""

    __slots__ = ("_current", "_index", "_previous", "_window_s")

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._index = 0
        self._previous = 0
        self._current = 0

    def counts(self, now: float) -> Counts:
        """As of `now`, monotonic seconds."""
        index = floor(now / self._window_s)
        if index != self._index:
            self._previous = self._current if index == self._index + 1 else 0
            self._current = 0
            self._index = index
        return Counts(self._previous, self._current, max(0.0, (index + 1) * self._window_s - now))

    def add(self, units: int, now: float) -> None:
        """Count units that were taken, whoever allowed it."""
        self.counts(now)
        self._current += units
