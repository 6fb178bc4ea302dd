"""Limits on a real Redis: shared by processes, and what happens when it dies in the middle."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from vigie_limits.counter import Limit, LimitName
from vigie_limits.limiter import WAIT_S, Limiter
from vigie_limits.metrics import LIMITS_METRICS
from vigie_limits.store import PREFIX, RedisCounts
from vigie_runtime import clients
from vigie_runtime.clock import SystemClock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import PAUSE_S
from vigie_standalone.embedded.servers import Server, Servers

from tests.kit import eventually

from .conftest import settings_for

pytestmark = pytest.mark.connected
MINUTE = Limit(LimitName.KEY, 2_000, 60)
SHORT = Limit(LimitName.KEY, 500, 2)


@asynccontextmanager
async def limiters(redis_url: str, count: int) -> AsyncIterator[list[Limiter]]:
    """So many processes, each with a client of its own."""
    redis = [clients.redis(settings_for(redis_url=redis_url)) for _ in range(count)]
    made = [Limiter(RedisCounts(client), SystemClock(), MetricSet(LIMITS_METRICS)) for client in redis]
    yield made
    for limiter, client in zip(made, redis, strict=True):
        await limiter.close()
        await client.aclose()


async def take(limiter: Limiter, limit: Limit, who: str, cost: int = 1) -> float:
    counter = limiter.counters(limit.name).get(limit, who)
    return 0.0 if counter.spend(cost, time.monotonic()) else await limiter.acquire(counter, cost)


async def taken(limiter: Limiter, limit: Limit, who: str, tries: int) -> int:
    return sum([not await take(limiter, limit, who) for _ in range(tries)])


async def test_two_processes_share_a_limit(redis_url: str, unique: Callable[[str], str]) -> None:
    who = unique("k")
    async with limiters(redis_url, 2) as processes:
        good = await asyncio.gather(*(taken(process, MINUTE, who, 2_000) for process in processes))
        assert sum(good) == MINUTE.amount
        assert min(good) > 0
        assert [process.redis_away for process in processes] == [False, False]
        assert await taken(processes[0], MINUTE, unique("other"), 10) == 10


async def test_who_waits_as_long_as_told_is_served(redis_url: str, unique: Callable[[str], str]) -> None:
    who = unique("k")
    async with limiters(redis_url, 1) as [limiter]:
        assert await taken(limiter, SHORT, who, 600) == SHORT.amount
        wait_s = await take(limiter, SHORT, who, 100)
        assert 0 < wait_s <= 3
        await asyncio.sleep(wait_s + 0.05)
        assert await take(limiter, SHORT, who, 100) == 0.0


async def test_what_is_counted_goes_by_itself(redis_url: str, unique: Callable[[str], str]) -> None:
    who = unique("k")
    async with limiters(redis_url, 1) as [limiter]:
        await take(limiter, SHORT, who)
    redis = Redis.from_url(redis_url)
    keys = [key async for key in redis.scan_iter(f"{PREFIX}:*{who}*")]
    assert keys
    assert all([0 < await redis.pttl(key) <= 2 * SHORT.window_s * 1000 for key in keys])
    await redis.aclose()


@pytest.mark.fault
async def test_redis_may_die_in_the_middle(own_servers: Servers, unique: Callable[[str], str]) -> None:
    own_servers.start([Server.REDIS])
    who = unique("k")
    async with limiters(own_servers.redis.url, 2) as [one, other]:
        assert await taken(one, MINUTE, who, 1_000) == 1_000
        await asyncio.to_thread(own_servers.redis.kill)
        slowest = 0.0
        good = 0
        for _ in range(3_000):
            began = time.monotonic()
            good += not await take(one, MINUTE, who)
            slowest = max(slowest, time.monotonic() - began)
        assert good == pytest.approx(1_000, abs=2 * MINUTE.block), "this process remembers what it took"
        assert slowest < WAIT_S + 1, "who finds out waits a moment, nobody longer"
        assert one.redis_away
        assert await taken(other, MINUTE, who, 100) == 100

        await asyncio.to_thread(own_servers.redis.start)
        await eventually(lambda: not one.redis_away and not other.redis_away, deadline=10 * PAUSE_S)
        fresh = unique("k")
        good = sum([await taken(process, MINUTE, fresh, 1_500) for process in (one, other)])
        assert good == MINUTE.amount, "they count together again"


@pytest.mark.fault
async def test_a_redis_that_hangs_delays_nobody(own_servers: Servers, unique: Callable[[str], str]) -> None:
    own_servers.start([Server.REDIS])
    process = own_servers.redis.process
    assert process is not None
    async with limiters(own_servers.redis.url, 1) as [limiter]:
        assert await take(limiter, MINUTE, unique("k")) == 0.0
        process.pause()
        began = time.monotonic()
        waits = await asyncio.gather(*(take(limiter, MINUTE, unique("k")) for _ in range(500)))
        assert not any(waits)
        assert time.monotonic() - began < WAIT_S + 1
        began = time.monotonic()
        assert not any([await take(limiter, MINUTE, unique("k")) for _ in range(500)])
        assert time.monotonic() - began < 1
        process.resume()
        await eventually(lambda: not limiter.redis_away, deadline=10 * PAUSE_S)
