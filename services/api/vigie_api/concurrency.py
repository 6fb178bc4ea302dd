"""Places for expensive work: some at a time, some waiting, the rest refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from vigie_runtime.errors import Busy

_WAITING_PER_PLACE: Final = 4


class ConcurrencyLimit:
    """`places` at a time; four times as many wait for their turn."""

    def __init__(self, places: int, what: str) -> None:
        self._what = what
        self._working = asyncio.Semaphore(places)
        self._admitted = 0
        self._most = places * (1 + _WAITING_PER_PLACE)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """A place, as long as the block runs. Raises Busy when as many wait as may."""
        if self._admitted >= self._most:
            raise Busy(self._what)
        self._admitted += 1  # before the first await: nobody comes in between
        try:
            async with self._working:
                yield
        finally:
            self._admitted -= 1
