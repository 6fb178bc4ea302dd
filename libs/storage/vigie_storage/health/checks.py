"""The results of probes, as long as the settings say.

health_checks  {_id: the check's, tenant, target, at, verdict, data}

`data` is a Check, JSON; `at` is when it was due.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from pymongo import InsertOne
from pymongo.errors import BulkWriteError
from vigie_contracts.checks import Check, Verdict
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document

from vigie_storage import collections, mongo
from vigie_storage.mongo import MAX_TIME_MS, exactly, reading, retryable
from vigie_storage.tenancy import TenantCollection, Why

_BATCH: Final = 1_000
_decoder: Final = msgspec.json.Decoder(Check)


class Checks:
    """The collection `health_checks`."""

    def __init__(self, db: Database) -> None:
        self._store = TenantCollection(db, collections.HEALTH_CHECKS)

    async def prepare(self, life: timedelta) -> None:
        """Make the collection and its indexes; checks live so long. Safe to repeat. Raises Retryable."""
        with retryable("preparing the collection of checks"):
            await self._store.ensure(life)

    async def write(self, checks: Sequence[Check]) -> int:
        """Store those that are not; how many there were. Raises Retryable."""
        stored, rows = 0, self._store.across(Why.COUNT)
        for start in range(0, len(checks), _BATCH):
            inserts = [InsertOne(_document(one)) for one in checks[start : start + _BATCH]]
            with retryable("storing checks"):
                try:
                    stored += (await rows.bulk_write(inserts, ordered=False)).inserted_count
                except BulkWriteError as e:
                    if not mongo.only_duplicates(e):
                        raise
                    stored += e.details["nInserted"]
        return stored

    async def page(
        self,
        tenant: TenantId,
        target: str,
        limit: int,
        after: tuple[int, str] | None = None,
        *,
        from_ms: int | None = None,
        to_ms: int | None = None,
        verdicts: Sequence[Verdict] = (),
    ) -> list[Check]:
        """Checks of a target that were due from `from_ms` to before `to_ms`, the newest first; those that come after
        (time, id). Raises StoreUnavailable, TooSlow."""
        query: Document = {"target": exactly(target)}
        at: Document = {} if from_ms is None else {"$gte": _date(from_ms)}
        if to_ms is not None:
            at["$lt"] = _date(to_ms)
        if at:
            query["at"] = at
        if verdicts:
            query["verdict"] = {"$in": [one.value for one in verdicts]}
        if after is not None:
            due = _date(after[0])
            query["$or"] = [{"at": {"$lt": due}}, {"at": due, "_id": {"$gt": after[1]}}]
        async with reading():
            cursor = self._store.of(tenant).find(query, {"data": 1}, batch_size=limit, max_time_ms=MAX_TIME_MS)
            found = await cursor.sort([("at", -1), ("_id", 1)]).limit(limit).to_list()
        return [_decoder.decode(one["data"]) for one in found]


def _document(check: Check) -> Document:
    return {
        "_id": check.id,
        "tenant": check.tenant,
        "target": check.target,
        "at": _date(check.timestamp),
        "verdict": check.verdict.value,
        "data": msgspec.json.encode(check).decode(),
    }


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
