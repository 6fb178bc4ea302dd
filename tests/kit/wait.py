"""Deadlines instead of sleeps, and names nobody else uses."""

import asyncio
import inspect
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
DEFAULT_DEADLINE_S = 30.0
INTERVAL_S = 0.05
MOST_PATIENCE = 10.0


def patience() -> float:
    """By how much a set-up may take longer than on an idle machine: processes that want to run, per core; 1 to 10.

    For what prepares a test. What a test promises has its own time, on any machine."""
    return min(MOST_PATIENCE, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def unique(prefix: str) -> str:
    """A name for a topic, database, group or tenant that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


class _Attempts:
    """What was seen last, for the message when time is up."""

    def __init__(self, deadline: float, what: str) -> None:
        self._end = time.monotonic() + deadline
        self._deadline = deadline
        self._what = what
        self.last: object = None

    def check_time(self) -> None:
        if time.monotonic() > self._end:
            error = self.last if isinstance(self.last, BaseException) else None
            message = f"not within {self._deadline:g} s: {self._what}; last seen: {self.last!r}"
            if self.last is None:
                message += ", which counts as not yet: a predicate that only asserts returns True at its end"
            raise AssertionError(message) from error


async def eventually(
    predicate: Callable[[], T | Awaitable[T]],
    deadline: float = DEFAULT_DEADLINE_S,
    *,
    retry_on: tuple[type[BaseException], ...] = (AssertionError,),
    interval: float = INTERVAL_S,
) -> T:
    """Call `predicate` (sync or async) until it gives something truthy, and return that.

    Exceptions of `retry_on` mean "not yet". After `deadline` seconds: AssertionError with what was seen last.
    """
    attempts = _Attempts(deadline, getattr(predicate, "__name__", repr(predicate)))
    while True:
        try:
            result = predicate()
            value = await result if inspect.isawaitable(result) else result
            if value:
                return value  # pyright: ignore[reportReturnType] - awaited above when it was awaitable
            attempts.last = value
        except retry_on as error:
            attempts.last = error
        attempts.check_time()
        await asyncio.sleep(interval)


def eventually_sync(
    predicate: Callable[[], T],
    deadline: float = DEFAULT_DEADLINE_S,
    *,
    retry_on: tuple[type[BaseException], ...] = (AssertionError,),
    interval: float = INTERVAL_S,
) -> T:
    """`eventually` for tests without a loop."""
    attempts = _Attempts(deadline, getattr(predicate, "__name__", repr(predicate)))
    while True:
        try:
            if value := predicate():
                return value
            attempts.last = value
        except retry_on as error:
            attempts.last = error
        attempts.check_time()
        time.sleep(interval)
