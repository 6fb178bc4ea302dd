"""Exponential back-off with jitter, for what may be away: pauses to schedule, or a loop of attempts.

async for _ in Backoff(0.1, 3.0).attempts(clock.sleep):
    if await connected():
        return

Our own few lines, because stamina sleeps on asyncio's clock only, and tenacity cannot tell how long to wait without
waiting: the log reader schedules its partitions by that.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Final

_MAX_DOUBLINGS: Final = 30
_DRAW: Final = random.Random()


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds: the first pause, doubled with every failure up to the longest; each plus or minus the part `jitter`, so
    that many who failed together do not come back together."""

    first_s: float
    longest_s: float
    jitter: float = 0.3

    def pause_s(self, failures: int, draw: random.Random = _DRAW) -> float:
        """How long to wait after so many failures in a row; `failures` is 1 or more."""
        pause = min(self.longest_s, self.first_s * 2 ** min(failures - 1, _MAX_DOUBLINGS))
        return pause * draw.uniform(1 - self.jitter, 1 + self.jitter)

    def attempts(self, sleep: Callable[[float], Awaitable[object]], most: float = inf) -> Attempts:
        """Numbers from 1 to `most`, with a pause before every one but the first: leave the loop when it went well.
        `sleep` is the clock's, or one that a stop ends."""
        return Attempts(self, sleep, most)


class Attempts:
    """See `Backoff.attempts`. No generator: one that is left early would have to be closed."""

    __slots__ = ("_backoff", "_made", "_most", "_sleep")

    def __init__(self, backoff: Backoff, sleep: Callable[[float], Awaitable[object]], most: float) -> None:
        self._backoff, self._sleep, self._most = backoff, sleep, most
        self._made = 0

    def __aiter__(self) -> Attempts:
        return self

    async def __anext__(self) -> int:
        if self._made >= self._most:
            raise StopAsyncIteration
        if self._made:
            await self._sleep(self._backoff.pause_s(self._made))
        self._made += 1
        return self._made
