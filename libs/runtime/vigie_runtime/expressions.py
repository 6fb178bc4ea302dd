"""What users write and Vigie runs (regular expressions, queries): in threads of its own, for a limited time.

An expression never runs on the event loop, and holds a thread no longer than its question may think. Its work is a
function that calls its argument often, at least every few milliseconds: that raises when the time is over.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeAlias, TypeVar

from vigie_contracts.problems import ProblemKind
from vigie_contracts.tenants import TenantId

from vigie_runtime.errors import Busy, ProblemError

THINKING_S: Final = 1.0
"""What the expressions of one question may take in all, seconds of a core: on a busy machine a simple one is not
refused because others had the core."""
WAIT_S: Final = 1.0
"""How long a question waits for a thread. Some wait for those that think, and are asked to come back."""
_AT_ONCE: Final = 2
_WAITING: Final = 22
_PER_TENANT: Final = 6
"""Of one tenant, working and waiting: what a browser asks for at the same time. A tenant whose expressions are slow
leaves room for the others."""
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

    def __init__(self, thinking_s: float = THINKING_S, at_once: int = _AT_ONCE, wait_s: float = WAIT_S) -> None:
        self._thinking_s, self._wait_s = thinking_s, wait_s
        self._per_tenant = max(_PER_TENANT, at_once)
        self._most = at_once + _WAITING
        self._threads = ThreadPoolExecutor(at_once, "expressions")
        self._free = asyncio.Semaphore(at_once)
        self._admitted: Counter[TenantId] = Counter()

    def question(self, field: str, tenant: TenantId) -> Thinking:
        """The time of one question of a tenant; `field` is the parameter that its expressions came in."""
        return Thinking(self, field, tenant, self._thinking_s)

    async def run(self, tenant: TenantId, work: Callable[[], T]) -> T:
        """The result of the work, which one of the threads does. Raises Busy: for all, or for this tenant, or when no
        thread is free in `wait_s`."""
        if self._admitted[tenant] >= self._per_tenant or self._admitted.total() >= self._most:
            raise Busy("expressions")
        self._admitted[tenant] += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            self._leave(tenant)
            raise Busy("expressions") from None
        except BaseException:
            self._leave(tenant)
            raise
        loop = asyncio.get_running_loop()
        future = self._threads.submit(work)
        # When the thread is free again, not when whoever asked has gone.
        future.add_done_callback(lambda _: _tell(loop, lambda: self._end(tenant)))
        return await asyncio.wrap_future(future)

    def _end(self, tenant: TenantId) -> None:
        self._free.release()
        self._leave(tenant)

    def _leave(self, tenant: TenantId) -> None:
        self._admitted[tenant] -= 1
        if not self._admitted[tenant]:
            del self._admitted[tenant]


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(callback)


class Thinking:
    """The time that is left to one question, over all that it runs, one after the other."""

    def __init__(self, expressions: Expressions, field: str, tenant: TenantId, seconds: float) -> None:
        self._expressions, self._field, self._tenant, self._seconds = expressions, field, tenant, seconds
        self._left = seconds
        self._given_up = False

    async def run(self, work: Callable[[Check], T]) -> T:
        """The result of `work`, which ends soon when nobody waits for it any more. Raises ExpressionTooSlow, Busy."""

        def timed() -> T:
            began = time.thread_time()
            end = began + self._left

            def check() -> None:
                if self._given_up or time.thread_time() > end:
                    raise ExpressionTooSlow(self._field, self._seconds)

            try:
                return work(check)
            finally:
                self._left -= time.thread_time() - began

        try:
            return await self._expressions.run(self._tenant, timed)
        except asyncio.CancelledError:
            self._given_up = True
            raise
