"""Answers that several requests share for a moment: bounded, per process, each computed once at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from vigie_runtime.clock import Clock

T = TypeVar("T")


class TtlCache(Generic[T]):
    """Keys carry the tenant: nothing is ever shared between two."""

    def __init__(
        self, clock: Clock, ttl_s: float, entries: int, worth: Callable[[T], bool] = lambda _value: True
    ) -> None:
        """`worth` tells whether a value may be kept (and not only be given to those who wait for it)."""
        self._clock, self._ttl_s, self._entries, self._worth = clock, ttl_s, entries, worth
        self._values: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """The value that is at most `ttl_s` old, else `compute()`; errors are not kept."""
        known = self._values.get(key)
        if known is not None and self._clock.monotonic() - known[0] < self._ttl_s:
            return known[1]
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._run(key, compute))
            self._running[key] = task
        # Shielded: the one who asked first may go away, the others still wait for the value.
        return await asyncio.shield(task)

    async def _run(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        try:
            began = self._clock.monotonic()
            value = await compute()
            if self._worth(value):
                self._values[key] = (began, value)
                self._values.move_to_end(key)
                while len(self._values) > self._entries:
                    self._values.popitem(last=False)
            return value
        finally:
            del self._running[key]
