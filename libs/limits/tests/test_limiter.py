"""Processes that share a limit by leases, on a simulated Redis and a clock that the tests move."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from unittest.mock import AsyncMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_limits.counter import BLOCKS, Limit, LimitName
from vigie_limits.counters import OTHERS
from vigie_limits.limiter import MAX_COUNTERS, Limiter
from vigie_limits.metrics import LIMITS_METRICS, QUESTIONS, THROTTLED
from vigie_runtime.clock import ManualClock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import PAUSE_S, REDIS_AWAY, RedisUse

from .counting import Shared

MINUTE = Limit(LimitName.KEY, 6_000, 60)
SECOND = Limit(LimitName.SAMPLES, 1_000, 1)


@asynccontextmanager
async def limiters(count: int = 1, max_counters: int = MAX_COUNTERS) -> AsyncIterator[tuple[Shared, list[Limiter]]]:
    """So many processes around one Redis."""
    clock = ManualClock()
    clock.advance(1_000.25)
    shared = Shared(clock)
    made = [Limiter(shared, clock, MetricSet(LIMITS_METRICS), max_counters) for _ in range(count)]
    yield shared, made
    for limiter in made:
        await limiter.close()


async def take(limiter: Limiter, limit: Limit, cost: int = 1, who: str = "k") -> float:
    """As services do."""
    counter = limiter.counters(limit.name).get(limit, who)
    if counter.spend(cost, limiter._clock.monotonic()):
        return 0.0
    return await limiter.acquire(counter, cost)


async def taken(limiter: Limiter, limit: Limit, tries: int, cost: int = 1, who: str = "k") -> int:
    """How many of so many attempts go well."""
    return sum([not await take(limiter, limit, cost, who) for _ in range(tries)])


async def test_exactly_the_limit_is_taken() -> None:
    async with limiters() as (_, [limiter]):
        assert await taken(limiter, MINUTE, 7_000) == 6_000
        assert limiter._throttled[LimitName.KEY]._value.get() == 1_000


async def test_a_lease_saves_nearly_all_questions() -> None:
    async with limiters() as (shared, [limiter]):
        await taken(limiter, MINUTE, 6_000)
        assert shared.takes <= BLOCKS
        assert shared.reads == 1
        await taken(limiter, MINUTE, 10_000)
        assert shared.takes <= BLOCKS + 2


async def test_a_caller_that_keeps_on_at_twice_its_limit_costs_few_questions() -> None:
    async with limiters() as (shared, [limiter]):
        good = 0
        for _ in range(600):
            good += await taken(limiter, MINUTE, 20)
            shared.clock.advance(0.1)
        before, good = shared.takes + shared.reads, 0
        for _ in range(600):
            good += await taken(limiter, MINUTE, 20)
            shared.clock.advance(0.1)
        assert 0.9 * MINUTE.amount <= good <= MINUTE.amount
        assert shared.takes + shared.reads - before < 700


async def test_who_waits_as_long_as_told_is_served() -> None:
    async with limiters() as (shared, [limiter]):
        for limit, filler, cost in ((MINUTE, 1, 1), (MINUTE, 1, 3_000), (MINUTE, 3_000, 1), (SECOND, 400, 500)):
            while not await take(limiter, limit, filler, f"{cost}"):
                pass
            while not (wait_s := await take(limiter, limit, cost, f"{cost}")):
                pass
            shared.clock.advance(wait_s + 0.001)
            assert await take(limiter, limit, cost, f"{cost}") == 0.0


async def test_a_cost_beyond_the_limit_is_never_taken_and_never_asked_for() -> None:
    async with limiters() as (shared, [limiter]):
        assert await take(limiter, SECOND, 1_001) == SECOND.window_s
        assert shared.takes == 0
        assert await take(limiter, SECOND, 1_000) == 0.0


async def test_a_large_cost_is_taken_whole_or_not_at_all() -> None:
    async with limiters() as (_, [limiter]):
        assert await take(limiter, SECOND, 700) == 0.0
        assert await take(limiter, SECOND, 700) > 0
        assert await taken(limiter, SECOND, 400) == 300, "the refused one took nothing"


async def test_refusing_a_large_cost_does_not_refuse_a_small_one() -> None:
    async with limiters() as (_, [limiter]):
        assert await take(limiter, SECOND, 700) == 0.0
        assert await take(limiter, SECOND, 700) > 0
        assert await take(limiter, SECOND, 1) == 0.0


async def test_a_lease_ends_with_its_window() -> None:
    async with limiters() as (shared, [limiter]):
        await take(limiter, MINUTE)
        counter = limiter.counters(MINUTE.name).get(MINUTE, "k")
        assert counter.leased == MINUTE.block - 1
        shared.clock.advance(59.9)
        assert counter.spend(1, shared.clock.monotonic())
        shared.clock.advance(0.2)
        assert not counter.spend(1, shared.clock.monotonic())
        await take(limiter, MINUTE)
        assert counter.leased == MINUTE.block - 1, "what was left of the first lease is gone"


async def test_many_requests_at_once_ask_one_at_a_time() -> None:
    async with limiters() as (shared, [limiter]):
        small = Limit(LimitName.ADDRESS, 50, 60)
        waits = await asyncio.gather(*(take(limiter, small) for _ in range(500)))
        assert sum(not wait_s for wait_s in waits) == 50
        assert shared.most_asking == 1
        assert shared.takes == 51


async def test_what_others_took_is_heard_after_a_while() -> None:
    async with limiters(2) as (shared, [one, other]):
        await take(one, MINUTE)
        await taken(other, MINUTE, 3_000)
        shared.clock.advance(6)
        await taken(one, MINUTE, MINUTE.block)
        told = one.counters(MINUTE.name).get(MINUTE, "k").remaining()
        assert abs(told - (MINUTE.amount - 3_000 - MINUTE.block)) <= 2 * MINUTE.block


limits_of_all_sizes = st.builds(
    Limit, st.just(LimitName.KEY), st.sampled_from([1, 7, 99, 100, 250, 2_000]), st.sampled_from([1, 60])
)
steps = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 60), st.integers(1, 40), st.floats(0, 0.4)), min_size=1, max_size=60
)
"""(process, attempts, cost, pause after it as a part of the window)."""


@settings(deadline=None, max_examples=150)
@given(limits_of_all_sizes, steps)
async def test_processes_together_never_spend_more_than_the_limit_in_a_window(
    limit: Limit, work: list[tuple[int, int, int, float]]
) -> None:
    async with limiters(4) as (shared, processes):
        spent: list[tuple[float, int]] = []
        for process, attempts, cost, pause in work:
            for _ in range(attempts):
                asked_at = shared.clock.monotonic()
                if not await take(processes[process], limit, cost):
                    spent.append((asked_at, cost))
            counts = shared.counts_now(limit, "k")
            assert counts.used(limit.window_s) <= limit.amount
            begin = shared.clock.monotonic() + counts.left_s - limit.window_s
            now = sum(units for at, units in spent if at >= begin)
            assert now <= counts.current, "whatever was spent in this window was counted in it"
            shared.clock.advance(pause * limit.window_s)


@settings(deadline=None, max_examples=50)
@given(limits_of_all_sizes, st.integers(1, 4), st.integers(1, 20))
async def test_no_more_is_wasted_than_a_block_per_process(limit: Limit, count: int, cost: int) -> None:
    async with limiters(count) as (_, processes):
        good = 0
        for _ in range(ceil(limit.amount / cost) + 1):
            for process in processes:
                good += cost * (not await take(process, limit, cost))
        assert limit.amount - (count - 1) * (limit.block - 1) - cost < good <= limit.amount


# --- without Redis -----------------------------------------------------------------------------------------------


async def test_without_redis_every_process_counts_for_itself() -> None:
    async with limiters(2) as (shared, processes):
        shared.away = True
        for process in processes:
            assert await taken(process, MINUTE, 7_000) == 6_000
            assert process.redis_away
            assert process._breaker._away._value.get() == 1


async def test_a_limit_that_was_reached_before_redis_went_away_stays_reached() -> None:
    async with limiters() as (shared, [limiter]):
        assert await taken(limiter, MINUTE, 5_999) == 5_999
        shared.away = True
        assert 0 < await taken(limiter, MINUTE, 200) <= MINUTE.block
        shared.clock.advance(1.5)
        assert await taken(limiter, MINUTE, 2_000) <= MINUTE.amount * 0.03


async def test_nobody_waits_for_redis_twice() -> None:
    async with limiters() as (shared, [limiter]):
        shared.hang = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        first = [take(limiter, MINUTE, who=f"k{n}") for n in range(50)]
        assert not any(await asyncio.gather(*first))
        assert loop.time() - began < 5
        takes = shared.takes
        assert not any([await take(limiter, MINUTE, who=f"later{n}") for n in range(500)])
        assert shared.takes == takes


async def test_when_redis_is_back_processes_count_together_again() -> None:
    async with limiters(2) as (shared, [one, other]):
        shared.away = True
        assert await take(one, MINUTE) == 0.0
        shared.away = False
        async with asyncio.timeout(5):
            while one.redis_away:
                await asyncio.sleep(0)
                shared.clock.advance(PAUSE_S)
        shared.clock.advance(120)
        assert await taken(one, MINUTE, 4_000) + await taken(other, MINUTE, 4_000) >= MINUTE.amount - 2 * MINUTE.block
        assert await taken(one, MINUTE, 100) + await taken(other, MINUTE, 100) <= MINUTE.block
        assert one._breaker._away._value.get() == 0


async def test_a_look_for_redis_that_fails_by_itself_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    async with limiters() as (shared, [limiter]):
        shared.away = True
        with monkeypatch.context() as broken:
            broken.setattr(shared, "check", AsyncMock(side_effect=RuntimeError("a bug of the client")))
            assert await take(limiter, MINUTE) == 0.0
            async with asyncio.timeout(5):
                while limiter._probe is not None:
                    await asyncio.sleep(0)
                    shared.clock.advance(PAUSE_S)
        shared.away = False
        async with asyncio.timeout(5):
            while limiter.redis_away:
                await take(limiter, MINUTE)
                await asyncio.sleep(0)
                shared.clock.advance(PAUSE_S)


async def test_redis_that_lost_its_memory_is_believed() -> None:
    async with limiters() as (shared, [limiter]):
        await taken(limiter, MINUTE, 6_000)
        shared.forget()
        shared.clock.advance(61)
        assert await taken(limiter, MINUTE, 7_000) == 6_000


# --- how many are remembered -------------------------------------------------------------------------------------


async def test_callers_are_forgotten_by_who_asked_first_and_redis_still_knows_them() -> None:
    small = Limit(LimitName.ADDRESS, 10, 60)
    async with limiters(max_counters=100) as (_, [limiter]):
        assert await taken(limiter, small, 20, who="limited") == 10
        for n in range(500):
            await take(limiter, small, who=f"stranger{n}")
        assert len(limiter.counters(LimitName.ADDRESS)) == 100
        assert await taken(limiter, small, 20, who="limited") == 0


async def test_strangers_do_not_push_out_callers_of_another_scope() -> None:
    async with limiters(max_counters=10) as (shared, [limiter]):
        await take(limiter, MINUTE)
        for n in range(100):
            await take(limiter, Limit(LimitName.ADDRESS, 10, 60), who=f"stranger{n}")
        takes = shared.takes
        await take(limiter, MINUTE)
        assert shared.takes == takes


async def test_without_redis_nobody_gets_rid_of_a_refusal_by_being_forgotten() -> None:
    small = Limit(LimitName.ADDRESS, 10, 60)
    async with limiters(max_counters=20) as (shared, [limiter]):
        shared.away = True
        for n in range(8):
            assert await taken(limiter, small, 20, who=f"limited{n}") == 10
        for n in range(200):
            await take(limiter, small, who=f"stranger{n}")
        for n in range(8):
            assert await taken(limiter, small, 20, who=f"limited{n}") == 0
        assert len(limiter.counters(LimitName.ADDRESS)) <= 21


async def test_without_redis_newcomers_share_an_account_when_all_others_are_limited() -> None:
    small = Limit(LimitName.ADDRESS, 10, 60)
    async with limiters(max_counters=20) as (shared, [limiter]):
        shared.away = True
        for n in range(20):
            await taken(limiter, small, 11, who=f"limited{n}")
        assert sum([await taken(limiter, small, 1, who=f"new{n}") for n in range(30)]) == 10
        assert set(limiter.counters(LimitName.ADDRESS)._counters) == {*(f"limited{n}" for n in range(20)), OTHERS}


async def test_a_new_limit_of_the_same_caller_holds_at_once() -> None:
    async with limiters() as (_, [limiter]):
        assert await taken(limiter, SECOND, 1_500) == 1_000
        assert await taken(limiter, Limit(LimitName.SAMPLES, 2_000, 1), 3_000) == 2_000


def test_every_metric_exists_from_the_start() -> None:
    metrics = MetricSet(LIMITS_METRICS)
    assert metrics.gauge(REDIS_AWAY, use=RedisUse.LIMITS)
    assert {QUESTIONS, THROTTLED} <= set(LIMITS_METRICS)


@pytest.mark.parametrize("amount", [1, 50, 99, 100, 101, 1_000])
def test_a_block_is_one_percent_and_at_least_one(amount: int) -> None:
    assert Limit(LimitName.KEY, amount, 60).block == max(1, amount // 100)
