"""Takes units of limits: from this process's lease, else from Redis, else, while Redis is away, by counting alone.

No request waits for a Redis that is away: whoever finds out waits for WAIT_S, from then on all are counted here, and a
task of its own asks until Redis is back.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

from vigie_runtime import tasks
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import PAUSE_S, RedisAway, RedisBreaker, RedisUse

from vigie_limits.account import Account, Limit, Scope
from vigie_limits.accounts import Accounts
from vigie_limits.metrics import ACCOUNTS, QUESTIONS, THROTTLED, Answer
from vigie_limits.window import Counts

WAIT_S: Final = 0.1
"""How long the first requests wait for a Redis that does not answer any more."""
MAX_ACCOUNTS: Final = 20_000
"""Callers remembered per scope. Redis remembers the others, so forgetting one costs a question."""
_PLACES: Final = 16
"""Questions at the same time: more would wait for the client's connections, and look like a Redis that is away."""
Found = tuple[int, Counts | None]
"""How many units were granted, 0 for none, and what is counted now, if that was asked."""


class Store(Protocol):
    """What the limiter needs of `vigie_limits.store.RedisCounts`."""

    async def take(self, limit: Limit, who: str, units: int) -> bool: ...

    async def counts(self, limit: Limit, who: str) -> Counts: ...

    async def check(self) -> None: ...


class Limiter:
    """All methods are for one event loop."""

    def __init__(self, store: Store, clock: Clock, metrics: MetricSet, max_accounts: int = MAX_ACCOUNTS) -> None:
        self._store = store
        self._clock = clock
        self._breaker = RedisBreaker(clock, RedisUse.LIMITS, metrics, wait_s=PAUSE_S)
        self._accounts = {scope: Accounts(max_accounts, clock, lambda: self.alone) for scope in Scope}
        self._places = asyncio.Semaphore(_PLACES)
        self._asking: set[asyncio.Task[Found]] = set()
        self._probe: asyncio.Task[None] | None = None
        self._throttled = {scope: metrics.counter(THROTTLED, scope=scope) for scope in Scope}
        self._answers = {answer: metrics.counter(QUESTIONS, answer=answer) for answer in Answer}
        for scope, accounts in self._accounts.items():
            metrics.gauge(ACCOUNTS, scope=scope).set_function(accounts.__len__)

    @property
    def alone(self) -> bool:
        """Whether Redis is away."""
        return self._breaker.open

    def of(self, scope: Scope) -> Accounts:
        """The accounts of a scope: `spend` of one first, then `more`."""
        return self._accounts[scope]

    async def more(self, account: Account, cost: int = 1) -> float:
        """Take units that the lease has not. Seconds to wait when they are refused, 0 when they are taken."""
        wait_s = self.refused(account, cost)
        if not wait_s:
            async with account.turn:
                wait_s = await self._ask(account, cost)
            if wait_s:
                self._throttled[account.limit.scope].inc()
        return wait_s

    def refused(self, account: Account, cost: int = 1) -> float:
        """Seconds to wait when units are refused for what is known already; 0 when that has to be asked."""
        wait_s = account.wait_s(cost, self._clock.monotonic())
        if wait_s:
            self._throttled[account.limit.scope].inc()
        return wait_s

    async def close(self) -> None:
        """End what is under way."""
        await tasks.end([*self._asking, *([] if self._probe is None else [self._probe])])

    async def _ask(self, account: Account, cost: int) -> float:
        now = self._clock.monotonic()
        if account.spend(cost, now):  # of what the one before us got
            return 0.0
        if wait_s := account.wait_s(cost, now):
            return wait_s
        self._accounts[account.limit.scope].touch(account)
        found = await self._together(account, cost, now)
        if found is None:
            self._answers[Answer.ALONE].inc()
            return _alone(account, cost, now)
        units, counts = found
        self._answers[Answer.GRANTED if units else Answer.REFUSED].inc()
        return account.settle(units, cost, now, counts)

    async def _together(self, account: Account, cost: int, now: float) -> Found | None:
        """What Redis says; None when it is away."""
        async with self._places:
            if self.alone:
                return None
            try:
                return await self._breaker.call(lambda: self._ask_shortly(account, cost, now), always=True)
            except RedisAway:
                if self._probe is None:
                    self._probe = asyncio.create_task(self._look(), name="limits: look for Redis")
                return None

    async def _ask_shortly(self, account: Account, cost: int, now: float) -> Found:
        asking = asyncio.create_task(self._ask_redis(account, cost, now), name="limits: ask")
        self._asking.add(asking)
        asking.add_done_callback(self._asked)
        try:
            await asyncio.wait([asking], timeout=WAIT_S)
            if asking.done():
                return asking.result()
            raise TimeoutError(f"no answer within {WAIT_S:g} s")
        finally:
            asking.cancel()  # not awaited: the client may go on for seconds with what was cancelled

    async def _ask_redis(self, account: Account, cost: int, now: float) -> Found:
        """A block, or what is left of one, or just what is needed."""
        limit, who = account.limit, account.who
        units = max(cost, limit.block)
        while not await self._store.take(limit, who, units):
            counts = await self._store.counts(limit, who)
            room = account.fitting(cost, counts)
            if not room or units == cost:
                return 0, counts
            units = room if room < units else cost  # not for ever: others take what was there a moment ago
        return units, None if account.informed(now) else await self._store.counts(limit, who)

    def _asked(self, task: asyncio.Task[Found]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported when nobody waits any more

    async def _look(self) -> None:
        try:
            while self._breaker.open:
                await self._clock.sleep(PAUSE_S)
                with suppress(RedisAway):
                    await self._breaker.call(self._store.check, always=True)
        finally:
            self._probe = None


def _alone(account: Account, cost: int, now: float) -> float:
    counts = account.local.counts(now)
    units = account.fitting(cost, counts)
    return account.settle(units, cost, now, replace(counts, current=counts.current + units))
