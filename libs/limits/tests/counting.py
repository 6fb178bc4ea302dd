"""What Redis does, as the library's scripts say it, in a dict: for tests that move the clock."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from math import floor

from redis.exceptions import ConnectionError as RedisAwayError
from vigie_limits.counter import Limit
from vigie_limits.store import RedisCounts
from vigie_limits.window import Counts
from vigie_runtime.clock import ManualClock


@dataclass
class Shared(RedisCounts):
    """Windows begin with the first unit of a key. `away` makes every call fail; `hang` makes it never answer."""

    clock: ManualClock
    away: bool = False
    hang: bool = False
    takes: int = 0
    reads: int = 0
    asking: int = 0
    most_asking: int = 0
    _windows: dict[tuple[Limit, str], tuple[float, int, int]] = field(default_factory=dict)
    """(begin, previous, current)."""

    async def take(self, limit: Limit, caller: str, units: int) -> bool:
        self.takes += 1
        await self._answer()
        begin, previous, current = self._roll(limit, caller)
        if units > limit.amount or self.counts_now(limit, caller).used(limit.window_s) + units > limit.amount:
            return False
        if not current and not previous:
            begin = self.clock.monotonic()
        self._windows[limit, caller] = begin, previous, current + units
        return True

    async def counts(self, limit: Limit, caller: str) -> Counts:
        self.reads += 1
        await self._answer()
        return self.counts_now(limit, caller)

    async def check(self) -> None:
        await self._answer()

    def counts_now(self, limit: Limit, who: str) -> Counts:
        begin, previous, current = self._roll(limit, who)
        return Counts(previous, current, begin + limit.window_s - self.clock.monotonic())

    def forget(self) -> None:
        self._windows.clear()

    def _roll(self, limit: Limit, who: str) -> tuple[float, int, int]:
        now = self.clock.monotonic()
        begin, previous, current = self._windows.get((limit, who), (now, 0, 0))
        passed = floor((now - begin) / limit.window_s)
        if passed == 1:
            begin, previous, current = begin + limit.window_s, current, 0
        elif passed > 1:
            begin, previous, current = now, 0, 0
        self._windows[limit, who] = begin, previous, current
        return begin, previous, current

    async def _answer(self) -> None:
        self.asking += 1
        self.most_asking = max(self.most_asking, self.asking)
        try:
            await asyncio.sleep(0)
            if self.hang:
                await asyncio.Event().wait()
            if self.away:
                raise RedisAwayError("refused")
        finally:
            self.asking -= 1
