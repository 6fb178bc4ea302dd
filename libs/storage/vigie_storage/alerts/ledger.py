"""Storing transitions with their notifications, all or nothing, and reading what happened to an alert."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from pymongo import DESCENDING, UpdateOne
from pymongo.asynchronous.cursor import AsyncCursor
from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document

from vigie_storage import collections
from vigie_storage.alerts.document import Notification, ledger_document, outbox_document, transition
from vigie_storage.mongo import MAX_TIME_MS, Session, bounded, exactly, reading, transaction
from vigie_storage.tenancy import TenantCollection, Why

MAX_WRITTEN: Final = 1_000
"""Documents of one write; more are written one after the other, in the same transaction."""
MAX_HISTORY: Final = 1_000


class Stored(NamedTuple):
    """A transition, and when it was written."""

    at: datetime
    transition: Transition


class Ledger:
    """The collections `alert_transitions` and, for what is new, `alert_outbox`."""

    def __init__(self, db: Database, session: Session | None = None) -> None:
        """`session`: in which everything is stored, one transaction after the other; else each has its own."""
        self._db, self._session = db, session
        self._transitions = TenantCollection(db, collections.ALERT_TRANSITIONS)
        self._outbox = TenantCollection(db, collections.ALERT_OUTBOX)

    async def prepare(self, life: timedelta) -> None:
        """Make the collections and their indexes; transitions live so long. Safe to repeat."""
        with bounded(10):
            await self._transitions.ensure(life)
            await self._outbox.ensure()

    async def store(
        self,
        transitions: Sequence[Transition],
        notifications: Sequence[Notification],
        also: Callable[[Session], Awaitable[object]] | None = None,
        *,
        past: bool = False,
    ) -> None:
        """Store all of it, and what `also` writes, in one transaction. `past`: each as if it had been stored when it
        happened, so that it is no news to who reads `since`. What is stored already is left as it is, so
        that repeating it is harmless. Raises StoreUnavailable, and then nobody knows whether it was stored."""

        async def work(session: Session) -> None:
            await self.write(transitions, notifications, session, past=past)
            if also is not None:
                await also(session)

        await transaction(self._db, work, self._session)

    async def write(
        self,
        transitions: Sequence[Transition],
        notifications: Sequence[Notification],
        session: Session,
        *,
        past: bool = False,
    ) -> None:
        """The same, as a part of a transaction of the caller's."""
        now = datetime.now(UTC)
        ledger = [_insert(ledger_document(one, _happened(one) if past else now)) for one in transitions]
        outbox = [_insert(outbox_document(one)) for one in notifications]
        for collection, updates in ((self._transitions, ledger), (self._outbox, outbox)):
            for start in range(0, len(updates), MAX_WRITTEN):
                some = updates[start : start + MAX_WRITTEN]
                await collection.across(Why.NOTIFY).bulk_write(some, ordered=False, session=session)

    async def history(self, tenant: TenantId, fingerprint: str, limit: int = MAX_HISTORY) -> list[Transition]:
        """The newest transitions of an alert, newest first. Raises StoreUnavailable."""
        query = {"fingerprint": exactly(fingerprint)}
        with bounded():
            found = await self._transitions.of(tenant).first(query, "order", limit, descending=True)
        return [transition(document) for document in found]

    async def some(self, tenant: TenantId, ids: Sequence[str]) -> dict[str, Transition]:
        """Those of these transitions that there are, by id; at most MAX_WRITTEN are asked for. Raises
        StoreUnavailable."""
        with bounded():
            cursor = self._find(tenant, {"_id": {"$in": list(ids[:MAX_WRITTEN])}})
            return {document["_id"]: transition(document) async for document in cursor}

    async def since(self, tenant: TenantId, since: datetime, limit: int) -> list[Stored]:
        """What was stored then or later, the last `limit` of it, oldest first. Raises StoreUnavailable."""
        async with reading():
            cursor = self._find(tenant, {"stored": {"$gte": since}}).sort("stored", DESCENDING).limit(limit)
            found = [Stored(document["stored"], transition(document)) async for document in cursor]
        return found[::-1]

    def _find(self, tenant: TenantId, query: Document) -> AsyncCursor[Document]:
        return self._transitions.of(tenant).find(query, None, batch_size=MAX_WRITTEN, max_time_ms=MAX_TIME_MS)


def _happened(transition: Transition) -> datetime:
    return datetime.fromtimestamp(transition.timestamp / 1000, UTC)


def _insert(document: dict[str, object]) -> UpdateOne:
    return UpdateOne({"_id": document["_id"]}, {"$setOnInsert": document}, upsert=True)
