"""What several requests share: young, bounded, computed once at a time."""

import asyncio
import gc

import pytest
from vigie_api.settings import ApiSettings
from vigie_runtime.cache import SingleFlight, TtlCache
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Busy
from vigie_storage.series import selections
from vigie_summaries.families import catalogue


async def value_of(text: str) -> str:
    return text


async def test_a_value_is_shared_until_it_is_too_old() -> None:
    clock = ManualClock()
    cache = TtlCache[str](clock, 0.5, 10)
    assert await cache.get("k", lambda: value_of("first")) == "first"
    clock.advance(0.4)
    assert await cache.get("k", lambda: value_of("second")) == "first"
    clock.advance(0.1)
    assert await cache.get("k", lambda: value_of("third")) == "third"


async def test_expired_values_do_not_stay_in_memory() -> None:
    clock = ManualClock()
    cache = TtlCache[str](clock, 0.5, 1_000)
    for i in range(100):
        await cache.get(i, lambda: value_of("v"))
        clock.advance(0.25)
    assert len(cache._values) <= 2


async def test_values_weigh_no_more_together_than_there_is_room() -> None:
    cache = TtlCache[str](ManualClock(), 60, 10, len)
    for i in range(5):
        await cache.get(i, lambda: value_of("four"))
    assert list(cache._values) == [3, 4]
    await cache.get("heavy", lambda: value_of("eleven char"))
    assert list(cache._values) == [3, 4]


async def test_those_who_wait_share_a_failure_and_the_next_one_tries_again() -> None:
    cache, calls = TtlCache[str](ManualClock(), 60, 10), 0

    async def fail() -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        raise RuntimeError("away")

    answers = await asyncio.gather(*(cache.get("k", fail) for _ in range(5)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["away"] * 5
    assert calls == 1
    with pytest.raises(RuntimeError):
        await cache.get("k", fail)
    assert calls == 2


def test_caches_together_leave_a_second_for_the_commit_of_a_new_series() -> None:
    answers = ApiSettings.model_fields["api_answer_cache_s"].default
    assert answers + max(selections.COUNTED_TTL_S, catalogue._TTL_S) < 1


async def test_no_more_is_computed_at_a_time_than_may_be_and_waiting_for_it_is_free() -> None:
    cache, gate = TtlCache[str](ManualClock(), 60, 10, max_running=1, name="questions"), asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "v"

    waiting = [asyncio.ensure_future(cache.get("k", slow)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="too many questions"):
        await cache.get("other", lambda: value_of("o"))
    waiting[0].cancel()  # the one who asked first goes away
    gate.set()
    assert await asyncio.gather(*waiting[1:]) == ["v", "v"]
    assert await cache.get("other", lambda: value_of("o")) == "o"


async def test_what_is_under_way_ends_with_the_cache() -> None:
    cache = TtlCache[str](ManualClock(), 60, 10)

    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    waiting = asyncio.ensure_future(cache.get("k", never))
    await asyncio.sleep(0)
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_flight_that_nobody_waits_for_fails_quietly() -> None:
    flights, unheard = SingleFlight[str]("flights"), []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))

    async def fail() -> str:
        raise RuntimeError("away")

    task = flights.start("k", fail)
    assert flights.running("k") is task
    assert len(flights) == 1
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert (flights.running("k"), len(flights)) == (None, 0)
    del task
    gc.collect()
    assert unheard == []
