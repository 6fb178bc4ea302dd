"""What only the real MongoDB can show of the store."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import ServerSelectionTimeoutError
from pymongo.monitoring import CommandListener, CommandStartedEvent
from vigie_aggregator.samples.repository import Repository
from vigie_aggregator.samples.store import LatestChunk, Place, Transaction
from vigie_contracts.tiers import FINE, TIERS
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import Fenced, Retryable
from vigie_storage.checkpoints import Checkpoint, Position, beginning

from services.aggregator.tests.doubles import LOG

pytestmark = pytest.mark.connected


def _moved(expected: Checkpoint | None, offset: int, **more: Any) -> Transaction:
    marks = {tier.name: Position(offset) for tier in TIERS}
    progress = Checkpoint(LOG, 0, marks, {"1m": None, "1h": 1_700_000_000_000})
    return Transaction(0, expected, progress, {}, more.get("latest", []), more.get("keys", {}))


async def _repository(database: Any) -> Repository:
    made = Repository(database, "topic", SystemClock())
    await made.prepare()
    return made


async def test_what_is_committed_is_loaded(database: Any) -> None:
    store = await _repository(database)
    assert await store.progress(0) is None
    first = _moved(None, 5, latest=[LatestChunk("acme", 3, b"packed")], keys={b"k" * 16: 4})
    await store.commit(first)
    await store.commit(_moved(first.progress, 9))
    assert await store.progress(0) == _moved(None, 9).progress
    assert await store.latest(0) == [LatestChunk("acme", 3, b"packed")]
    assert (await store.first_uses(0, [b"k" * 16, b"x" * 16]))[b"k" * 16].offset == 4
    assert await store.first_uses(1, [b"k" * 16]) == {}
    request = await database.requests.find_one({})
    kept = request["expires"].replace(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(days=7.9) < kept <= timedelta(days=8), "a repeat may lie in the log for a week before it is read"


async def test_commit_on_what_is_no_longer_stored_is_fenced_and_writes_nothing(database: Any) -> None:
    store = await _repository(database)
    await store.commit(_moved(None, 5))
    for expected in (None, beginning(LOG), _moved(None, 6).progress):
        with pytest.raises(Fenced):
            await store.commit(_moved(expected, 9, latest=[LatestChunk("acme", 3, b"packed")]))
    assert await store.progress(0) == _moved(None, 5).progress
    assert await store.latest(0) == []


async def test_known_key_is_fenced(database: Any) -> None:
    store = await _repository(database)
    first = _moved(None, 5, keys={b"k" * 16: 4})
    await store.commit(first)
    with pytest.raises(Fenced):
        await store.commit(_moved(first.progress, 9, keys={b"k" * 16: 8}))


async def test_transaction_of_a_killed_owner_does_not_hold_up_the_next(database: Any, mongo_uri: str) -> None:
    async with AsyncMongoClient(mongo_uri, w="majority", readConcernLevel="majority") as other:
        killed = await _repository(other[database.name])
        await killed.progress(0)
        await killed.commit(_moved(None, 5))
        session = killed._session(0)
        await session.start_transaction()
        await killed._move(session, _moved(_moved(None, 5).progress, 6))  # and here it is killed
        store, begun = await _repository(database), time.monotonic()
        stored = await store.progress(0)
        await store.commit(_moved(stored, 7))
        assert time.monotonic() - begun < 10


class Finds(CommandListener):
    """The `find` commands that were sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.sent.append(event.command)

    def succeeded(self, event: Any) -> None: ...
    def failed(self, event: Any) -> None: ...


async def test_reads_are_never_older_than_the_commits_of_the_same_owner(database: Any, mongo_uri: str) -> None:
    finds = Finds()
    async with AsyncMongoClient(
        mongo_uri, w="majority", readConcernLevel="majority", event_listeners=[finds]
    ) as client:
        store = await _repository(client[database.name])
        await store.commit(_moved(await store.progress(0), 5))
        finds.sent.clear()
        await store.progress(0)
        await store.latest(0)
        await store.first_uses(0, [b"k" * 16])
        await store.windows(FINE, 0, [Place("acme", 0, 0)])
        session = store._session(0).session_id
    assert len(finds.sent) == 4
    for find in finds.sent:
        assert find["lsid"] == session
        assert find["readConcern"]["level"] == "majority"
        assert "afterClusterTime" in find["readConcern"], find["find"]


async def test_commit_does_not_wait_for_a_missing_server_again_and_again() -> None:
    async with AsyncMongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=300) as client:
        store, begun = Repository(client["away"], "topic", SystemClock()), time.monotonic()
        with pytest.raises(Retryable) as caught:
            await store.commit(_moved(None, 5))
    assert isinstance(caught.value.__cause__, ServerSelectionTimeoutError)
    assert time.monotonic() - begun < 1.2
