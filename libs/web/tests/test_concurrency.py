"""Expensive work: some at a time, some waiting, the rest refused."""

import asyncio

from vigie_runtime.errors import Busy
from vigie_web.concurrency import ConcurrencyLimit


async def test_no_more_run_than_may_and_slots_come_back_after_errors() -> None:
    limit = ConcurrencyLimit(2, "things")
    at_once = most = refused = 0

    async def work() -> None:
        nonlocal at_once, most, refused
        try:
            async with limit.slot():
                at_once += 1
                most = max(most, at_once)
                await asyncio.sleep(0)
                at_once -= 1
                raise RuntimeError("of the work")
        except Busy:
            refused += 1
        except RuntimeError:
            pass

    for _ in range(2):
        await asyncio.gather(*(work() for _ in range(30)))
    assert most == 2
    assert refused == 2 * (30 - 10)


async def test_nobody_has_more_than_half_of_the_places() -> None:
    limit, end = ConcurrencyLimit(1, "things", waiting=7), asyncio.Event()
    refused: list[str] = []

    async def work(whose: str) -> None:
        try:
            async with limit.slot(whose):
                await end.wait()
        except Busy:
            refused.append(whose)

    working = [asyncio.create_task(work(whose)) for whose in ("one",) * 6 + ("other",)]
    await asyncio.sleep(0)
    assert refused == ["one"] * 2
    end.set()
    await asyncio.gather(*working)
    await work("one")
    assert len(refused) == 2
