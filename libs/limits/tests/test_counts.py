"""What counts that processes share do: the same in Redis and in the double that the tests of the limiter use."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from vigie_limits.counter import Limit, LimitName
from vigie_limits.store import RedisCounts
from vigie_runtime import clients
from vigie_runtime.clock import ManualClock

from .conftest import settings_for
from .counting import Shared

SHORT = Limit(LimitName.KEY, 500, 2)


@dataclass
class Made:
    counts: RedisCounts
    wait: Callable[[float], Awaitable[None]]


@pytest.fixture(params=["double", pytest.param("redis", marks=pytest.mark.connected)])
async def made(request: pytest.FixtureRequest) -> AsyncIterator[Made]:
    if request.param == "double":
        clock = ManualClock()

        async def advance(seconds: float) -> None:
            clock.advance(seconds)

        yield Made(Shared(clock), advance)
        return
    async with clients.redis(settings_for(redis_url=request.getfixturevalue("redis_url"))) as redis:
        yield Made(RedisCounts(redis), asyncio.sleep)


async def test_units_are_counted_in_a_window_and_weigh_less_and_less_in_the_next(
    made: Made, unique: Callable[[str], str]
) -> None:
    counts, caller = made.counts, unique("k")
    await counts.check()
    assert (await counts.counts(SHORT, caller)).used(SHORT.window_s) == 0
    assert await counts.take(SHORT, caller, 300)
    found = await counts.counts(SHORT, caller)
    assert (found.previous, found.current) == (0, 300)
    assert 1.5 < found.left_s <= 2
    assert not await counts.take(SHORT, caller, 201), "all or none"
    assert (await counts.counts(SHORT, caller)).current == 300
    await made.wait(found.left_s + 0.2)
    found = await counts.counts(SHORT, caller)
    assert (found.previous, found.current) == (300, 0)
    assert 1 < found.left_s < 1.9
    assert await counts.take(SHORT, caller, SHORT.amount - found.used(SHORT.window_s))


async def test_callers_and_limits_are_counted_apart(made: Made, unique: Callable[[str], str]) -> None:
    counts, caller = made.counts, unique("k")
    assert await counts.take(SHORT, caller, SHORT.amount)
    assert not await counts.take(SHORT, caller, 1)
    assert await counts.take(SHORT, unique("other"), 1)
    assert await counts.take(Limit(LimitName.TENANT, SHORT.amount, SHORT.window_s), caller, 1)
