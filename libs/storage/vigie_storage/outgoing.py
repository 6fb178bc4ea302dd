"""Documents that a compacted log is to get: changed here first, and published from here by whichever replica is free.

{_id, tenant, version, published, due, owner, deleted, data, ...}

`data` is the value of the record, JSON. `due` is when one that is not published may be claimed: for one that is
claimed, the end of the lease. One that was deleted stays until the log has its tombstone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from pymongo import DeleteOne, UpdateOne
from pymongo.errors import BulkWriteError
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import VigieError

from vigie_storage import mongo
from vigie_storage.mongo import Session, bounded
from vigie_storage.tenancy import Rows

LEASE_S: Final = 30
"""Longer than a record may take to be acknowledged."""
MAX_COUNTED: Final = 10_000
"""Documents that wait are not counted beyond it."""


class Moved(VigieError):  # noqa: N818 - named after what happened
    """Somebody else changed a document meanwhile: read it again, and decide anew."""

    def __init__(self) -> None:
        super().__init__("it was changed by somebody else")


@dataclass(frozen=True, slots=True)
class Write:
    """One change of a document. `before` is the version that is replaced, 0: there was none."""

    id: str
    version: int
    before: int
    value: msgspec.Struct
    """What the log gets; of a deletion what it was."""
    fields: Document
    """What the document has beside, to be found by."""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Unpublished:
    """What the log is to get, claimed under `owner`. `value` None: a tombstone."""

    id: str
    version: int
    value: bytes | None
    owner: str


class Outgoing:
    """Those of one collection. All methods but `write`, which is part of a transaction, raise StoreUnavailable."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._rows, self._clock = rows, clock

    async def write(self, tenant: TenantId, writes: Sequence[Write], session: Session) -> None:
        """All of these changes; the log is to get them. Raises Moved when one of the documents is not what it was, or
        one of the collection's other unique indexes has what it would add."""
        now = self._now()
        try:
            done = await self._rows.bulk_write([_row(tenant, one, now) for one in writes], session=session)
        except BulkWriteError as e:
            if mongo.duplicate(e):
                raise Moved from e
            raise
        if done.matched_count + done.upserted_count < len(writes):
            raise Moved

    async def claim(self, owner: str, most: int) -> list[Unpublished]:
        """At most `most` changes that the log has not got, which are the caller's until LEASE_S from now: of a document
        nobody else publishes meanwhile, so the log gets its versions in their order. `owner` is new for every call."""
        now = self._now()
        due = {"published": False, "due": {"$lte": now}}
        with bounded(3):
            ids = [one["_id"] for one in await self._rows.find(due, {"_id": 1}).sort("due", 1).limit(most).to_list()]
            if not ids:
                return []
            lease = {"$set": {"owner": owner, "due": now + timedelta(seconds=LEASE_S)}}
            await self._rows.update_many({"_id": {"$in": ids}, **due}, lease)
            mine = await self._rows.find({"_id": {"$in": ids}, "owner": owner}).limit(len(ids)).to_list()
        return [
            Unpublished(one["_id"], one["version"], None if one["deleted"] else one["data"].encode(), owner)
            for one in mine
        ]

    async def published(self, done: Sequence[Unpublished]) -> None:
        """The log has these. What was changed meanwhile is due again at once."""
        now = self._now()
        operations: list[UpdateOne | DeleteOne] = []
        for one in done:
            mine = {"_id": one.id, "owner": one.owner}
            if one.value is None:
                operations.append(DeleteOne({**mine, "version": one.version}))
            else:
                ended = {"$set": {"published": True}, "$unset": {"owner": "", "due": ""}}
                operations.append(UpdateOne({**mine, "version": one.version}, ended))
            operations.append(UpdateOne(mine, {"$set": {"due": now}, "$unset": {"owner": ""}}))
        if operations:
            with bounded(2):
                await self._rows.bulk_write(operations)

    async def release(self, claimed: Sequence[Unpublished]) -> None:
        """Nobody knows whether the log has these: they are published again when the lease ends, and not before, so
        that what is still on its way arrives first."""
        if claimed:
            with bounded():
                await self._rows.update_many(
                    {"_id": {"$in": [one.id for one in claimed]}, "owner": claimed[0].owner}, {"$unset": {"owner": ""}}
                )

    async def unpublished(self) -> int:
        """How many changes of all tenants the log has not got, at most MAX_COUNTED."""
        with bounded():
            return await self._rows.count_documents({"published": False}, limit=MAX_COUNTED)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)


def _row(tenant: TenantId, write: Write, now: datetime) -> UpdateOne:
    fields: Document = {
        **write.fields,
        "version": write.version,
        "published": False,
        "deleted": write.deleted,
        "data": msgspec.json.encode(write.value).decode(),
    }
    # A claim goes on: its end, which is later than now, stays, and who has it finds that there is a newer version.
    update = {"$set": fields, "$max": {"due": now}}
    if write.before == 0:  # one whose tombstone is not published yet comes back
        return UpdateOne({"_id": write.id, "tenant": tenant, "deleted": True}, update, upsert=True)
    return UpdateOne({"_id": write.id, "tenant": tenant, "version": write.before, "deleted": False}, update)
