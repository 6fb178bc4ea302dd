"""Ending tasks, also those that swallow a cancellation."""

import asyncio

from vigie_runtime import tasks


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.Event().wait()

    async def failing() -> None:
        raise RuntimeError("of the work")

    under_way = [asyncio.create_task(stubborn()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    await tasks.end(under_way)
    assert swallowed == 2
    assert under_way[0].cancelled()
    assert isinstance(under_way[1].exception(), RuntimeError)


async def test_without_tasks_there_is_nothing_to_wait_for() -> None:
    await asyncio.wait_for(tasks.end([]), 1)
