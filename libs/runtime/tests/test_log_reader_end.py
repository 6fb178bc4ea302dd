"""What aiokafka lets out of `stop` must not look like our own cancellation."""

import asyncio
from typing import Any

import pytest
from vigie_runtime.bus.log_reader import LogReader
from vigie_runtime.bus.topics import TopicIdentity


class Handler:
    """Owns nothing."""

    async def revoked(self, partitions: Any) -> None: ...


class Consumer:
    """Stops as aiokafka does when its coordinator's task was cancelled under it."""

    async def stop(self) -> None:
        raise asyncio.CancelledError


def reader() -> LogReader:
    identity = TopicIdentity("topic", "cluster", "id", 1)
    return LogReader(Consumer, identity, Handler())  # pyright: ignore[reportArgumentType]


async def test_a_cancellation_inside_the_consumer_does_not_end_the_reader() -> None:
    await reader()._end(Consumer())  # pyright: ignore[reportArgumentType]


async def test_our_own_cancellation_is_not_swallowed() -> None:
    class Hanging(Consumer):
        async def stop(self) -> None:
            await asyncio.Event().wait()

    task = asyncio.create_task(reader()._end(Hanging()))  # pyright: ignore[reportArgumentType]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
