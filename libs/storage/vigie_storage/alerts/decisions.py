"""Verdicts of who was told of what, and why not; kept as long as the ledger.

alert_decisions  {_id, tenant, fingerprint, at, data}

`_id` is made of what was decided, so writing one again changes nothing. `data` is the decision, JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from pymongo import UpdateOne
from vigie_contracts.decisions import Decision
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database

from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly
from vigie_storage.tenancy import TenantCollection, Why

MAX_LISTED: Final = 1_000
_BATCH: Final = 1_000
_decoder: Final = msgspec.json.Decoder(Decision)


class Decisions:
    """The collection `alert_decisions`."""

    def __init__(self, db: Database) -> None:
        self._store = TenantCollection(db, collections.ALERT_DECISIONS)

    async def prepare(self, life: timedelta) -> None:
        """Make the collection and its indexes; decisions live so long. Safe to repeat. Raises StoreUnavailable."""
        with bounded(3):
            await self._store.ensure(life)

    async def write(self, decisions: Sequence[Decision], session: Session) -> None:
        """As a part of a transaction."""
        updates = [_insert(one) for one in decisions]
        for start in range(0, len(updates), _BATCH):
            some = updates[start : start + _BATCH]
            await self._store.across(Why.NOTIFY).bulk_write(some, ordered=False, session=session)

    async def of_alert(self, tenant: TenantId, fingerprint: str, limit: int = MAX_LISTED) -> list[Decision]:
        """The newest about an alert, newest first. Raises StoreUnavailable."""
        query = {"fingerprint": exactly(fingerprint)}
        with bounded():
            found = await self._store.of(tenant).first(query, "at", limit, descending=True)
        return [_decoder.decode(document["data"]) for document in found]


def _insert(decision: Decision) -> UpdateOne:
    parts = (decision.step, decision.route, decision.receiver, decision.group, decision.why, decision.by)
    repeated = "" if decision.why.value != "repeated" else str(decision.at_ms)
    id_ = hashlib.sha256("\0".join((*parts, repeated)).encode()).hexdigest()[:32]
    document = {
        "_id": id_,
        "tenant": decision.tenant,
        "fingerprint": decision.fingerprint,
        "at": datetime.fromtimestamp(decision.at_ms / 1000, UTC),
        "data": msgspec.json.encode(decision).decode(),
    }
    return UpdateOne({"_id": id_}, {"$setOnInsert": document}, upsert=True)
