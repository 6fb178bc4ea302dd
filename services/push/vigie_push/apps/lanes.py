"""The reports of apps on their way to the bus: those of one app in their order, those of a burst together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from vigie_publishing.errors import BufferFullError
from vigie_publishing.publishers import KeyedReport, Outcome
from vigie_runtime import tasks

MAX_TOGETHER: Final = 500
"""Reports that are published with one call."""

Publish = Callable[[Sequence[KeyedReport]], Awaitable[list[Outcome]]]
Admit = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Waiting:
    report: KeyedReport
    size: int
    admit: Admit
    end: asyncio.Future[Outcome]

    def succeed(self, outcome: Outcome) -> None:
        """Who waits may have gone."""
        if not self.end.done():
            self.end.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """As `succeed`."""
        if not self.end.done():
            self.end.set_exception(error)


class Lanes:
    """A lane for each app that has something on its way: while one call publishes, what comes for the app waits, and
    goes with the next call. For one event loop."""

    def __init__(self, publish: Publish, max_bytes: int) -> None:
        """`max_bytes`: of all that waits or is on its way."""
        self._publish, self._limit = publish, max_bytes
        self._lanes: dict[Hashable, list[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.held = 0
        """Bytes that wait or are on their way."""

    async def put(self, report: KeyedReport, size: int, admit: Admit) -> Outcome:
        """Publish a report of `size` bytes, behind those of its app that came before, when `admit` lets it. Its place
        is taken before this first waits. Raises BufferFullError, what `admit` raises, and as
        `ReportPublisher.publish`."""
        if self.held + size > self._limit:
            raise BufferFullError
        self.held += size
        waiting = _Waiting(report, size, admit, asyncio.get_running_loop().create_future())
        lane = (report.tenant, report.subject)
        if lane in self._lanes:
            self._lanes[lane].append(waiting)
        else:
            self._lanes[lane] = [waiting]
            task = asyncio.create_task(self._run(lane), name="app reports")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await waiting.end

    async def close(self) -> None:
        """Give up what waits: nobody listens to its end any more."""
        await tasks.end(self._tasks)

    async def _run(self, lane: Hashable) -> None:
        waiting = self._lanes[lane]
        try:
            while waiting:
                together = waiting[:MAX_TOGETHER]
                await self._send(together)
                self._release(waiting, len(together))
        finally:
            del self._lanes[lane]
            self._release(waiting, len(waiting))

    def _release(self, waiting: list[_Waiting], count: int) -> None:
        """The first ones are done with, also those whose sender has gone meanwhile: until now they were held."""
        for one in waiting[:count]:
            self.held -= one.size
            one.end.cancel()  # of a lane that was cancelled; else it is done
        del waiting[:count]

    async def _send(self, together: Sequence[_Waiting]) -> None:
        """Each learns its own end."""
        admitted = [one for one in together if await _admitted(one)]
        by_key = {one.report.key: one.report for one in admitted}  # one that is there twice is published once
        if not by_key:
            return
        try:
            outcomes = dict(zip(by_key, await self._publish(list(by_key.values())), strict=True))
        except Exception as e:  # noqa: BLE001 - whoever waits raises it, also a bug: that must not end the lane
            for one in admitted:
                one.fail(e)
        else:
            for one in admitted:
                one.succeed(outcomes[one.report.key])


async def _admitted(one: _Waiting) -> bool:
    try:
        await one.admit()
    except Exception as e:  # noqa: BLE001 - as above
        one.fail(e)
        return False
    return True
