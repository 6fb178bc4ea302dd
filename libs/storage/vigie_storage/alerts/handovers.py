"""Who was told last that a schedule has them on call, and when somebody else may have to be.

alert_handovers  {_id: "<tenant>/<schedule>", tenant, schedule, person, due, version, updated}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database

from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly
from vigie_storage.tenancy import TenantCollection, Why


@dataclass(frozen=True, slots=True)
class Handover:
    """`person` is empty before the first and while nobody is on call; `due`, Unix milliseconds, is when to look
    again."""

    id: str
    tenant: TenantId
    schedule: str
    person: str
    due: int
    version: int


class HandoverStore:
    """The collection `alert_handovers`."""

    def __init__(self, db: Database) -> None:
        self._store = TenantCollection(db, collections.ALERT_HANDOVERS)

    async def prepare(self) -> None:
        """Make the collection and its indexes. Safe to repeat. Raises StoreUnavailable."""
        with bounded(2):
            await self._store.ensure()

    async def look(self, tenant: TenantId, schedule: str, at_ms: int, session: Session) -> None:
        """The schedule was made, changed or deleted: look at that time who is on call."""
        id_ = f"{tenant}/{schedule}"
        update = {
            "$set": {"due": _date(at_ms), "updated": datetime.now(UTC)},
            "$setOnInsert": {"schedule": schedule, "person": ""},
            "$inc": {"version": 1},
        }
        await self._store.of(tenant).change({"_id": exactly(id_)}, update, session, upsert=True)

    async def due(self, now_ms: int, limit: int) -> list[Handover]:
        """Those to look at, of all tenants, longest first. Raises StoreUnavailable."""
        with bounded():
            rows = self._store.across(Why.NOTIFY).find({"due": {"$lte": _date(now_ms)}})
            return [_handover(one) for one in await rows.sort("due", 1).limit(limit).to_list()]

    async def write(self, before: Handover, person: str, due_ms: int, session: Session) -> bool:
        """Who is on call now, and when to look again. False when it is at another version."""
        update = {
            "$set": {"person": person, "due": _date(due_ms), "updated": datetime.now(UTC)},
            "$inc": {"version": 1},
        }
        query = {"_id": exactly(before.id), "version": before.version}
        return await self._store.of(before.tenant).change(query, update, session) is not None

    async def remove(self, before: Handover) -> None:
        """The schedule is gone; unless it was made again meanwhile. Raises StoreUnavailable."""
        with bounded():
            await self._store.of(before.tenant).remove({"_id": exactly(before.id), "version": before.version})


def _handover(document: Mapping[str, Any]) -> Handover:
    return Handover(
        id=document["_id"],
        tenant=TenantId(document["tenant"]),
        schedule=document["schedule"],
        person=document["person"],
        due=round(document["due"].timestamp() * 1000),
        version=document["version"],
    )


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
