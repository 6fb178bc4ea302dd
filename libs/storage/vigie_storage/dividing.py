"""More partitions: each becomes several, and a series lives on in the one of them that its fingerprint says.

The number grows by a whole factor. So `fingerprint % after` lies in the family of `fingerprint % before` (what a
partition is divided into): nothing of two partitions comes together. A series keeps its ordinal, for it had it alone in
the whole family. Request keys are judged by partition, and each part knows those of the whole. What a part is copied
from stays where it is; what it has of series that live elsewhere now is nobody's, and expires with its tier.

Nobody else may use the database meanwhile (`unfinished`, `others`). Each step may be done again, also after one that
was killed in the middle of it or behind it: it writes the same.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from bson import Int64
from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from vigie_contracts.limits import MAX_SERIES_PER_TENANT
from vigie_contracts.series import to_unsigned
from vigie_contracts.tiers import CHUNK_SLOTS, TIERS
from vigie_runtime.clients import DRIVER, Database, Document
from vigie_runtime.errors import VigieError, reason_of

from vigie_storage import collections, latest
from vigie_storage.collections import Collection as About
from vigie_storage.latest import LatestChunk
from vigie_storage.partitions import document as checkpoints
from vigie_storage.partitions.checkpoint import Position
from vigie_storage.series import document as series
from vigie_storage.tenancy import TenantCollection, Why, shared
from vigie_storage.unfinished import DIVISION

MAX_PARTITIONS: Final = 4096
_BATCH: Final = 1_000
_SERIES_AT_ONCE: Final = 5_000
"""Whose windows are copied by one command."""
_BEFORE_ALL: Final = -1
"""The offset of a request key that was used before a part had a record."""
_UNAUTHORIZED: Final = 13


@dataclass(frozen=True, slots=True)
class Division:
    """From how many partitions to how many. Raises ValueError with what is wrong, and what would be possible."""

    before: int
    after: int

    def __post_init__(self) -> None:
        if self.before < self.after <= MAX_PARTITIONS and self.after % self.before == 0:
            return
        possible = [self.before * factor for factor in range(2, 5) if self.before * factor <= MAX_PARTITIONS]
        raise ValueError(
            f"{self.before} partitions cannot become {self.after}: each is divided into as many as every other, so "
            f"that nothing of two comes together, and there are at most {MAX_PARTITIONS}. "
            + (f"Possible are {', '.join(map(str, possible))} and so on" if possible else "There is no more to be had")
        )

    def parts(self, partition: int) -> range:
        """What a partition gives away to: beside itself."""
        return range(partition + self.before, self.after, self.before)


@dataclass(frozen=True, slots=True)
class Begun:
    """A division that is not done. `checked`: nobody else was there when it began, so it may have changed something."""

    division: Division
    checked: bool


async def begun(db: Database) -> Begun | None:
    """The one that is not done."""
    found = await shared(db, collections.RESTORES).find_one({"_id": DIVISION})
    return None if found is None else Begun(Division(found["before"], found["after"]), found["checked"])


async def begin(db: Database, division: Division, now: datetime) -> None:
    """From now on no service starts on the database."""
    document: Document = {"begun": now, "before": division.before, "after": division.after, "checked": False}
    await shared(db, collections.RESTORES).replace_one({"_id": DIVISION}, document, upsert=True)


async def check(db: Database) -> None:
    """Nobody else is there, and all is counted."""
    await shared(db, collections.RESTORES).update_one({"_id": DIVISION}, {"$set": {"checked": True}})


async def end(db: Database) -> None:
    """It is done, or nothing was changed: services may start."""
    await shared(db, collections.RESTORES).delete_one({"_id": DIVISION})


class Refused(VigieError):  # noqa: N818 - named after what happened
    """MongoDB did not do it."""


@contextmanager
def refusals() -> Generator[None]:
    """What MongoDB refuses, or does not answer, becomes Refused."""
    try:
        yield
    except PyMongoError as e:
        raise Refused(f"MongoDB refuses: {reason_of(e)}. Once that is mended, run it again") from e


def own_name() -> str:
    """A name for a client by which `others` knows it from all others."""
    return f"vigie-partitions-{uuid.uuid4().hex[:8]}"


async def others(db: Database, own: str) -> list[str]:
    """The addresses from which others of Vigie's processes are connected for this database, with how many connections.
    Of other users of MongoDB only as far as ours may see them."""
    wanted = {
        "clientMetadata.driver.name": {"$regex": rf"\|{DRIVER}$"},
        "clientMetadata.platform": {"$regex": rf"\|{db.name}$"},
        "appName": {"$ne": own},
    }
    admin = db.client.admin.with_options(read_concern=ReadConcern("local"))
    for all_users in (True, False):
        look = {"$currentOp": {"allUsers": all_users, "idleConnections": True}}
        try:
            found = await admin.aggregate([look, {"$match": wanted}, {"$project": {"client": 1}}])
            addresses = [one.get("client", "unknown").rpartition(":")[0] async for one in found]
        except OperationFailure as e:
            if e.code != _UNAUTHORIZED or not all_users:
                raise
        else:
            return [f"{one} ({addresses.count(one)})" for one in sorted(set(addresses))]
    return []


async def stored_bytes(db: Database) -> int:
    """What is copied for each part takes so many bytes of disk now, about."""
    total = 0
    for about in (*map(collections.windows, TIERS), collections.LATEST, collections.REQUEST_KEYS):
        total += int((await db.command("collStats", about.name)).get("storageSize", 0))
    return total


class Dividing:
    """The steps, in their order."""

    def __init__(self, db: Database, division: Division) -> None:
        self._db, self._division = db, division
        self._tenants = self._rows(collections.TENANT_SERIES)
        self._series = self._rows(collections.SERIES)
        self._latest = self._rows(collections.LATEST)

    async def windows(self) -> AsyncIterator[tuple[int, int]]:
        """Copy windows and latest values into the parts. Yields how many series of how many are done."""
        runs = [run async for run in self._runs()]
        total, done = sum(count for _, count in runs), 0
        for run, count in runs:
            for about in (*map(collections.windows, TIERS), collections.LATEST):
                of_latest = {"p": self._part()} if about is collections.LATEST else {}
                await self._copy(self._rows(about), {"_id": run, "_id.p": {"$lt": self._division.before}}, of_latest)
            done += count
            yield done, total

    async def request_keys(self) -> None:
        """Have each part know what the whole had counted."""
        rows = shared(self._db, collections.REQUEST_KEYS)
        for partition in range(self._division.before):
            own = {"_id": {"$gte": {"p": partition}, "$lt": {"p": partition + 1}}}
            await self._copy(rows, own, {"offset": Int64(_BEFORE_ALL)})

    async def checkpoints(self, topic: str) -> None:
        """Have each part of the samples log be read from its first record, as whole as the partition is."""
        rows = shared(self._db, collections.PARTITIONS)
        async for found in rows.find(checkpoints.of_topic(topic)):
            partition, checkpoint = checkpoints.partition_of(found), checkpoints.parse(found)
            if partition >= self._division.before:
                continue
            first = replace(checkpoint, positions=dict.fromkeys(checkpoint.positions, Position(0)), lost=0)
            for part in self._division.parts(partition):
                one = {"_id": checkpoints.partition_id(topic, part), **checkpoints.fields(first)}
                await rows.replace_one({"_id": one["_id"]}, {**one, "updated": found.get("updated")}, upsert=True)

    async def evaluated(self, topic: str) -> None:
        """Have the rules of each part looked back to where those of the partition were evaluated. `topic`: of rules."""
        rows = shared(self._db, collections.ALERT_CHECKPOINTS)
        async for found in rows.find(checkpoints.of_topic(topic)):
            partition = checkpoints.partition_of(found)
            for part in self._division.parts(partition) if partition < self._division.before else ():
                id_ = checkpoints.partition_id(topic, part)
                await rows.update_one({"_id": id_}, {"$set": {"evaluated": found["evaluated"]}}, upsert=True)

    async def ordinals(self) -> None:
        """New series of a part get the ordinals behind those of the partition."""
        async for tenant in self._tenants.find({}, {"next": 1}):
            following = series.next_ordinals(tenant)
            behind = {
                f"next.{part}": Int64(ordinal)
                for partition, ordinal in following.items()
                if partition < self._division.before
                for part in self._division.parts(partition)
            }
            if behind:
                await self._tenants.update_one({"_id": tenant["_id"]}, {"$max": behind})

    async def move_series(self) -> int:
        """From now on the series live where their fingerprints say. How many moved."""
        moved, changes = 0, list[UpdateOne]()
        async for one in self._series.find({}, {"partition": 1}, batch_size=_BATCH):
            home = to_unsigned(int(one["_id"])) % self._division.after
            if home != one["partition"]:
                changes.append(UpdateOne({"_id": one["_id"]}, {"$set": {"partition": home}}))
            if len(changes) == _BATCH:
                moved += (await self._series.bulk_write(changes, ordered=False)).modified_count
                changes.clear()
        if changes:
            moved += (await self._series.bulk_write(changes, ordered=False)).modified_count
        return moved

    async def narrow_latest(self) -> None:
        """Forget the latest values that are nobody's: they would be taken for those of a series that reports."""
        changes = list[DeleteOne | ReplaceOne[Document]]()
        async for found in self._latest.find({}, batch_size=_BATCH):
            partition, chunk = latest.parse(found)
            kept = latest.narrowed(chunk.data, await self._slots(chunk.tenant, partition, chunk.chunk))
            if kept is None:
                changes.append(DeleteOne({"_id": found["_id"]}))
            elif kept != chunk.data:
                now = latest.document(partition, LatestChunk(chunk.tenant, chunk.chunk, kept))
                changes.append(ReplaceOne({"_id": found["_id"]}, now))
            if len(changes) == _BATCH:
                await self._latest.bulk_write(changes, ordered=False)
                changes.clear()
        if changes:
            await self._latest.bulk_write(changes, ordered=False)

    async def record(self, topics: Collection[str]) -> None:
        """The number that services are held to from now on."""
        query = {"_id": {"$in": list(topics)}}
        await shared(self._db, collections.TOPICS).update_many(query, {"$set": {"partitions": self._division.after}})

    async def _slots(self, tenant: str, partition: int, chunk: int) -> set[int]:
        first = chunk * CHUNK_SLOTS
        there = {"tenant": tenant, "partition": partition, "ordinal": {"$gte": first, "$lt": first + CHUNK_SLOTS}}
        return {int(one["ordinal"]) - first async for one in self._series.find(there, {"_id": 0, "ordinal": 1})}

    async def _runs(self) -> AsyncIterator[tuple[Document, int]]:
        """Conditions on `_id` which together are all tenants, and how many series each is about."""
        first: str | None = None
        last, waiting = "", 0
        async for tenant in self._tenants.find({}).sort("_id", 1).max_time_ms(0):
            count = series.count(tenant)
            if waiting and waiting + count > _SERIES_AT_ONCE:
                yield _between(first or "", last), waiting
                first, waiting = None, 0
            if count > _SERIES_AT_ONCE:
                for run in self._one_by_one(tenant):
                    yield run
                continue
            first, last, waiting = tenant["_id"] if first is None else first, tenant["_id"], waiting + count
        if waiting:
            yield _between(first or "", last), waiting

    def _one_by_one(self, tenant: Mapping[str, Any]) -> Iterator[tuple[Document, int]]:
        for partition, count in series.next_ordinals(tenant).items():
            if partition < self._division.before:
                place = {"t": tenant["_id"], "p": partition}
                yield {"$gte": place, "$lt": {**place, "p": partition + 1}}, min(count, MAX_SERIES_PER_TENANT)

    async def _copy(self, rows: Any, query: Document, changed: Mapping[str, Any]) -> None:
        """By the server itself. What is there was copied before, perhaps from more than there is now."""
        stages: Sequence[Document] = [
            {"$match": query},
            {"$set": {"_part": {"$range": [1, self._division.after // self._division.before]}}},
            {"$unwind": "$_part"},
            {"$set": {"_id.p": self._part(), **changed}},
            {"$unset": "_part"},
            {"$merge": {"into": rows.name, "on": "_id", "whenMatched": "keepExisting"}},
        ]
        await (await rows.aggregate(stages)).to_list()

    def _part(self) -> Document:
        return {"$add": ["$_id.p", {"$multiply": ["$_part", self._division.before]}]}

    def _rows(self, about: About) -> Any:
        return TenantCollection(self._db, about).across(Why.DIVIDE)


def _between(first: str, last: str) -> Document:
    return {"$gte": {"t": first}, "$lt": {"t": f"{last}\0"}}
