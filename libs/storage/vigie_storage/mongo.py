"""What every user of MongoDB needs: which of its errors pass by themselves, transactions, collections that exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, TypeVar

import pymongo
from pymongo import ASCENDING
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    CollectionInvalid,
    ConfigurationError,
    ConnectionFailure,
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
from vigie_runtime.clients import Database, Document
from vigie_runtime.errors import Retryable, StoreUnavailable, reason_of

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

TIMEOUT_S: Final = 5.0
"""Longest that one operation, with its retries, may take."""
_DURABLE: Final = WriteConcern("majority", j=True)
_NAMESPACE_EXISTS = 48
_OTHER_OPTIONS = 85


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


async def ensure_collections(db: Database, names: Iterable[str]) -> None:
    """Make the collections that are missing; many services may do so at once."""
    existing = set(await db.list_collection_names())
    for name in names:
        if name in existing:
            continue
        try:
            await db.create_collection(name)
        except CollectionInvalid:
            continue
        except OperationFailure as e:
            if e.code != _NAMESPACE_EXISTS:
                raise


async def ensure_ttl(collection: AsyncCollection[Document], field: str, life: timedelta) -> None:
    """Have documents deleted so long after the date in `field`, whatever was said before. Safe to repeat."""
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
def storing() -> Generator[None]:
    """Bounds what is done inside, and turns errors that pass by themselves into StoreUnavailable; others are bugs."""
    try:
        with pymongo.timeout(TIMEOUT_S):
            yield
    except PyMongoError as e:
        if passing(e) or e.timeout:
            raise StoreUnavailable from e
        raise


async def transaction(db: Database, work: Callable[[Session], Awaitable[T]]) -> T:
    """All of `work` or nothing, durably. `work` may be called again after a conflict. Raises StoreUnavailable."""
    with storing():
        async with db.client.start_session() as session:
            return await session.with_transaction(
                work,  # pyright: ignore[reportArgumentType] - wants a coroutine; any awaitable is awaited all the same
                read_concern=ReadConcern("snapshot"),
                write_concern=_DURABLE,
            )
