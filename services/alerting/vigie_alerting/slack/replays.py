"""Which requests of Slack were taken lately: each is taken once.

Redis knows it for all replicas. While it is away each replica knows what it took itself; it forgets nothing that could
come again: when it cannot remember more, it takes nothing more.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from contextlib import suppress
from typing import Final

from vigie_runtime.clients import Redis
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Busy
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import RedisAway, RedisBreaker, RedisUse

from vigie_alerting.slack.signature import WINDOW_S

KEPT_S: Final = 2 * WINDOW_S + 60
"""A request may be signed by a clock that is ahead, and come again until it is too old."""
MAX_KEPT: Final = 10_000


class Replays:
    """For one event loop."""

    def __init__(self, redis: Redis, clock: Clock, metrics: MetricSet | None = None) -> None:
        """`metrics` declares REDIS_AWAY."""
        self._redis, self._clock = redis, clock
        self._breaker = RedisBreaker(clock, RedisUse.SLACK_REQUESTS, metrics)
        self._taken: OrderedDict[str, float] = OrderedDict()
        """When each was."""

    async def first(self, signature: str) -> bool:
        """Whether this signature, which is a right one, comes for the first time. Raises Busy."""
        name, now = hashlib.sha256(signature.encode()).hexdigest(), self._clock.monotonic()
        while self._taken and next(iter(self._taken.values())) < now - KEPT_S:
            self._taken.popitem(last=False)
        if name in self._taken:
            return False
        if len(self._taken) >= MAX_KEPT:
            raise Busy("requests of Slack")
        self._taken[name] = now
        with suppress(RedisAway):
            key = f"vigie:_slack:{name}"
            return bool(await self._breaker.call(lambda: self._redis.set(key, b"1", ex=KEPT_S, nx=True)))
        return True
