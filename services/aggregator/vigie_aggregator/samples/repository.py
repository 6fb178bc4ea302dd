"""All MongoDB access of the aggregator: windows, latest values, request keys and offsets, moved by one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bson import Binary, Int64
from pymongo import ASCENDING, ReplaceOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import (
    BulkWriteError,
    DuplicateKeyError,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern
from vigie_contracts.limits import IDEMPOTENCY_TTL_S
from vigie_contracts.tiers import TIERS, Tier
from vigie_contracts.topics import SAMPLES
from vigie_runtime import logging
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Fenced
from vigie_storage import mongo, owners
from vigie_storage.checkpoints import Checkpoint, Log, Position
from vigie_storage.owners import Owners

from vigie_aggregator.samples.keys import FirstUse
from vigie_aggregator.samples.store import LatestChunk, Place, Transaction, Window

log = logging.get(__name__)

PARTITIONS: Final = "partitions"
REQUESTS: Final = "requests"
LATEST: Final = "latest"

_DURABLE: Final = WriteConcern("majority", j=True)
_MAJORITY: Final = ReadConcern("majority")
_BATCH: Final = 5_000
"""Ids in one `$in`."""
_ATTEMPTS: Final = 5
"""Tries of a transaction, and of its commit, before the state is loaded again instead."""
_MAX_COMMIT_MS: Final = 10_000
_DUPLICATE_KEY: Final = 11000
_KEY_TTL: Final = timedelta(seconds=IDEMPOTENCY_TTL_S, milliseconds=int(SAMPLES.config["retention.ms"]))
"""A repeat that was sent within the first is read at most the retention of the log later."""


class Repository:
    """The `Store` of production. Errors of MongoDB that pass by themselves become Retryable, others stay as they are.

    Reads go through the session that commits: causally consistent, they see at least what was committed in it, also
    on a primary that was elected since. What is read is written back absolute, so an older state would erase counts.
    A session serves one call at a time: one partition, one call.

    partitions  {_id: "<topic>/<partition>", cluster_id, topic_id, epoch, next: {tier: offset}, within: {tier: samples},
                dirty_since: {coarse tier: ms | null}, lost, updated}; `within` is how many samples of the record at
                `next` are counted already: 0, but for a moment after a record that touches thousands of windows
    windows_*   {_id: {t, p, c, w}, expires, ...columns}
    latest      {_id: {t, p, c}, p, data: packed columns}
    requests    {_id: {p, k}, offset, epoch, expires}
    """

    def __init__(self, db: Database, topic: str, clock: Clock) -> None:
        self._db = db
        self._topic = topic
        self._clock = clock
        read: dict[str, Any] = {"read_concern": _MAJORITY, "read_preference": ReadPreference.PRIMARY}
        self._partitions = db.get_collection(PARTITIONS, **read)
        self._requests = db.get_collection(REQUESTS, **read)
        self._latest = db.get_collection(LATEST, **read)
        self._owners = Owners(db, topic, clock)
        self._sessions: dict[int, AsyncClientSession] = {}
        self._windows = {tier: db.get_collection(tier.collection, **read) for tier in TIERS}

    async def prepare(self) -> None:
        """Make collections and indexes: a transaction must find them. Safe to repeat."""
        with mongo.retryable("preparing the collections"):
            names = [PARTITIONS, REQUESTS, LATEST, owners.COLLECTION, *(tier.collection for tier in TIERS)]
            await mongo.ensure_collections(self._db, names)
            for name in (REQUESTS, *(tier.collection for tier in TIERS)):
                await self._db[name].create_index([("expires", ASCENDING)], expireAfterSeconds=0)
            await self._latest.create_index([("p", ASCENDING)])

    async def progress(self, partition: int) -> Checkpoint | None:
        """See `Store.progress`. Also makes this process the one whose transactions may stay open."""
        with mongo.retryable(f"loading partition {partition}"):
            session = self._session(partition)
            await self._owners.take_over(partition, session)
            document = await self._partitions.find_one({"_id": self._id(partition)}, session=session)
        return None if document is None else _progress(document)

    async def latest(self, partition: int) -> list[LatestChunk]:
        """See `Store.latest`."""
        with mongo.retryable(f"loading the latest values of partition {partition}"):
            found = self._latest.find({"p": partition}, batch_size=_BATCH, session=self._session(partition))
            return [
                LatestChunk(document["_id"]["t"], document["_id"]["c"], document["data"]) async for document in found
            ]

    async def first_uses(self, partition: int, keys: Collection[bytes]) -> dict[bytes, FirstUse]:
        """See `Store.first_uses`."""
        ids = [_key_id(partition, key) for key in keys]
        with mongo.retryable("looking up request keys"):
            return {
                bytes(document["_id"]["k"]): FirstUse(document["epoch"], document["offset"])
                for document in await self._find(self._requests, partition, ids, {"epoch": 1, "offset": 1})
            }

    async def windows(self, tier: Tier, partition: int, places: Sequence[Place]) -> list[Window]:
        """See `Store.windows`."""
        ids = [_window_id(partition, place) for place in places]
        with mongo.retryable(f"reading {tier.collection}"):
            found = await self._find(self._windows[tier], partition, ids)
        return [Window(Place(d["_id"]["t"], d["_id"]["c"], d["_id"]["w"]), d) for d in found]

    async def commit(self, transaction: Transaction) -> None:
        """See `Store.commit`."""
        with mongo.retryable(f"committing partition {transaction.partition}"):
            session = self._session(transaction.partition)
            for attempt in range(_ATTEMPTS):
                try:
                    await self._attempt(session, transaction)
                    return
                except PyMongoError as e:
                    if _taken(e):  # somebody else's document or key: our view is out of date
                        raise Fenced(transaction.partition) from e
                    if attempt + 1 == _ATTEMPTS or _away(e) or not e.has_error_label("TransientTransactionError"):
                        raise
                await self._clock.sleep(0.05 * 2**attempt)

    def _session(self, partition: int) -> AsyncClientSession:
        """The session that all reads and transactions of the partition use: a new transaction in it ends the one
        before, whatever became of that."""
        if partition not in self._sessions:
            self._sessions[partition] = self._db.client.start_session()
        return self._sessions[partition]

    async def _attempt(self, session: AsyncClientSession, transaction: Transaction) -> None:
        async with await session.start_transaction(
            ReadConcern("snapshot"), _DURABLE, ReadPreference.PRIMARY, max_commit_time_ms=_MAX_COMMIT_MS
        ):
            await self._move(session, transaction)
            await self._write(session, transaction)
            await self._commit(session)

    async def _commit(self, session: AsyncClientSession) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                await session.commit_transaction()
                return
            except PyMongoError as e:  # committing again is harmless, and the only way to learn the outcome
                if attempt + 1 == _ATTEMPTS or _away(e) or not e.has_error_label("UnknownTransactionCommitResult"):
                    raise
            await self._clock.sleep(0.05 * 2**attempt)

    async def _move(self, session: AsyncClientSession, transaction: Transaction) -> None:
        """The compare-and-set, first of all: a fenced owner must not read or write anything else."""
        identifier = self._id(transaction.partition)
        fields = {**_fields(transaction.progress), "updated": self._now()}
        if transaction.expected is None:
            await self._partitions.insert_one({"_id": identifier, **fields}, session=session)
            return
        result = await self._partitions.update_one(
            {"_id": identifier, **_unchanged(transaction.expected)}, {"$set": fields}, session=session
        )
        if result.matched_count != 1:
            raise Fenced(transaction.partition)

    async def _write(self, session: AsyncClientSession, transaction: Transaction) -> None:
        partition = transaction.partition
        for tier, windows in transaction.windows.items():
            if windows:
                documents = [_window(partition, tier, window) for window in windows]
                await self._windows[tier].bulk_write(_replacements(documents), ordered=False, session=session)
        if transaction.latest:
            documents = [_latest(partition, chunk) for chunk in transaction.latest]
            await self._latest.bulk_write(_replacements(documents), ordered=False, session=session)
        if transaction.keys:
            expires = self._now() + _KEY_TTL
            uses = [
                {
                    "_id": _key_id(partition, key),
                    "offset": Int64(offset),
                    "epoch": transaction.progress.epoch,
                    "expires": expires,
                }
                for key, offset in transaction.keys.items()
            ]
            await self._requests.insert_many(uses, ordered=False, session=session)

    async def _find(
        self,
        collection: Any,
        partition: int,
        ids: Sequence[Document],
        projection: Mapping[str, int] | None = None,
    ) -> list[Document]:
        found: list[Document] = []
        session = self._session(partition)
        for start in range(0, len(ids), _BATCH):
            wanted = {"_id": {"$in": ids[start : start + _BATCH]}}
            found += await collection.find(wanted, projection, batch_size=_BATCH, session=session).to_list()
        return found

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)

    def _id(self, partition: int) -> str:
        return f"{self._topic}/{partition}"


def _away(error: PyMongoError) -> bool:
    """No server was found within the driver's own time: the reader backs off instead, and may be stopped meanwhile."""
    return isinstance(error, ServerSelectionTimeoutError)


def _taken(error: PyMongoError) -> bool:
    if isinstance(error, BulkWriteError):
        return any(problem["code"] == _DUPLICATE_KEY for problem in error.details["writeErrors"])
    return isinstance(error, DuplicateKeyError)


def _replacements(documents: list[Document]) -> list[ReplaceOne[Document]]:
    return [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents]


def _window_id(partition: int, place: Place) -> Document:
    return {"t": place.tenant, "p": partition, "c": place.chunk, "w": Int64(place.start_ms)}


def _window(partition: int, tier: Tier, window: Window) -> Document:
    ends = window.place.start_ms + tier.width_ms + tier.retention_ms
    expires = datetime.fromtimestamp(ends / 1000, UTC)
    return {"_id": _window_id(partition, window.place), "expires": expires, **window.document}


def _latest(partition: int, chunk: LatestChunk) -> Document:
    return {"_id": {"t": chunk.tenant, "p": partition, "c": chunk.chunk}, "p": partition, "data": chunk.data}


def _key_id(partition: int, key: bytes) -> Document:
    return {"p": partition, "k": Binary(key)}


def _fields(progress: Checkpoint) -> Document:
    return {
        "cluster_id": progress.log.cluster_id,
        "topic_id": progress.log.topic_id,
        "epoch": progress.epoch,
        "next": {name: Int64(mark.offset) for name, mark in progress.marks.items()},
        "within": {name: mark.sample for name, mark in progress.marks.items()},
        "dirty_since": {name: None if ms is None else Int64(ms) for name, ms in progress.dirty_since.items()},
        "lost": Int64(progress.lost),
    }


def _unchanged(progress: Checkpoint) -> Document:
    """A filter that the document passes only if nobody has moved it since it said `progress`."""
    fields = _fields(progress)
    same = {name: fields[name] for name in ("cluster_id", "topic_id", "epoch")}
    for group in ("next", "within"):
        same |= {f"{group}.{name}": value for name, value in fields[group].items()}
    return same


def _progress(document: Document) -> Checkpoint:
    return Checkpoint(
        Log(document["cluster_id"], document["topic_id"]),
        document["epoch"],
        {tier.name: Position(int(document["next"][tier.name]), document["within"][tier.name]) for tier in TIERS},
        {name: None if ms is None else int(ms) for name, ms in document["dirty_since"].items()},
        int(document["lost"]),
    )
