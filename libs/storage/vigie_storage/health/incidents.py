"""The times in which targets were down.

health_incidents  {_id: "<target>/<start>", tenant, target, name, started, ended, reason, open, expires}

`open` is there, and true, until it has ended: of a target at most one is. `expires` is there afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import UpdateOne
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, Session, bounded, reading
from vigie_storage.tenancy import TenantCollection, Why

_BATCH: Final = 1_000
INCIDENT_LIFE: Final = timedelta(days=400)
"""How long one is kept after its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Times are Unix milliseconds."""

    target: str
    """The id."""
    tenant: TenantId
    name: str
    """Of the target, as it was called at the start."""
    started_ms: int
    ended_ms: int | None = None
    """None: the target is down."""
    reason: str = ""
    """Of the check that found it down."""

    @property
    def id(self) -> str:
        return f"{self.target}/{self.started_ms}"


@dataclass(frozen=True, slots=True)
class Ended:
    """The incident of a target that is open, if one is, ends: of those that began by then, or `whichever` it is."""

    tenant: TenantId
    target: str
    at_ms: int
    whichever: bool = False


class Incidents:
    """The collection `health_incidents`. `write` is part of a transaction; the other methods raise
    StoreUnavailable."""

    def __init__(self, db: Database, life: timedelta = INCIDENT_LIFE) -> None:
        self._store = TenantCollection(db, collections.HEALTH_INCIDENTS)
        self._rows = self._store.across(Why.PROBE)
        self._life = life

    async def prepare(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(5):
            await self._store.ensure()

    async def write(self, moves: Sequence[Incident | Ended], session: Session) -> None:
        """What begins and what ends, one after the other. While an incident of a target is open, that goes on: an
        outage is one incident."""
        for start in range(0, len(moves), _BATCH):
            some = moves[start : start + _BATCH]
            begun = [one.id for one in some if isinstance(one, Incident)]
            # What was written before, when nobody knew whether it was, may have ended since.
            known = {one["_id"] async for one in self._rows.find({"_id": {"$in": begun}}, {"_id": 1}, session=session)}
            updates = [self._update(one) for one in some if isinstance(one, Ended) or one.id not in known]
            if updates:
                await self._rows.bulk_write(updates, session=session)

    async def page(
        self,
        tenant: TenantId,
        limit: int,
        after: tuple[int, str] | None = None,
        *,
        targets: Sequence[str] | None = None,
        open_only: bool = False,
    ) -> list[Incident]:
        """Incidents of the tenant, the last begun first; those that come after (start, id)."""
        query: Document = {}
        if targets is not None:
            query["target"] = {"$in": list(targets)}
        if open_only:
            query["open"] = True
        if after is not None:
            start = _date(after[0])
            query["$or"] = [{"started": {"$lt": start}}, {"started": start, "_id": {"$gt": after[1]}}]
        return await self._find(tenant, query, limit)

    async def between(
        self, tenant: TenantId, targets: Iterable[str], from_ms: int, to_ms: int, limit: int
    ) -> list[Incident]:
        """Those of these targets that lasted at some time from `from_ms` to before `to_ms`, the last begun first."""
        since = {"$or": [{"open": True}, {"ended": {"$gt": _date(from_ms)}}]}
        query = {"target": {"$in": list(targets)}, "started": {"$lt": _date(to_ms)}, **since}
        return await self._find(tenant, query, limit)

    def _update(self, move: Incident | Ended) -> UpdateOne:
        query: Document = {"tenant": move.tenant, "target": move.target, "open": True}
        if isinstance(move, Ended):
            ended = _date(move.at_ms)
            if not move.whichever:
                query["started"] = {"$lte": ended}
            return UpdateOne(query, {"$set": {"ended": ended, "expires": ended + self._life}, "$unset": {"open": ""}})
        fields = {"_id": move.id, "name": move.name, "started": _date(move.started_ms), "reason": move.reason}
        return UpdateOne(query, {"$setOnInsert": fields}, upsert=True)

    async def _find(self, tenant: TenantId, query: Document, limit: int) -> list[Incident]:
        async with reading():
            cursor = self._store.of(tenant).find(query, None, batch_size=limit, max_time_ms=MAX_TIME_MS)
            return [_incident(one) for one in await cursor.sort([("started", -1), ("_id", 1)]).limit(limit).to_list()]


def _incident(document: Mapping[str, Any]) -> Incident:
    ended = document.get("ended")
    return Incident(
        target=document["target"],
        tenant=TenantId(document["tenant"]),
        name=document["name"],
        started_ms=_ms(document["started"]),
        ended_ms=None if ended is None else _ms(ended),
        reason=document["reason"],
    )


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ms(date: datetime) -> int:
    return round(date.timestamp() * 1000)
