"""A concurrency limit for expensive work: some run, some wait, the rest is refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from vigie_runtime.errors import Busy

_WAITING_PER_RUNNING: Final = 4


class ConcurrencyLimit:
    """`most` at a time; four times as many wait for their turn."""

    def __init__(self, most: int, what: str) -> None:
        self._what = what
        self._running = asyncio.Semaphore(most)
        self._admitted = 0
        self._most_admitted = most * (1 + _WAITING_PER_RUNNING)

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """A slot, as long as the block runs. Raises Busy when as many wait as may."""
        if self._admitted >= self._most_admitted:
            raise Busy(self._what)
        self._admitted += 1  # before the first await: nobody comes in between
        try:
            async with self._running:
                yield
        finally:
            self._admitted -= 1
