"""Where alerts stand in chains of people to tell: timers that outlive whoever set them.

alert_escalations  {_id, tenant, fingerprint, episode, chain, open, due, data, version, updated, expires}

`data` is the service's own, JSON. `open`: the alert is not over. `due` is when the next step is told; without it nobody
waits. A change names the version that it was made from, so that of two replicas that tell one step one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document

from vigie_storage import collections, mongo
from vigie_storage.mongo import MAX_TIME_MS, Session, bounded, exactly, reading
from vigie_storage.outgoing import Moved
from vigie_storage.tenancy import TenantCollection, Why

MAX_WRITTEN: Final = 1_000
MAX_OF_ALERT: Final = 100


@dataclass(frozen=True, slots=True)
class StoredEscalation:
    """`id` is made of tenant, episode and chain. `version` 0: it is new."""

    id: str
    tenant: TenantId
    fingerprint: str
    episode: str
    chain: str
    open: bool
    due: int | None
    """Unix milliseconds."""
    data: bytes
    version: int = 0


class EscalationStore:
    """The collection `alert_escalations`. Methods with a session are parts of its transaction; the others raise
    StoreUnavailable."""

    def __init__(self, db: Database, kept: timedelta) -> None:
        """`kept`: how long one is kept after its last change."""
        self._store = TenantCollection(db, collections.ALERT_ESCALATIONS)
        self._kept = kept

    async def prepare(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(3):
            await self._store.ensure()

    async def those(self, tenant: TenantId, ids: Sequence[str], session: Session) -> dict[str, StoredEscalation]:
        """Those of these that there are, by id."""
        return {one.id: one for one in await self._found(tenant, {"_id": {"$in": list(ids)}}, session)}

    async def open_of(self, tenant: TenantId, fingerprints: Sequence[str], session: Session) -> list[StoredEscalation]:
        """Those of these alerts that are not over."""
        return await self._found(tenant, {"fingerprint": {"$in": list(fingerprints)}, "open": True}, session)

    async def any(self, tenant: TenantId) -> bool:
        """Whether alerts of the tenant that are not over have some."""
        with bounded():
            return await self._store.of(tenant).one({"open": True}) is not None

    async def due(self, now_ms: int, limit: int) -> list[StoredEscalation]:
        """Whose next step is to be told, of all tenants, longest first."""
        with bounded():
            rows = self._store.across(Why.NOTIFY).find({"open": True, "due": {"$lte": _date(now_ms)}})
            return [_stored(one) for one in await rows.sort("due", 1).limit(limit).to_list()]

    async def of_alert(self, tenant: TenantId, fingerprint: str) -> list[StoredEscalation]:
        """Those of an alert, of the last MAX_OF_ALERT episodes and chains, newest first."""
        query = {"fingerprint": exactly(fingerprint)}
        async with reading():
            cursor = self._store.of(tenant).find(query, None, batch_size=MAX_OF_ALERT, max_time_ms=MAX_TIME_MS)
            found = await cursor.sort("updated", -1).limit(MAX_OF_ALERT).to_list()
        return [_stored(one) for one in found]

    async def of_alerts(self, tenant: TenantId, fingerprints: Sequence[str]) -> list[StoredEscalation]:
        """Those of these alerts that are not over, at most MAX_WRITTEN."""
        query = {"fingerprint": {"$in": list(fingerprints)}, "open": True}
        async with reading():
            cursor = self._store.of(tenant).find(query, None, batch_size=MAX_WRITTEN, max_time_ms=MAX_TIME_MS)
            return [_stored(one) for one in await cursor.limit(MAX_WRITTEN).to_list()]

    async def write(self, some: Sequence[StoredEscalation], session: Session) -> None:
        """Each in the place of its version. Raises Moved when one is at another version."""
        now = datetime.now(UTC)
        rows = self._store.across(Why.NOTIFY)
        updates = [_update(one, now, now + self._kept) for one in some]
        for start in range(0, len(updates), MAX_WRITTEN):
            part = updates[start : start + MAX_WRITTEN]
            try:
                done = await rows.bulk_write(part, ordered=False, session=session)
            except BulkWriteError as e:
                if mongo.duplicate(e):  # somebody else began it
                    raise Moved from e
                raise
            if done.matched_count + done.upserted_count < len(part):
                raise Moved

    async def _found(self, tenant: TenantId, query: Document, session: Session) -> list[StoredEscalation]:
        rows = self._store.of(tenant).find(
            query, None, batch_size=MAX_WRITTEN, max_time_ms=MAX_TIME_MS, session=session
        )
        return [_stored(one) async for one in rows]


def _update(one: StoredEscalation, now: datetime, expires: datetime) -> UpdateOne:
    fields: Document = {
        "tenant": one.tenant,
        "fingerprint": one.fingerprint,
        "episode": one.episode,
        "chain": one.chain,
        "open": one.open,
        "data": one.data.decode(),
        "version": one.version + 1,
        "updated": now,
        "expires": expires,
    }
    if one.due is None:
        update: Document = {"$set": fields, "$unset": {"due": ""}}
    else:
        update = {"$set": {**fields, "due": _date(one.due)}}
    # A new one: a document of this id has a version of 1 or more, so that it is inserted, and is a duplicate then.
    return UpdateOne({"_id": one.id, "version": one.version}, update, upsert=one.version == 0)


def _stored(document: Mapping[str, Any]) -> StoredEscalation:
    due = document.get("due")
    return StoredEscalation(
        id=document["_id"],
        tenant=TenantId(document["tenant"]),
        fingerprint=document["fingerprint"],
        episode=document["episode"],
        chain=document["chain"],
        open=document["open"],
        due=None if due is None else round(due.timestamp() * 1000),
        data=document["data"].encode(),
        version=document["version"],
    )


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
