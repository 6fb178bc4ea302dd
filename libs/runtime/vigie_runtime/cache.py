"""Answers that several requests share for a moment: bounded, per process, each computed once at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from vigie_runtime.clock import Clock

T = TypeVar("T")


class TtlCache(Generic[T]):
    """Keys carry the tenant: nothing is ever shared between two."""

    def __init__(self, clock: Clock, ttl_s: float, room: int, weight: Callable[[T], int] = lambda _value: 1) -> None:
        """Values weigh at most `room` together; what is heavier is given to those who wait for it and not kept."""
        self._clock, self._ttl_s, self._room, self._weight = clock, ttl_s, room, weight
        self._values: OrderedDict[Hashable, _Kept[T]] = OrderedDict()
        """Oldest first."""
        self._held = 0
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """The value that is at most `ttl_s` old, else `compute()`; errors are not kept."""
        self._drop_expired()
        known = self._values.get(key)
        if known is not None and not self._expired(known):
            return known.value
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
            self._keep(key, _Kept(began, value, self._weight(value)))
            return value
        finally:
            del self._running[key]

    def _keep(self, key: Hashable, kept: _Kept[T]) -> None:
        if (old := self._values.pop(key, None)) is not None:
            self._held -= old.weight
        self._drop_expired()
        if kept.weight > self._room or self._expired(kept):
            return
        self._values[key] = kept
        self._held += kept.weight
        while self._held > self._room:
            self._drop_oldest()

    def _drop_expired(self) -> None:
        while self._values and self._expired(next(iter(self._values.values()))):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, kept = self._values.popitem(last=False)
        self._held -= kept.weight

    def _expired(self, kept: _Kept[T]) -> bool:
        return self._clock.monotonic() - kept.began >= self._ttl_s


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    began: float
    value: T
    weight: int
