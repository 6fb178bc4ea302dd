"""What every repository shares: errors that say what a client should do, and changes that come with their audit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from vigie_runtime import mongo
from vigie_runtime.clients import Database

from vigie_identity.errors import StoreUnavailable

T = TypeVar("T")
Session = AsyncClientSession

TIMEOUT_S: Final = 5.0
"""Longest that one operation, with its retries, may take."""
_DURABLE: Final = WriteConcern("majority", j=True)


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
        if mongo.passing(e) or e.timeout:
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
