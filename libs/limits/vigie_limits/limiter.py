"""Rate limiter: takes units from this process's lease, else from Redis, else, while Redis is away, counts locally.

No request waits for a Redis that is away: whoever finds out waits for WAIT_S, from then on all are counted here, and a
task of its own asks until Redis is back.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

from vigie_runtime import tasks
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import PAUSE_S, RedisAway, RedisBreaker, RedisUse

from vigie_limits.counter import LimitName, QuotaCounter
from vigie_limits.counters import QuotaCounters
from vigie_limits.metrics import ACCOUNTS, QUESTIONS, THROTTLED, LeaseOutcome
from vigie_limits.store import RedisCounts
from vigie_limits.window import Counts

WAIT_S: Final = 0.1
"""How long the first requests wait for a Redis that does not answer any more."""
MAX_COUNTERS: Final = 20_000
"""Callers remembered per kind of limit. Redis remembers the others, so forgetting one costs a question."""
_MAX_ASKING: Final = 16
"""Questions at the same time: more would wait for the client's connections, and look like a Redis that is away."""
Grant = tuple[int, Counts | None]
"""How many units were granted, 0 for none, and what is counted now, if that was asked."""


class Limiter:
    """Takes units from leases and from Redis. For one event loop."""

    def __init__(self, counts: RedisCounts, clock: Clock, metrics: MetricSet, max_counters: int = MAX_COUNTERS) -> None:
        self._counts = counts
        self._clock = clock
        self._breaker = RedisBreaker(clock, RedisUse.LIMITS, metrics, wait_s=PAUSE_S)
        self._counters = {name: QuotaCounters(max_counters, clock, lambda: self.redis_away) for name in LimitName}
        self._slots = asyncio.Semaphore(_MAX_ASKING)
        self._asking: set[asyncio.Task[Grant]] = set()
        self._probe: asyncio.Task[None] | None = None
        self._throttled = {name: metrics.counter(THROTTLED, scope=name) for name in LimitName}
        self._outcomes = {outcome: metrics.counter(QUESTIONS, answer=outcome) for outcome in LeaseOutcome}
        for name, counters in self._counters.items():
            metrics.gauge(ACCOUNTS, scope=name).set_function(counters.__len__)

    @property
    def redis_away(self) -> bool:
        """Whether Redis is away."""
        return self._breaker.open

    def counters(self, name: LimitName) -> QuotaCounters:
        """Return the counters of a kind of limit: `spend` of one first, then `acquire`."""
        return self._counters[name]

    async def acquire(self, counter: QuotaCounter, cost: int = 1) -> float:
        """Take units that the lease does not have. Seconds to wait when they are refused, 0 when they are taken."""
        wait_s = self.refused(counter, cost)
        if not wait_s:
            async with counter.lock:
                wait_s = await self._ask(counter, cost)
            if wait_s:
                self._throttled[counter.limit.name].inc()
        return wait_s

    def refused(self, counter: QuotaCounter, cost: int = 1) -> float:
        """Seconds to wait when units are refused for what is known already; 0 when that has to be asked."""
        wait_s = counter.wait_s(cost, self._clock.monotonic())
        if wait_s:
            self._throttled[counter.limit.name].inc()
        return wait_s

    async def close(self) -> None:
        """End what is under way."""
        await tasks.end([*self._asking, *([] if self._probe is None else [self._probe])])

    async def _ask(self, counter: QuotaCounter, cost: int) -> float:
        now = self._clock.monotonic()
        if counter.spend(cost, now):  # of what the one before us got
            return 0.0
        if wait_s := counter.wait_s(cost, now):
            return wait_s
        self._counters[counter.limit.name].touch(counter)
        grant = await self._ask_if_there(counter, cost, now)
        if grant is None:
            self._outcomes[LeaseOutcome.ALONE].inc()
            return _count_locally(counter, cost, now)
        units, counts = grant
        self._outcomes[LeaseOutcome.GRANTED if units else LeaseOutcome.REFUSED].inc()
        return counter.record(units, cost, now, counts)

    async def _ask_if_there(self, counter: QuotaCounter, cost: int, now: float) -> Grant | None:
        """What Redis says; None when it is away."""
        async with self._slots:
            if not self.redis_away:
                with suppress(RedisAway):
                    return await self._breaker.call(lambda: self._ask_shortly(counter, cost, now), always=True)
        if self._probe is None:  # whatever became of the one before: nobody else finds out that Redis is back
            self._probe = asyncio.create_task(self._look(), name="limits: look for Redis")
        return None

    async def _ask_shortly(self, counter: QuotaCounter, cost: int, now: float) -> Grant:
        asking = asyncio.create_task(self._ask_redis(counter, cost, now), name="limits: ask")
        self._asking.add(asking)
        asking.add_done_callback(self._asked)
        try:
            await asyncio.wait([asking], timeout=WAIT_S)
            if asking.done():
                return asking.result()
            raise TimeoutError(f"no answer within {WAIT_S:g} s")
        finally:
            asking.cancel()  # not awaited: the client may go on for seconds with what was cancelled

    async def _ask_redis(self, counter: QuotaCounter, cost: int, now: float) -> Grant:
        """A block, or what is left of one, or just what is needed."""
        limit, caller = counter.limit, counter.caller
        units = max(cost, limit.block)
        while not await self._counts.take(limit, caller, units):
            counts = await self._counts.counts(limit, caller)
            room = counter.lease_size(cost, counts)
            if not room or units == cost:
                return 0, counts
            units = room if room < units else cost  # not for ever: others take what was there a moment ago
        return units, None if counter.is_fresh(now) else await self._counts.counts(limit, caller)

    def _asked(self, task: asyncio.Task[Grant]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported when nobody waits any more

    async def _look(self) -> None:
        try:
            while self._breaker.open:
                await self._clock.sleep(PAUSE_S)
                with suppress(RedisAway):
                    await self._breaker.call(self._counts.check, always=True)
        finally:
            self._probe = None


def _count_locally(counter: QuotaCounter, cost: int, now: float) -> float:
    counts = counter.local.counts(now)
    units = counter.lease_size(cost, counts)
    return counter.record(units, cost, now, replace(counts, current=counts.current + units))
