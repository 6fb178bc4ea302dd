"""Waits that are ended by somebody else."""

import asyncio

import pytest
from vigie_runtime.bus.interruptible import Interruptible


async def test_wait_that_is_ended_is_left_at_once_and_the_next_one_is_whole() -> None:
    wait, passed = Interruptible(), asyncio.Event()

    async def waiting() -> bool:
        async with wait:
            await passed.wait()
            return True
        return False

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    wait.end()
    async with asyncio.timeout(5):
        assert await task is False
    passed.set()
    assert await waiting() is True


async def test_an_end_while_nothing_is_waited_for_ends_nothing_later() -> None:
    wait = Interruptible()
    wait.end()
    passed = asyncio.Event()
    asyncio.get_running_loop().call_soon(passed.set)
    async with wait:
        await passed.wait()
    assert passed.is_set()


async def test_a_cancellation_from_outside_stays_one() -> None:
    wait = Interruptible()

    async def waiting() -> None:
        async with wait:
            await asyncio.Event().wait()

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_errors_of_what_is_waited_for_come_out() -> None:
    wait = Interruptible()
    with pytest.raises(TimeoutError, match="of the client"):
        async with wait:
            raise TimeoutError("of the client")
