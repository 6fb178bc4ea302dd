"""Work is claimed at once, now and then, and not too often while the store is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from vigie_runtime.backoff import Backoff
from vigie_runtime.claiming import Claiming
from vigie_runtime.errors import Retryable, StoreUnavailable

from tests.kit import eventually

AWAY = Backoff(0.01, 0.01)


class Work:
    """What a claim finds, one after the other; nothing when there is no more."""

    def __init__(self, *found: bool | Exception) -> None:
        self.found, self.asked = list(found), 0

    async def claim(self) -> bool:
        self.asked += 1
        one = self.found.pop(0) if self.found else False
        if isinstance(one, Exception):
            raise one
        return one


async def running(claiming: Claiming, check: Callable[[], Awaitable[object]]) -> None:
    task = asyncio.create_task(claiming.run())
    await check()
    claiming.stop()
    await asyncio.wait_for(task, 1.0)


async def test_while_there_is_something_it_goes_on_and_then_waits_until_it_is_woken() -> None:
    work = Work(True, True)
    claiming = Claiming(work.claim, 60.0, AWAY)

    async def check() -> None:
        await eventually(lambda: work.asked == 3)
        claiming.wake()
        await eventually(lambda: work.asked == 4)

    await running(claiming, check)


async def test_it_looks_by_itself_and_comes_back_when_the_store_was_away() -> None:
    work = Work(StoreUnavailable(), Retryable("reading alerts"))
    await running(Claiming(work.claim, 0.01, AWAY), lambda: eventually(lambda: work.asked > 5))


async def test_what_is_no_outage_ends_it() -> None:
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(Claiming(Work(ZeroDivisionError()).claim, 60.0, AWAY).run(), 1.0)
