"""Tells whoever watches now what happened to alerts: every transition, once it is stored.

Watchers read the ledger for what they are not told, so nothing waits for Redis: while it is away, or slower than alerts
change, transitions are left out and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import Counter, MetricSet
from vigie_runtime.redis_breaker import RedisAway, RedisBreaker, RedisUse
from vigie_storage.alerts.live import LiveFeed, LiveTransitions

MAX_WAITING: Final = 10_000
MAX_TOGETHER: Final = 100
"""Transitions in one record: some hundred kilobytes."""

UNANNOUNCED: Final = Counter(
    "vigie_alerting_unannounced_transitions_total",
    "transitions",
    "Transitions that the live feed was not told: watchers see them when they read the ledger",
)


class Announcer:
    """`run` in a task; `announce` returns at once and never fails."""

    def __init__(self, feed: LiveFeed, clock: Clock, metrics: MetricSet) -> None:
        """`metrics` declares UNANNOUNCED and REDIS_AWAY."""
        self._feed = feed
        self._clock = clock
        self._unannounced = metrics.counter(UNANNOUNCED)
        self._breaker = RedisBreaker(clock, RedisUse.LIVE_ALERTS, metrics)
        self._waiting: deque[Transition] = deque()
        self._wake = asyncio.Event()
        self._stopping = False

    def announce(self, transitions: Sequence[Transition]) -> None:
        """These are stored."""
        self._waiting.extend(transitions)
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self._unannounced.inc()
        self._wake.set()

    def stop(self) -> None:
        """Make `run` return when it has told what waits."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`."""
        while self._waiting or not self._stopping:
            if self._waiting:
                await self._tell(self._together())
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _tell(self, some: list[Transition]) -> None:
        stored = LiveTransitions(self._clock.now_ms(), some)
        try:
            await self._breaker.call(lambda: self._feed.announce(TenantId(some[0].tenant), stored))
        except RedisAway:
            self._unannounced.inc(len(some))

    def _together(self) -> list[Transition]:
        """The next ones that are of one tenant."""
        some = [self._waiting.popleft()]
        while self._waiting and self._waiting[0].tenant == some[0].tenant and len(some) < MAX_TOGETHER:
            some.append(self._waiting.popleft())
        return some
