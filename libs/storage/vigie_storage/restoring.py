"""What a backup needs to know of the database beside its documents, and how one comes back (`unfinished`: until it is
done, no service starts)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from vigie_contracts.topics import RULES, TARGETS
from vigie_runtime.clients import Database, Document
from vigie_runtime.errors import VigieError

from vigie_storage import collections
from vigie_storage.collections import Collection
from vigie_storage.mongo import Session
from vigie_storage.partitions import document as partitions
from vigie_storage.partitions.checkpoint import Checkpoint
from vigie_storage.partitions.document import FirstUse
from vigie_storage.tenancy import TenantCollection, Why, shared
from vigie_storage.unfinished import RESTORE

PUBLISHED: Final[Mapping[str, Collection]] = {
    RULES.word: collections.ALERT_RULES,
    TARGETS.word: collections.HEALTH_TARGETS,
}
"""What compacted topics carry, and of what they are made (`outgoing`)."""


class NotEmpty(VigieError):  # noqa: N818 - named after what is wrong
    """There is something in the database already."""

    def __init__(self, database: str, count: int) -> None:
        super().__init__(f"the database {database} is not empty: it has {count} collections")


async def begin(db: Database, now: datetime, *, replace: bool) -> None:
    """Say that a restore has begun. Raises NotEmpty, unless what is there is to be replaced: then it is gone."""
    found = await db.list_collection_names()
    if found and not replace:
        raise NotEmpty(db.name, len(found))
    await db.client.drop_database(db.name)
    await shared(db, collections.RESTORES).insert_one({"_id": RESTORE, "begun": now})


async def finish(db: Database) -> None:
    """Let services start on the database."""
    await shared(db, collections.RESTORES).delete_one({"_id": RESTORE})


async def checkpoints(db: Database, topic: str, session: Session | None = None) -> dict[int, Checkpoint]:
    """How far each partition of the topic is counted, of those that were ever counted."""
    found = shared(db, collections.PARTITIONS).find(partitions.of_topic(topic), session=session)
    return {partitions.partition_of(one): partitions.parse(one) async for one in found}


async def used_first(
    db: Database, partition: int, keys: tuple[bytes, ...], at: FirstUse, session: Session
) -> set[bytes]:
    """Which of these request keys are stored because of the record at that offset, in the log of that epoch."""
    ids = [partitions.key_id(partition, key) for key in keys]
    found = shared(db, collections.REQUEST_KEYS).find({"_id": {"$in": ids}}, session=session)
    stored = partitions.parse_keys([one async for one in found])
    return {key for key, uses in stored.items() if any((u.epoch, u.offset) == (at.epoch, at.offset) for u in uses)}


async def publish_again(db: Database, word: str, now: datetime) -> dict[str, bytes]:
    """Have all that the compacted topic of that word is made of published anew; by id what it may have."""
    rows = TenantCollection(db, PUBLISHED[word]).across(Why.PUBLISH)
    again: Document = {"$set": {"published": False, "due": now}, "$unset": {"owner": ""}}
    await rows.update_many({}, again)
    return await published(db, word)


async def published(db: Database, word: str) -> dict[str, bytes]:
    """By id, all that the compacted topic of that word has, or is to get."""
    rows = TenantCollection(db, PUBLISHED[word]).across(Why.PUBLISH)
    return {str(one["_id"]): one["data"].encode() async for one in rows.find({"deleted": False}, {"data": 1})}
