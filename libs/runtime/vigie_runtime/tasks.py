"""Cancelling asyncio tasks, and work beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

_AGAIN_S: Final = 0.1
T = TypeVar("T")


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks, and return when all have ended, however they did.

    What they failed with before is nobody's concern any more. They are cancelled again and again: a client that looks
    for its server can swallow a cancellation and go on."""
    all_ = set(tasks)
    while left := {task for task in all_ if not task.done()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_AGAIN_S)
    for task in all_:
        retrieve(task)


async def beside(work: Callable[[], T], *, short: bool) -> T:
    """What the work gives, which a thread does: others wait for the event loop. Where it is short, less than a thread
    is worth (a millisecond, say), it is done at once."""
    return work() if short else await asyncio.to_thread(work)


def retrieve(task: asyncio.Task[Any]) -> BaseException | None:
    """What a task that has ended failed with, None when it did not. asyncio does not complain of it any more."""
    return None if task.cancelled() else task.exception()
