"""Circuit breaker for Redis: bounds each call, and after a failure lets callers go on without Redis for a moment.

breaker = RedisBreaker(clock, RedisUse.LOGINS, metrics)
try:
    answer = await breaker.call(lambda: redis.get(key))
except RedisAway:
    ...  # this use's own way to go on without
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, TypeVar

from redis.exceptions import RedisError

from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_runtime.errors import reason_of
from vigie_runtime.metrics import Gauge, MetricSet

log = logging.get(__name__)

T = TypeVar("T")
WAIT_S: Final = 0.25
PAUSE_S: Final = 1.0


class RedisUse(StrEnum):
    """What goes on without Redis while it is away."""

    SESSIONS = "sessions"
    LOGINS = "logins"
    LIMITS = "limits"
    IDEMPOTENCY = "idempotency"
    LATEST_READS = "latest-reads"
    LATEST_WRITES = "latest-writes"
    LIVE_ALERTS = "live-alerts"
    LIVE_HEALTH = "live-health"
    SLACK_REQUESTS = "slack-requests"


REDIS_AWAY: Final = Gauge(
    "vigie_redis_away",
    "boolean",
    "1 while this process goes on without Redis, by what it is used for",
    {"use": RedisUse},
)


class RedisAway(Exception):  # noqa: N818 - named after what is wrong
    """Redis does not answer, or did not a moment ago."""


class RedisBreaker:
    """Guards the calls to Redis of one use, for one event loop.

    Closed: calls are made. The first that fails opens it. Open: calls fail at once, except one every PAUSE_S, which
    closes it when Redis answers."""

    def __init__(
        self, clock: Clock, use: RedisUse, metrics: MetricSet | None = None, *, wait_s: float | None = WAIT_S
    ) -> None:
        """`metrics` declares REDIS_AWAY. `wait_s` is the longest that a call may take; None: the client decides."""
        self._clock = clock
        self._use = use
        self._away = (metrics or MetricSet([REDIS_AWAY])).gauge(REDIS_AWAY, use=use)
        self._wait_s = wait_s
        self._open = False
        self._changes = 0
        """How often it was opened or closed."""
        self._retry_at = 0.0

    @property
    def open(self) -> bool:
        """Whether Redis is away."""
        return self._open

    async def call(self, question: Callable[[], Awaitable[T]], *, always: bool = False) -> T:
        """The answer. Raises RedisAway; while the breaker is open mostly at once, unless `always`."""
        if self._open and not always:
            now = self._clock.monotonic()
            if now < self._retry_at:
                raise RedisAway
            self._retry_at = now + PAUSE_S  # this call finds out, those that come meanwhile do not wait
        changes = self._changes
        try:
            async with asyncio.timeout(self._wait_s):
                answer = await question()
        except (RedisError, OSError, TimeoutError) as e:
            if changes == self._changes:  # else it was asked before what is known now
                self._retry_at = self._clock.monotonic() + PAUSE_S
                if not self._open:
                    log.warning("Redis does not answer: going on without it", use=self._use, reason=reason_of(e))
                    self._set(opened=True)
            raise RedisAway from e
        if self._open and changes == self._changes:
            log.info("Redis answers again", use=self._use)
            self._set(opened=False)
        return answer

    def _set(self, *, opened: bool) -> None:
        self._open = opened
        self._changes += 1
        self._away.set(opened)
