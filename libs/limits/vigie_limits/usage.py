"""What tenants used, per day (UTC): counted by every gateway in memory, added up in MongoDB every few seconds.

For people to look at, and to agree on plans. A gateway that is killed takes with it what it counted since its last
write, at most WRITE_EVERY_S of it; one whose write was cut off, so that nobody knows what became of it, writes again,
and may have counted that twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import pymongo
from pymongo import ASCENDING, UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging, tasks
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import reason_of
from vigie_runtime.metrics import MetricSet
from vigie_storage.catalogue import series_count
from vigie_storage.mongo import storing
from vigie_storage.scoped import Store, Why

from vigie_limits.metrics import USAGE_DROPPED, USAGE_WAITING

log = logging.get(__name__)

COLLECTION: Final = "tenant_usage"
KEPT: Final = timedelta(days=400)
WRITE_EVERY_S: Final = 5.0
WRITE_TIMEOUT_S: Final = 5.0
MAX_WAITING: Final = 20_000
"""Tenants and days that wait for MongoDB; what comes beyond is dropped and counted."""
_PER_WRITE: Final = 1_000
_FIELDS: Final = ("samples", "requests", "rejected", "throttled")


@dataclass(slots=True)
class Tally:
    """`samples` and `rejected` are items, taken and refused; `requests` are all, `throttled` those beyond a limit."""

    samples: int = 0
    requests: int = 0
    rejected: int = 0
    throttled: int = 0

    def add(self, other: Tally) -> None:
        for field in _FIELDS:
            setattr(self, field, getattr(self, field) + getattr(other, field))


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What a tenant used on a day, UTC."""

    day: date
    samples: int
    requests: int
    rejected: int
    throttled: int


Key = tuple[str, datetime]
"""A tenant, and the beginning of a day."""


class UsageMeter:
    """Counts for one gateway. All methods are for one event loop."""

    def __init__(self, db: Database, clock: Clock, metrics: MetricSet) -> None:
        self._collection = Store(db, COLLECTION).across(Why.USAGE)
        self._clock = clock
        self._day = _midnight(clock.now_ms())
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
            await self._write(self._take())

    async def _write(self, waiting: dict[Key, Tally]) -> None:
        keys = list(waiting)
        for start in range(0, len(keys), _PER_WRITE):
            some = keys[start : start + _PER_WRITE]
            try:
                with pymongo.timeout(WRITE_TIMEOUT_S):
                    await self._collection.bulk_write([_update(key, waiting[key]) for key in some], ordered=False)
            except PyMongoError as e:
                log.warning("the usage of tenants cannot be written now", tenants=len(some), reason=reason_of(e))
                self._put_back({key: waiting[key] for key in _unwritten(some, e)})

    async def _run(self) -> None:
        while True:
            until_midnight_s = (self._day + timedelta(days=1)).timestamp() - self._clock.now_ms() / 1000
            await self._clock.sleep(max(0.0, min(WRITE_EVERY_S, until_midnight_s)))
            await self.write()

    def _take(self) -> dict[Key, Tally]:
        day, self._day = self._day, _midnight(self._clock.now_ms())
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


class Usage:
    """Reads what all gateways counted. Every method raises StoreUnavailable."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._store = Store(db, COLLECTION)
        self._clock = clock

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with storing():
            await self._store.ensure([("day", ASCENDING)])
            seconds = int(KEPT.total_seconds())
            await self._store.across(Why.USAGE).create_index("day", expireAfterSeconds=seconds)

    async def of(self, tenant: TenantId, from_day: date, to_day: date) -> list[DayUsage]:
        """The days on which there was something, both ends included, oldest first; at most 400."""
        query = {"day": {"$gte": _start(from_day), "$lte": _start(to_day)}}
        with storing():
            found = await self._store.of(tenant).first(query, "day", KEPT.days)
        return [_day_usage(document) for document in found]

    async def today(self, tenant: TenantId) -> DayUsage:
        """The day so far, without the last seconds."""
        day = _midnight(self._clock.now_ms()).date()
        found = await self.of(tenant, day, day)
        return found[0] if found else DayUsage(day, *astuple(Tally()))

    async def series(self, tenant: TenantId) -> int:
        """How many series the tenant has: what its plan's `series` limits."""
        with storing():
            return await series_count(self._db, tenant)


def _update(key: Key, tally: Tally) -> UpdateOne:
    tenant, day = key
    document: dict[str, Any] = {"tenant": tenant, "day": day}
    added = {field: getattr(tally, field) for field in _FIELDS}
    return UpdateOne({"_id": document}, {"$inc": added, "$setOnInsert": document}, upsert=True)


def _unwritten(keys: list[Key], error: PyMongoError) -> list[Key]:
    """Which of the updates were not made; all of them when nobody knows."""
    if isinstance(error, BulkWriteError):
        return [keys[failed["index"]] for failed in error.details["writeErrors"]]
    return keys


def _day_usage(document: Document) -> DayUsage:
    return DayUsage(document["day"].date(), *(int(document[field]) for field in _FIELDS))


def _midnight(now_ms: int) -> datetime:
    return _start(datetime.fromtimestamp(now_ms / 1000, UTC).date())


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
