"""What a MongoDB says of itself, and what a database lacks of what services make in it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pymongo
from pymongo.errors import PyMongoError
from vigie_runtime.clients import Database
from vigie_runtime.clock import ahead_s
from vigie_runtime.errors import Retryable, reason_of

from vigie_storage.collections import ALL, TOPICS, Collection
from vigie_storage.tenancy import shared
from vigie_storage.unfinished import Unfinished, refuse_unfinished

TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """A MongoDB and a database of it."""

    hello: Mapping[str, Any]
    build: Mapping[str, Any]
    stats: Mapping[str, Any]
    ahead_s: float
    """How far its clock is ahead of this machine's, at least."""
    missing: Sequence[str]
    """Indexes that the collections which exist ought to have, as `collection: field, field`."""
    partitions: Mapping[str, int]
    """Of the topics, as they were made."""
    unfinished: str
    """Why no service starts on it; empty: they do."""


async def inspect(db: Database) -> DatabaseFacts:
    """Ask for all of it. Raises Retryable with the reason why it is not to be had."""
    try:
        with pymongo.timeout(TIMEOUT_S):
            asked = time.time()
            hello = await db.command("hello")
            answered = time.time()
            return DatabaseFacts(
                hello,
                await db.command("buildInfo"),
                await db.command("dbStats"),
                ahead_s(_instant(hello["localTime"]), asked, answered),
                await missing(db),
                {one["_id"]: int(one["partitions"]) async for one in shared(db, TOPICS).find()},
                await _unfinished(db),
            )
    except PyMongoError as e:
        raise Retryable(reason_of(e)) from e


async def missing(db: Database) -> list[str]:
    """See `DatabaseFacts`. A collection that does not exist is made by the service that writes it, when that is started
    for the first time."""
    existing = set(await db.list_collection_names())
    found: list[str] = []
    for about in ALL:
        if about.name in existing:
            has = await db[about.name].index_information()
            found += [f"{about.name}: {', '.join(keys)}" for keys in _lacking(about, has)]
    return found


def _lacking(about: Collection, has: Mapping[str, Mapping[str, Any]]) -> list[Sequence[str]]:
    there = {tuple((name, int(direction)) for name, direction in one["key"]) for one in has.values()}
    wanted = [index.directions for index in about.indexes]
    if about.expiry is not None:
        wanted.append([(about.expiry.field, 1)])
    return [[name for name, _ in keys] for keys in wanted if tuple(keys) not in there]


async def _unfinished(db: Database) -> str:
    try:
        await refuse_unfinished(db)
    except Unfinished as e:
        return str(e)
    return ""


def _instant(time_: datetime) -> float:
    return time_.replace(tzinfo=time_.tzinfo or UTC).timestamp()
