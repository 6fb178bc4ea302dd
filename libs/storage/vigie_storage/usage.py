"""What tenants used, per day (UTC).

tenant_usage  {_id: {tenant, day}, tenant, day, samples, requests, rejected, throttled}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

import pymongo
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import reason_of

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, bounded
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.tenancy import TenantCollection, Why

log = logging.get(__name__)

KEPT: Final = collections.USAGE_LIFE
WRITE_TIMEOUT_S: Final = 5.0
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


class UsageStore:
    """Stores and reads what tenants used. Every method but `add` raises StoreUnavailable."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._usage = TenantCollection(db, collections.TENANT_USAGE)
        self._series = SeriesCatalogue(db)
        self._clock = clock

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded():
            await self._usage.ensure()

    async def add(self, used: Mapping[Key, Tally]) -> list[Key]:
        """Add to what is stored. Which of it was not; all of a write of which nobody knows what became of it."""
        keys, unwritten = list(used), list[Key]()
        for start in range(0, len(keys), _PER_WRITE):
            some = keys[start : start + _PER_WRITE]
            updates = [_update(key, used[key]) for key in some]
            try:
                with pymongo.timeout(WRITE_TIMEOUT_S):
                    await self._usage.across(Why.USAGE).bulk_write(updates, ordered=False)
            except PyMongoError as e:
                log.warning("the usage of tenants cannot be written now", tenants=len(some), reason=reason_of(e))
                unwritten += _unwritten(some, e)
        return unwritten

    async def of(self, tenant: TenantId, from_day: date, to_day: date) -> list[DayUsage]:
        """The days on which there was something, both ends included, oldest first; at most 400."""
        query = {"day": {"$gte": start_of(from_day), "$lte": start_of(to_day)}}
        with bounded():
            found = await self._usage.of(tenant).first(query, "day", KEPT.days)
        return [_day_usage(document) for document in found]

    async def today(self, tenant: TenantId) -> DayUsage:
        """The day so far, without the last seconds."""
        day = midnight(self._clock.now_ms()).date()
        found = await self.of(tenant, day, day)
        return found[0] if found else DayUsage(day, *astuple(Tally()))

    async def everybody(self) -> DayUsage:
        """What all tenants used on the day so far, without the last seconds."""
        day = midnight(self._clock.now_ms())
        sums = {field: {"$sum": f"${field}"} for field in _FIELDS}
        added: list[dict[str, Any]] = [{"$match": {"day": day}}, {"$group": {"_id": None, **sums}}]
        with bounded():
            cursor = await self._usage.across(Why.PLATFORM).aggregate(added, maxTimeMS=MAX_TIME_MS)
            found = await cursor.to_list()
        return _day_usage({"day": day, **(found[0] if found else asdict(Tally()))})

    async def series(self, tenant: TenantId) -> int:
        """How many series the tenant has: what its plan's `series` limits."""
        return await self._series.total(tenant)


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


def midnight(now_ms: int) -> datetime:
    return start_of(datetime.fromtimestamp(now_ms / 1000, UTC).date())


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
