"""A concurrency limit for expensive work: some run, some wait, the rest is refused at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager
from typing import Final

from vigie_runtime.errors import Busy

_WAITING_PER_RUNNING: Final = 4


class ConcurrencyLimit:
    """`most` at a time; four times as many, or `waiting`, wait for their turn. Nobody may have more than half of all
    the places where it is said whose they are."""

    def __init__(self, most: int, what: str, waiting: int | None = None) -> None:
        self._what = what
        self._running = asyncio.Semaphore(most)
        self._admitted = 0
        self._own: Counter[Hashable] = Counter()
        self._most_admitted = most + (most * _WAITING_PER_RUNNING if waiting is None else waiting)

    @asynccontextmanager
    async def slot(self, whose: Hashable = None) -> AsyncGenerator[None]:
        """A slot, as long as the block runs. Raises Busy when as many wait as may."""
        if self._admitted >= self._most_admitted or self._own[whose] >= self._most_admitted // 2:
            raise Busy(self._what)
        self._admitted += 1  # before the first await: nobody comes in between
        if whose is not None:
            self._own[whose] += 1
        try:
            async with self._running:
                yield
        finally:
            self._admitted -= 1
            self._own -= Counter((whose,))  # keeps those only that have some
