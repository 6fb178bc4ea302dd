"""Work that lies in a store, claimed over and over: by whichever replica is free, and at once by who is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from vigie_runtime.backoff import Backoff
from vigie_runtime.errors import Retryable, StoreUnavailable


class Claiming:
    """For one event loop. `run` until `stop`."""

    def __init__(self, claim: Callable[[], Awaitable[object]], poll_s: float, away: Backoff) -> None:
        """`claim` takes some of what is due, if there is any, and says so; while it finds nothing it is called every
        `poll_s`, for what other replicas left. When it raises StoreUnavailable or Retryable it is called again by
        `away`."""
        self._claim, self._poll_s, self._away = claim, poll_s, away
        self._woken = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Something may be due: look now."""
        self._woken.set()

    def stop(self) -> None:
        """Claim no more."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Claim until stopped."""
        failures = 0
        while not self._stopping:
            self._woken.clear()
            try:
                found, failures = await self._claim(), 0
            except (StoreUnavailable, Retryable):
                failures += 1
                await self._wait(self._away.pause_s(failures))
                continue
            if not found:
                await self._wait(self._poll_s)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
