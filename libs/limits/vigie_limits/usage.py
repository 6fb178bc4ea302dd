"""What tenants used, per day (UTC): counted by every gateway in memory, added up in MongoDB every few seconds.

For people to look at, and to agree on plans. A gateway that is killed takes with it what it counted since its last
write, at most WRITE_EVERY_S of it; one whose write was cut off, so that nobody knows what became of it, writes again,
and may have counted that twice.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from vigie_runtime import tasks
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet
from vigie_storage.usage import Key, Tally, UsageStore, midnight

from vigie_limits.metrics import USAGE_DROPPED, USAGE_WAITING

WRITE_EVERY_S: Final = 5.0
MAX_WAITING: Final = 20_000
"""Tenants and days that wait for MongoDB; what comes beyond is dropped and counted."""


class UsageMeter:
    """Counts for one gateway. All methods are for one event loop."""

    def __init__(self, db: Database, clock: Clock, metrics: MetricSet) -> None:
        self._store = UsageStore(db, clock)
        self._clock = clock
        self._day = midnight(clock.now_ms())
        self._tallies: dict[str, Tally] = {}
        self._unwritten: dict[Key, Tally] = {}
        self._dropped = metrics.counter(USAGE_DROPPED)
        self._task: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        metrics.gauge(USAGE_WAITING).set_function(lambda: len(self._tallies) + len(self._unwritten))

    def of(self, tenant: str) -> Tally:
        """Where to add what a tenant does; to be asked for anew after every await. Only for tenants that exist."""
        tally = self._tallies.get(tenant)
        if tally is None:
            tally = self._tallies[tenant] = Tally()
        return tally

    def start(self) -> None:
        """Begin to write; needs a running loop."""
        self._task = asyncio.create_task(self._run(), name="usage")

    async def close(self) -> None:
        """Write what is left."""
        if self._task is not None:
            async with self._writing:  # a write that was cut off would be made again
                await tasks.end([self._task])
        await self.write()

    async def write(self) -> None:
        """Add to MongoDB what was counted since the last time. What it does not take waits for the next time."""
        async with self._writing:
            waiting = self._take()
            unwritten = await self._store.add(waiting)
            self._put_back({key: waiting[key] for key in unwritten})

    async def _run(self) -> None:
        while True:
            until_midnight_s = (self._day + timedelta(days=1)).timestamp() - self._clock.now_ms() / 1000
            await self._clock.sleep(max(0.0, min(WRITE_EVERY_S, until_midnight_s)))
            await self.write()

    def _take(self) -> dict[Key, Tally]:
        day, self._day = self._day, midnight(self._clock.now_ms())
        tallies, self._tallies = self._tallies, {}
        waiting, self._unwritten = self._unwritten, {}
        for tenant, tally in tallies.items():
            waiting.setdefault((tenant, day), Tally()).add(tally)
        return waiting

    def _put_back(self, waiting: dict[Key, Tally]) -> None:
        for key, tally in waiting.items():
            if key in self._unwritten or len(self._unwritten) < MAX_WAITING:
                self._unwritten.setdefault(key, Tally()).add(tally)
            else:
                self._dropped.inc(tally.requests)
