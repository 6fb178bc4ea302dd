"""What every user of MongoDB needs: which of its errors pass by themselves, transactions, collections that exist.

Around every access stands one of these, by what its caller does when MongoDB is away:
- `retryable(doing)`: a worker, which waits and does it again.
- `patiently(doing, work)`: a step of a start, which is done again for a minute.
- `bounded()`: a request that knows what it asks for; it is answered with 503.
- `reading()`: a read whose cost its client chose; it is told to ask for less when that takes too long.
- `batches(cursor, size)`: the same for each batch of a read that may be long; `ahead` reads the next one meanwhile.
- `transaction(db, work)`: `bounded`, and all or nothing. The aggregator's transactions are in `partitions.store` and
  `reports.writer`: each keeps one session, so that a process that was killed holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar

import pymongo
from pymongo import ASCENDING
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.errors import (
    BulkWriteError,
    CollectionInvalid,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from vigie_contracts.problems import ProblemKind
from vigie_runtime import lifespan
from vigie_runtime.clients import Database, Document
from vigie_runtime.errors import RETRY_AFTER_S, ProblemError, Retryable, StoreUnavailable, reason_of

from vigie_storage.collections import Collection

_CONNECTION = (
    ConnectionFailure,  # AutoReconnect, NotPrimaryError, NetworkTimeout are kinds of it
    ServerSelectionTimeoutError,
    NetworkTimeout,
    WaitQueueTimeoutError,
    WTimeoutError,
    ExecutionTimeout,
)
_LABELS = ("TransientTransactionError", "UnknownTransactionCommitResult", "RetryableWriteError")
# Stepping down, shutting down, interrupted, write conflict, lock time-out, snapshot too old, no such transaction;
# and what an owner meets whose session was ended by the next one: interrupted (11601), its cursor gone (43, 237).
_CODES = frozenset(
    {
        6, 7, 24, 43, 50, 64, 89, 91, 112, 134, 189, 211, 225, 237, 246, 251, 256, 262, 9001, 10107, 11600, 11601,
        11602, 13435, 13436,
    }
)  # fmt: skip
# What pymongo says of a member that does not say how long sessions live. One that has just been started, and has no
# configuration of its replica set yet, is such a one, so it comes after hard failovers and passes. No MongoDB that can
# be used is like that for good; if one is, each try says this sentence. Other errors of this kind are no passing ones.
_NO_SESSIONS = "Sessions are not supported by this MongoDB deployment"
T = TypeVar("T")
Session = AsyncClientSession

TIMEOUT_S: Final = 2.5
"""Longest that one operation, with its retries, may take: a read, whose caller has perhaps been looked up for half a
second before, is answered within 3 s. Without it a store that hangs is noticed after 10 s, given up after 5 s more, and
searched for another 5 s."""
MAX_TIME_MS: Final = 2_000
"""Longest work of the store for one read inside `reading`, milliseconds; of a cursor, for all its batches together. So
much less than TIMEOUT_S that a store that works says itself that it was asked for too much."""
_KILL_S: Final = 0.2
"""Longest that a read which was given up may take to end its cursor, which the silent store is told too."""
DURABLE: Final = WriteConcern("majority", j=True)
_NAMESPACE_EXISTS: Final = 48
_OTHER_OPTIONS: Final = 85
_DUPLICATE_KEY: Final = 11000


class TooSlow(ProblemError):  # noqa: N818 - named after what is wrong
    """The store did not finish within the time one read may take."""

    kind = ProblemKind.TIMEOUT
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "the store needed too long for this request: ask for a shorter time or fewer series",
            retry_after=RETRY_AFTER_S,
        )


def passing(error: BaseException) -> bool:
    """Whether the same operation may succeed later without anybody changing anything."""
    if isinstance(error, _CONNECTION):
        return True
    if isinstance(error, PyMongoError) and any(error.has_error_label(label) for label in _LABELS):
        return True
    if isinstance(error, ConfigurationError):
        return str(error) == _NO_SESSIONS
    return isinstance(error, OperationFailure) and error.code in _CODES


@contextmanager
def retryable(doing: str) -> Generator[None]:
    """Errors of MongoDB that pass by themselves leave the block as Retryable; `doing` begins the sentence."""
    try:
        yield
    except PyMongoError as e:
        if passing(e):
            raise Retryable(f"{doing}: MongoDB is not available: {reason_of(e)}") from e
        raise


async def patiently(doing: str, work: Callable[[], Awaitable[T]], deadline_s: float = lifespan.START_S) -> T:
    """`lifespan.patiently`, for errors of MongoDB too that pass by themselves."""

    async def once() -> T:
        with retryable(doing):
            return await work()

    return await lifespan.patiently(doing, once, deadline_s)


def duplicate(error: PyMongoError) -> bool:
    """Whether a document was not inserted because there is one with its key."""
    if isinstance(error, BulkWriteError):
        return any(problem["code"] == _DUPLICATE_KEY for problem in error.details["writeErrors"])
    return isinstance(error, DuplicateKeyError)


def only_duplicates(error: BulkWriteError) -> bool:
    """Whether all that failed of a write is documents that there were already."""
    problems = error.details["writeErrors"]
    return not error.details.get("writeConcernErrors") and all(one["code"] == _DUPLICATE_KEY for one in problems)


async def ensure(db: Database, *collections: Collection, life: timedelta | None = None) -> None:
    """Make the collections that are missing, before their first transaction, and their indexes. Many services may do so
    at once, and again. `life` is that of documents of which only the settings say how long they live."""
    existing = set(await db.list_collection_names())
    for about in collections:
        if about.name not in existing:
            await _create(db, about.name)
        for index in about.indexes:
            some: dict[str, Any] = {} if index.only is None else {"partialFilterExpression": index.only}
            await db[about.name].create_index(index.directions, unique=index.unique, **some)
        if about.expiry is not None:
            await _expire(db[about.name], about.expiry.field, about.expiry.after if life is None else life)


async def _create(db: Database, name: str) -> None:
    try:
        await db.create_collection(name)
    except CollectionInvalid:
        return
    except OperationFailure as e:
        if e.code != _NAMESPACE_EXISTS:
            raise


async def _expire(collection: AsyncCollection[Document], field: str, life: timedelta | None) -> None:
    """Have documents deleted so long after the date in `field`, whatever was said before."""
    if life is None:
        raise ValueError(f"{collection.name}: nobody says how long its documents live")
    seconds = int(life.total_seconds())
    try:
        await collection.create_index([(field, ASCENDING)], expireAfterSeconds=seconds)
    except OperationFailure as e:
        if e.code != _OTHER_OPTIONS:
            raise
        index = {"keyPattern": {field: ASCENDING}, "expireAfterSeconds": seconds}
        await collection.database.command("collMod", collection.name, index=index)


def exactly(value: str) -> Mapping[str, str]:
    """The condition of a filter. An operator that came in place of a text (`{"$ne": ""}`) is then a value that no
    document has."""
    return {"$eq": value}


@contextmanager
def bounded(operations: int = 1) -> Generator[None]:
    """What is done inside has TIMEOUT_S for each operation; errors that pass by themselves become StoreUnavailable,
    others are bugs."""
    try:
        with pymongo.timeout(TIMEOUT_S * operations):
            yield
    except PyMongoError as e:
        if passing(e) or e.timeout:
            raise StoreUnavailable from e
        raise


@asynccontextmanager
async def reading(timeout_s: float | None = None) -> AsyncGenerator[None]:
    """What is done inside has `timeout_s`, TIMEOUT_S by default. Errors that pass by themselves become
    StoreUnavailable, an exceeded time limit of the store TooSlow; others are bugs.

    Each read inside says its `max_time_ms`. `pymongo.timeout` would put the time left in its place: client and store
    would then give up at the same moment, and a store that works would as often be told to be away.
    Nothing may be yielded inside: who takes the parts of an async generator may be another task."""
    limit_s = TIMEOUT_S if timeout_s is None else timeout_s
    try:
        async with asyncio.timeout(limit_s + _KILL_S), asyncio.timeout(limit_s):
            yield
    except TimeoutError as e:
        raise StoreUnavailable from e
    except ExecutionTimeout as e:
        raise TooSlow from e
    except PyMongoError as e:
        if passing(e) or e.timeout:
            raise StoreUnavailable from e
        raise


async def batches(cursor: AsyncCursor[Document], size: int) -> AsyncGenerator[list[Document]]:
    """What the cursor finds, up to `size` documents at a time, each waited for by `reading`: the reader may take its
    time between them. The store's own work on all of them together is bounded by the cursor's `max_time_ms`.

    A cursor that is left before its end is closed by the driver, in the background: here it might wait for a store that
    hangs."""
    while True:
        async with reading():
            found = await cursor.to_list(size)
        if not found:
            return
        yield found


async def ahead(source: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """What it gives, none of which is None; while one is in use, the next one is made."""
    async with aclosing(source):
        coming = asyncio.ensure_future(anext(source, None))
        try:
            while (found := await coming) is not None:
                coming = asyncio.ensure_future(anext(source, None))
                yield found
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)  # its failure is of no interest to who has left


async def transaction(db: Database, work: Callable[[Session], Awaitable[T]], session: Session | None = None) -> T:
    """All of `work` or nothing, durably. `work` may be called again after a conflict. `session`: one of the caller's,
    which does nothing else meanwhile. Raises StoreUnavailable."""
    with bounded(2):  # the work and its commit
        async with AsyncExitStack() as stack:
            used = session or await stack.enter_async_context(db.client.start_session())
            return await used.with_transaction(
                work,  # pyright: ignore[reportArgumentType] - wants a coroutine; any awaitable is awaited all the same
                read_concern=ReadConcern("snapshot"),
                write_concern=DURABLE,
            )
