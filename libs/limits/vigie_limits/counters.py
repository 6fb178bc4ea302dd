"""The counters of one kind of limit, by caller: bounded; those that asked longest ago are forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from vigie_runtime.clock import Clock

from vigie_limits.counter import Limit, QuotaCounter

OTHERS: Final = "*"
"""Who shares a counter when there is room for no more."""
_TRIES: Final = 8


class QuotaCounters:
    """What is forgotten Redis still counts; while Redis is away, nobody gets rid of a refusal by being forgotten."""

    __slots__ = ("_clock", "_counters", "_most", "_redis_away")

    def __init__(self, most: int, clock: Clock, redis_away: Callable[[], bool]) -> None:
        self._most = most
        self._clock = clock
        self._redis_away = redis_away
        self._counters: OrderedDict[str, QuotaCounter] = OrderedDict()

    def get(self, limit: Limit, caller: str) -> QuotaCounter:
        """The counter of a caller; to be asked for anew after every await."""
        counter = self._counters.get(caller)
        if counter is not None and (counter.limit is limit or counter.limit == limit):
            return counter
        return self._open(limit, caller)

    def touch(self, counter: QuotaCounter) -> None:
        """It asks for more: let it be forgotten last."""
        if counter.caller in self._counters:
            self._counters.move_to_end(counter.caller)

    def __len__(self) -> int:
        return len(self._counters)

    def _open(self, limit: Limit, caller: str) -> QuotaCounter:
        tries = 0
        while caller not in self._counters and len(self._counters) >= self._most:
            oldest, counter = next(iter(self._counters.items()))
            if not (self._redis_away() and counter.is_limited(self._clock.monotonic())):
                del self._counters[oldest]
                continue
            self._counters.move_to_end(oldest)
            tries += 1
            if tries == _TRIES:
                return self._shared(limit)
        counter = self._counters[caller] = QuotaCounter(limit, caller)
        return counter

    def _shared(self, limit: Limit) -> QuotaCounter:
        counter = self._counters.get(OTHERS)
        if counter is None or counter.limit != limit:
            counter = self._counters[OTHERS] = QuotaCounter(limit, OTHERS)
        return counter
