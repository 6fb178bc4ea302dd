"""Which keys this process is publishing right now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from vigie_publishing.errors import InProgressError


class InFlight:
    """Keys this process is publishing right now. Samples of one key must not share a Kafka record with their repeat:
    the aggregator tells a repeat by the offset of its record."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._held: dict[bytes, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def hold(self, keys: Sequence[bytes]) -> AsyncGenerator[None]:
        """Wait until nobody holds any of the keys, then hold them all. Raises InProgressError when that takes long."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._wait_s
        while busy := next((self._held[key] for key in keys if key in self._held), None):
            await asyncio.wait([busy], timeout=max(0.0, end - loop.time()))
            if loop.time() >= end:
                raise InProgressError("the same request or event")
        mine = loop.create_future()
        self._held.update(dict.fromkeys(keys, mine))
        try:
            yield
        finally:
            for key in keys:
                self._held.pop(key, None)
            mine.set_result(None)
