"""What is counted of the partitions of the samples log: windows, latest values, request keys and the checkpoint, moved
by one transaction. Written by the aggregator only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pymongo import ReplaceOne
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from vigie_contracts.days import to_datetime
from vigie_contracts.tiers import TIERS, Tier
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Fenced

from vigie_storage import collections, latest, mongo
from vigie_storage.latest import LatestChunk
from vigie_storage.mongo import Session
from vigie_storage.partitions import document as documents
from vigie_storage.partitions.checkpoint import Checkpoint
from vigie_storage.partitions.document import Uses
from vigie_storage.partitions.owners import Owners
from vigie_storage.tenancy import Rows, TenantCollection, Why, shared
from vigie_storage.windows import document as windows
from vigie_storage.windows.document import Place, Window

_MAJORITY: Final = ReadConcern("majority")
_BATCH: Final = 5_000
"""Ids in one `$in`."""
_ATTEMPTS: Final = 5
"""Tries of a transaction, and of its commit, before the state is loaded again instead."""
_MAX_COMMIT_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Transaction:
    """Everything that becomes visible together. Windows and latest values are absolute; so are the uses of a key that
    has several, whether or not its document is still there; and a key with one is new."""

    partition: int
    expected: Checkpoint | None
    """What the store must still say; None when it must know nothing of the partition."""
    checkpoint: Checkpoint
    windows: Mapping[Tier, Sequence[Window]]
    latest: Sequence[LatestChunk]
    keys: Mapping[bytes, Uses]
    """By request key, its first uses."""


class PartitionStore:
    """Reads and commits in MongoDB what is counted of partitions. Errors that pass by themselves become Retryable.

    Reads go through the session that commits: causally consistent, they see at least what was committed in it, also
    on a primary that was elected since. What is read is written back absolute, so an older state would erase counts.
    A session serves one call at a time: one partition, one call.
    """

    def __init__(self, db: Database, topic: str, clock: Clock) -> None:
        self._db = db
        self._topic = topic
        self._clock = clock
        self._partitions = _consistent(shared(db, collections.PARTITIONS))
        self._keys = _consistent(shared(db, collections.REQUEST_KEYS))
        self._latest = _consistent(TenantCollection(db, collections.LATEST).across(Why.COUNT))
        self._windows = {
            tier: _consistent(TenantCollection(db, collections.windows(tier)).across(Why.COUNT)) for tier in TIERS
        }
        self._owners = Owners(db, topic, clock)
        self._sessions: dict[int, Session] = {}

    async def prepare(self) -> None:
        """Make collections and indexes: a transaction must find them. Safe to repeat."""
        with mongo.retryable("preparing the collections"):
            await mongo.ensure(
                self._db, collections.PARTITIONS, collections.REQUEST_KEYS, collections.LATEST, collections.OWNERS,
                *map(collections.windows, TIERS),
            )  # fmt: skip

    async def checkpoint(self, partition: int) -> Checkpoint | None:
        """How far the partition is counted; None when it never was. Also makes this process the one whose
        transactions may stay open."""
        with mongo.retryable(f"loading partition {partition}"):
            session = self._session(partition)
            await self._owners.take_over(partition, session)
            document = await self._partitions.find_one({"_id": self._id(partition)}, session=session)
        return None if document is None else documents.parse(document)

    async def latest(self, partition: int) -> list[LatestChunk]:
        """The latest values of all chunks of the partition."""
        query = latest.of_partition(partition)
        with mongo.retryable(f"loading the latest values of partition {partition}"):
            found = self._latest.find(query, batch_size=_BATCH, session=self._session(partition))
            return [latest.parse(document)[1] async for document in found]

    async def first_uses(self, partition: int, keys: Collection[bytes]) -> dict[bytes, Uses]:
        """The first uses of those keys that were counted in the partition."""
        ids = [documents.key_id(partition, key) for key in keys]
        with mongo.retryable("looking up request keys"):
            return documents.parse_keys(await self._find(self._keys, partition, ids, documents.FIRST_USES))

    async def windows(self, tier: Tier, partition: int, places: Sequence[Place]) -> list[Window]:
        """Those of the windows that exist."""
        ids = [windows.window_id(place.tenant, partition, place.chunk, place.start_ms) for place in places]
        with mongo.retryable(f"reading windows of {tier.name}"):
            return [windows.parse(document) for document in await self._find(self._windows[tier], partition, ids)]

    async def commit(self, transaction: Transaction) -> None:
        """All of it or nothing. Raises Fenced when the store does not say `expected`, or has one of the keys; Retryable
        also when the outcome is unknown: load again to know it."""
        with mongo.retryable(f"committing partition {transaction.partition}"):
            session = self._session(transaction.partition)
            for attempt in range(_ATTEMPTS):
                try:
                    await self._attempt(session, transaction)
                    return
                except PyMongoError as e:
                    if mongo.duplicate(e):  # somebody else's document or key: our view is out of date
                        raise Fenced(transaction.partition) from e
                    if attempt + 1 == _ATTEMPTS or _away(e) or not e.has_error_label("TransientTransactionError"):
                        raise
                await self._clock.sleep(0.05 * 2**attempt)

    def _session(self, partition: int) -> Session:
        """The session that all reads and transactions of the partition use: a new transaction in it ends the one
        before, whatever became of that."""
        if partition not in self._sessions:
            self._sessions[partition] = self._db.client.start_session()
        return self._sessions[partition]

    async def _attempt(self, session: Session, transaction: Transaction) -> None:
        async with await session.start_transaction(
            ReadConcern("snapshot"), mongo.DURABLE, ReadPreference.PRIMARY, max_commit_time_ms=_MAX_COMMIT_MS
        ):
            await self._move(session, transaction)
            await self._write(session, transaction)
            await self._commit(session)

    async def _commit(self, session: Session) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                await session.commit_transaction()
                return
            except PyMongoError as e:  # committing again is harmless, and the only way to learn the outcome
                if attempt + 1 == _ATTEMPTS or _away(e) or not e.has_error_label("UnknownTransactionCommitResult"):
                    raise
            await self._clock.sleep(0.05 * 2**attempt)

    async def _move(self, session: Session, transaction: Transaction) -> None:
        """The compare-and-set, first of all: a fenced owner must not read or write anything else."""
        identifier = self._id(transaction.partition)
        fields = {**documents.fields(transaction.checkpoint), "updated": to_datetime(self._clock.now_ms())}
        if transaction.expected is None:
            await self._partitions.insert_one({"_id": identifier, **fields}, session=session)
            return
        result = await self._partitions.update_one(
            {"_id": identifier, **documents.unmoved(transaction.expected)}, {"$set": fields}, session=session
        )
        if result.matched_count != 1:
            raise Fenced(transaction.partition)

    async def _write(self, session: Session, transaction: Transaction) -> None:
        partition = transaction.partition
        for tier, some in transaction.windows.items():
            if some:
                whole = _replacements([windows.document(partition, tier, window) for window in some])
                await self._windows[tier].bulk_write(whole, ordered=False, session=session)
        if transaction.latest:
            whole = _replacements([latest.document(partition, chunk) for chunk in transaction.latest])
            await self._latest.bulk_write(whole, ordered=False, session=session)
        if transaction.keys:
            expires = to_datetime(self._clock.now_ms()) + collections.REQUEST_KEY_LIFE
            made = [documents.key_document(partition, *one, expires) for one in transaction.keys.items()]
            if new := [document for document in made if "earlier" not in document]:
                await self._keys.insert_many(new, ordered=False, session=session)
            if known := [document for document in made if "earlier" in document]:
                await self._keys.bulk_write(_replacements(known), ordered=False, session=session)

    async def _find(
        self,
        collection: Rows,
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

    def _id(self, partition: int) -> str:
        return documents.partition_id(self._topic, partition)


def _consistent(rows: Rows) -> Rows:
    return rows.with_options(read_concern=_MAJORITY, read_preference=ReadPreference.PRIMARY)


def _away(error: PyMongoError) -> bool:
    """No server was found within the driver's own time: the reader backs off instead, and may be stopped meanwhile."""
    return isinstance(error, ServerSelectionTimeoutError)


def _replacements(whole: list[Document]) -> list[ReplaceOne[Document]]:
    return [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in whole]
