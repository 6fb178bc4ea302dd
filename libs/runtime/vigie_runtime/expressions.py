"""What users write and Vigie runs (regular expressions, queries): in threads of its own, for a limited time.

An expression never runs on the event loop, and holds a thread no longer than its question may think. Its work is a
function that calls its argument often, at least every few milliseconds: that raises when the time is over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias, TypeVar

from vigie_contracts.problems import ProblemKind

from vigie_runtime.errors import Busy, ProblemError

THINKING_S: Final = 1.0
"""What the expressions of one question may take in all, seconds of a core: on a busy machine a simple one is not
refused because others had the core."""
_AT_ONCE: Final = 2
_WAITING: Final = 8
T = TypeVar("T")
Check: TypeAlias = Callable[[], None]
"""Raises ExpressionTooSlow when the time is over."""


class ExpressionTooSlow(ProblemError):  # noqa: N818 - named after what is wrong
    """The expressions of a question did not come to an end in the time that they have."""

    kind = ProblemKind.LIMIT
    status = 422

    def __init__(self, field: str, seconds: float) -> None:
        super().__init__(
            f"{field}: this takes longer than {seconds:g} s: use simpler expressions, or first select less by what is "
            "exact (name, label=value)",
            field=field,
        )


class Expressions:
    """The threads for expressions of one process: some work, some wait, the rest is refused at once."""

    def __init__(self, thinking_s: float = THINKING_S) -> None:
        self._thinking_s = thinking_s
        self._threads = ThreadPoolExecutor(_AT_ONCE, "expressions")
        self._admitted = 0

    def question(self, field: str) -> Thinking:
        """The time of one question; `field` is the parameter that its expressions came in."""
        return Thinking(self, field, self._thinking_s)

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """The work in one of the threads. Raises Busy."""
        if self._admitted >= _AT_ONCE + _WAITING:
            raise Busy("expressions")
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        self._admitted += 1
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: object) -> None:
        self._admitted -= 1


class Thinking:
    """The time that is left to one question, over all that it runs, one after the other."""

    def __init__(self, expressions: Expressions, field: str, seconds: float) -> None:
        self._expressions, self._field, self._seconds = expressions, field, seconds
        self._left = seconds

    async def run(self, work: Callable[[Check], T]) -> T:
        """The result of `work`. Raises ExpressionTooSlow, Busy."""

        def timed() -> T:
            began = time.thread_time()
            end = began + self._left

            def check() -> None:
                if time.thread_time() > end:
                    raise ExpressionTooSlow(self._field, self._seconds)

            try:
                return work(check)
            finally:
                self._left -= time.thread_time() - began

        return await self._expressions.submit(timed)
