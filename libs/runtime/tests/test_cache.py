"""What several requests share: young, bounded, computed once at a time."""

import asyncio

import pytest
from vigie_api.exposition import catalogue
from vigie_api.settings import Settings
from vigie_runtime.cache import TtlCache
from vigie_runtime.clock import ManualClock
from vigie_storage import reader


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
    answers = Settings.model_fields["api_answer_cache_s"].default
    assert answers + max(reader._SELECTION_TTL_S, catalogue._TTL_S) < 1
