"""Results that several requests share: each computed once at a time, kept for a while, bounded. Per process.

`SingleFlight` is the first half alone; `TtlCache` adds the memory. What must also remember refusals and go on while
its source is away is `vigie_identity.credential_cache`, on the same `SingleFlight`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Generic, TypeVar

from vigie_runtime import tasks
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Busy

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Computations by key, of which each is made once at a time. For one event loop."""

    def __init__(self, name: str) -> None:
        """`name` is that of the tasks, and what the error Busy says there is too much of."""
        self.name = name
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._running)

    def running(self, key: Hashable) -> asyncio.Task[T] | None:
        """The one that is under way. To be awaited shielded: who asked first may go away, the others still wait."""
        return self._running.get(key)

    def start(
        self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]], limit: float = inf
    ) -> asyncio.Task[T]:
        """Begin one that is not under way. Raises Busy when `limit` others are."""
        if len(self._running) >= limit:
            raise Busy(self.name)
        task = self._running[key] = asyncio.create_task(compute(), name=self.name)
        task.add_done_callback(partial(self._ended, key))
        return task

    async def close(self) -> None:
        """End what is under way."""
        await tasks.end(self._running.values())

    def _ended(self, key: Hashable, task: asyncio.Task[T]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported when nobody waits any more


class TtlCache(Generic[T]):
    """Values by key, at most `ttl_s` seconds old. Keys carry the tenant: nothing is ever shared between two."""

    def __init__(
        self,
        clock: Clock,
        ttl_s: float,
        max_weight: int,
        weigh: Callable[[T], int] = lambda _value: 1,
        *,
        max_running: float = inf,
        name: str = "computations",
    ) -> None:
        """What is heavier than `max_weight` is given to those who wait for it and not kept."""
        self._clock, self._ttl_s, self._max_weight, self._weigh = clock, ttl_s, max_weight, weigh
        self._max_running = max_running
        self._flights = SingleFlight[T](name)
        self._values: OrderedDict[Hashable, _Kept[T]] = OrderedDict()
        """Oldest first."""
        self._weight = 0

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """The value, else `compute()`, whose errors are raised and not kept. Raises Busy when `max_running` others are
        being computed."""
        self._drop_expired()
        known = self._values.get(key)
        if known is not None and not self._expired(known):
            return known.value
        task = self._flights.running(key)
        if task is None:
            task = self._flights.start(key, partial(self._compute, key, compute), self._max_running)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def _compute(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        started = self._clock.monotonic()
        value = await compute()
        self._keep(key, _Kept(started, value, self._weigh(value)))
        return value

    def _keep(self, key: Hashable, kept: _Kept[T]) -> None:
        if (old := self._values.pop(key, None)) is not None:
            self._weight -= old.weight
        self._drop_expired()
        if kept.weight > self._max_weight or self._expired(kept):
            return
        self._values[key] = kept
        self._weight += kept.weight
        while self._weight > self._max_weight:
            self._drop_oldest()

    def _drop_expired(self) -> None:
        while self._values and self._expired(next(iter(self._values.values()))):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, kept = self._values.popitem(last=False)
        self._weight -= kept.weight

    def _expired(self, kept: _Kept[T]) -> bool:
        return self._clock.monotonic() - kept.started >= self._ttl_s


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    started: float
    value: T
    weight: int
