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
        self._waiting: deque[tuple[int, Transition]] = deque()
        """With the time at which it was stored."""
        self._wake = asyncio.Event()
        self._stopping = False

    def announce(self, transitions: Sequence[Transition]) -> None:
        """These are stored."""
        now_ms = self._clock.now_ms()
        self._waiting.extend((now_ms, transition) for transition in transitions)
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

    async def _tell(self, some: LiveTransitions) -> None:
        tenant = TenantId(some.transitions[0].tenant)
        try:
            await self._breaker.call(lambda: self._feed.announce(tenant, some))
        except RedisAway:
            self._unannounced.inc(len(some.transitions))

    def _together(self) -> LiveTransitions:
        """The next ones that are of one tenant."""
        stored_ms, first = self._waiting.popleft()
        some = [first]
        while self._waiting and self._waiting[0][1].tenant == first.tenant and len(some) < MAX_TOGETHER:
            stored_ms, one = self._waiting.popleft()
            some.append(one)
        return LiveTransitions(stored_ms, some)
