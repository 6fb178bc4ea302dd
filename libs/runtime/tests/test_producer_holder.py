"""The holder of a producer goes on whatever the client does when a broker goes away."""

import asyncio
from typing import Any

import pytest
from vigie_runtime.bus.producer_holder import ProducerHolder


class Accumulator:
    def __init__(self) -> None:
        self._batches: dict[Any, Any] = {}
        self._pending_batches: set[Any] = set()


class Sender:
    sender_task = None


class Producer:
    """A client that fails to start, and to stop, in a way that aiokafka does not document."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self._sender, self._message_accumulator = Sender(), Accumulator()

    async def start(self) -> None:
        if self._error is not None:
            raise self._error

    async def stop(self) -> None:
        if self._error is not None:
            raise self._error

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0}


@pytest.mark.parametrize("error", [KeyError((1, 0)), AssertionError("Did we not perform bootstrap?")])
async def test_error_that_is_not_kafkas_does_not_end_the_attempts_to_connect(error: Exception) -> None:
    heard: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context["message"]))
    clients: list[Any] = [Producer(error), Producer(None)]
    good = clients[-1]
    holder = ProducerHolder(lambda: clients.pop(0), "topic", 1)
    async with asyncio.timeout(10):
        assert await holder.get() is good
    await holder.close()
    assert heard == []
