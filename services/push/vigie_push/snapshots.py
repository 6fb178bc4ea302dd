"""Snapshots that many clients share: when thousands come back at once, the store is asked once."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeAlias

from vigie_runtime import tasks
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable

from vigie_push.channels.base import Cursor, Feed, Snapshot, Topic
from vigie_push.errors import SubscriptionOver
from vigie_push.subscriber import Event

Taken: TypeAlias = tuple[Snapshot, list[Event]]


PAUSES_S: Final = (0.5, 1.5)
"""Before a snapshot is tried again that the store did not answer: when thousands come back at once, they may be what
keeps it from answering in time."""


class Snapshots:
    """Of one topic. A snapshot is only shared with those who wait for it before it is begun: who comes later may miss
    in it what was not sent to them live."""

    def __init__(self, feed: Feed, topic: Topic[Any], reads: asyncio.Semaphore, clock: Clock) -> None:
        """`reads` bounds how many are made at a time, of all topics; with one cursor it is one."""
        self._feed, self._topic, self._reads, self._clock = feed, topic, reads, clock
        self._waiting: dict[Cursor | None, asyncio.Task[Taken]] = {}
        """Not begun yet."""
        self._running: dict[Cursor | None, asyncio.Task[Taken]] = {}

    async def take(self, after: Cursor | None) -> Taken:
        """What stands, or what came since the cursor. Raises what the feed raises; SubscriptionOver after `close`."""
        task = self._waiting.get(after)
        if task is None:
            making = self._make(after, self._running.get(after))
            task = self._waiting[after] = asyncio.create_task(making, name="snapshot")
            task.add_done_callback(tasks.retrieve)
        await asyncio.wait([task])  # not awaited itself: whoever waits would be cancelled with it
        if task.cancelled():
            raise SubscriptionOver
        return task.result()

    async def close(self) -> None:
        """End what is under way."""
        await tasks.end([*self._waiting.values(), *self._running.values()])

    async def _make(self, after: Cursor | None, before: asyncio.Task[Taken] | None) -> Taken:
        if before is not None:
            await asyncio.wait([before])
        async with self._reads:
            task = self._running[after] = self._waiting.pop(after)
            try:
                snapshot = await self._read(after)
            finally:
                if self._running.get(after) is task:
                    del self._running[after]
        now = self._clock.monotonic()
        return snapshot, [Event(self._topic, update, now) for update in snapshot.updates]

    async def _read(self, after: Cursor | None) -> Snapshot:
        for pause_s in PAUSES_S:
            try:
                return await self._feed.snapshot(after)
            except StoreUnavailable:
                await self._clock.sleep(pause_s)
        return await self._feed.snapshot(after)
