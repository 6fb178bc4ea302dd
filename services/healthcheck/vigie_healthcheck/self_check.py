"""Whether the prober itself is well: its process was not held up, and its network reaches what always answers.

What fails while it is not says nothing of the target.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from vigie_runtime import logging
from vigie_runtime.cache import TtlCache
from vigie_runtime.clock import Clock

log = logging.get(__name__)

Reference: TypeAlias = tuple[str, int]
Connect: TypeAlias = Callable[[str, int], Awaitable[None]]
"""Returns when a connection was made. Raises OSError."""

CACHE_S: Final = 1.0
TIMEOUT_S: Final = 2.0
_TICK_S: Final = 0.1
_NOTED_S: Final = 0.05
_NOTED: Final = 512


class LoopDelay:
    """How late the event loop does what is due: `run` in a task, `worst` tells. By monotonic time of the system, as the
    loop's own may stand still while it works."""

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque(maxlen=_NOTED)
        """When it was found, and by how much; the newest last."""
        self._expected: float | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Look until stopped."""
        while not self._stopping.is_set():
            self._expected = time.monotonic() + _TICK_S
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._stopping.wait()
            if (late := time.monotonic() - self._expected) > _NOTED_S:
                self._late.append((time.monotonic(), late))
        self._expected = None

    def stop(self) -> None:
        self._stopping.set()

    def worst(self, since: float) -> float:
        """Seconds that something was late at most since that monotonic time; what is late now counts too."""
        found = max((late for at, late in self._late if at >= since), default=0.0)
        # After a standstill whoever asks may run before `run` does.
        now_late = 0.0 if self._expected is None else time.monotonic() - self._expected
        return max(found, now_late)


class SelfCheck:
    """One for the process: all that fails at the same time asks together."""

    def __init__(
        self, references: Sequence[Reference], delay: LoopDelay, clock: Clock, connect: Connect | None = None,
        *, report: Callable[[bool], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """`report` is told after each look at the network whether it works."""
        self._references, self._delay, self._connect, self._report = references, delay, connect or _connect, report
        self._works = TtlCache[bool](clock, CACHE_S, 1, name="self-check")

    async def fault(self, since: float, patience_s: float) -> str:
        """Why a target that did not answer within `patience_s`, asked for at that monotonic time, may not be to
        blame: a sentence, empty when it is."""
        held_up = self._delay.worst(since)
        if held_up >= max(_TICK_S, patience_s / 5):
            return f"the prober was held up for {held_up:.1f} s"
        if self._references and not await self._works.get("network", self._look):
            return "the prober itself has no network"
        return ""

    async def close(self) -> None:
        """End what is under way."""
        await self._works.close()

    async def _look(self) -> bool:
        """Whether one of the references can be connected to."""
        tasks = [asyncio.create_task(self._reaches(*reference)) for reference in self._references]
        works = False
        try:
            for answer in asyncio.as_completed(tasks):
                if await answer:
                    works = True
                    break
        finally:
            for task in tasks:
                task.cancel()
        if not works:
            log.warning("no reference address can be reached: what cannot be reached is unknown, not down")
        self._report(works)
        return works

    async def _reaches(self, host: str, port: int) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._connect(host, port)
        except (OSError, UnicodeError):  # TimeoutError is one
            return False
        return True


async def _connect(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.transport.abort()
