"""A wait that somebody else may end."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Interruptible:
    """`async with it: await ...` is left early, and without an error, when `end` is called meanwhile. For one task at a
    time, over and over."""

    def __init__(self) -> None:
        self._timeout: asyncio.Timeout | None = None

    def end(self) -> None:
        """Nothing more is waited for, if anything is."""
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(0)

    async def __aenter__(self) -> None:
        self._timeout = asyncio.timeout(None)
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        timeout, self._timeout = self._timeout, None
        if timeout is None:
            return False
        try:
            await timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            return True
        return False
