"""What only the real MongoDB can show of the store; the rest: the aggregator's `test_store_behaviour.py`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import ServerSelectionTimeoutError
from pymongo.monitoring import CommandListener, CommandStartedEvent
from vigie_contracts.tiers import FINE, TIERS
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import Retryable
from vigie_storage.partitions.checkpoint import Checkpoint, Log, Position
from vigie_storage.partitions.document import FirstUse
from vigie_storage.partitions.store import PartitionStore, Transaction
from vigie_storage.windows.document import Place
from vigie_storage.windows.snapshot import Snapshots

pytestmark = pytest.mark.connected

LOG = Log("cluster-1", "topic-1")


def _moved(expected: Checkpoint | None, offset: int, **more: Any) -> Transaction:
    positions = {tier.name: Position(offset) for tier in TIERS}
    checkpoint = Checkpoint(LOG, 0, positions, {"1m": None, "1h": 1_700_000_000_000})
    return Transaction(0, expected, checkpoint, {}, more.get("latest", []), more.get("keys", {}))


async def _store(database: Any) -> PartitionStore:
    made = PartitionStore(database, "topic", SystemClock())
    await made.prepare()
    return made


async def test_a_request_key_is_kept_as_long_as_a_repeat_may_lie_in_the_log(database: Any) -> None:
    store = await _store(database)
    await store.commit(_moved(None, 5, keys={b"k" * 16: (FirstUse(0, 4),)}))
    request = await database.requests.find_one({})
    kept = request["expires"].replace(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(days=7.9) < kept <= timedelta(days=8), "a repeat may lie in the log for a week before it is read"


async def test_the_request_keys_that_were_counted_last_are_found(database: Any) -> None:
    store, snapshots = await _store(database), Snapshots(database, SystemClock(), "topic")
    uses = {bytes([i]) * 16: (FirstUse(0, i, 1_800_000_000_000 + i),) for i in range(5)}
    await store.commit(_moved(None, 5, keys={**uses, b"x" * 16: (FirstUse(-1, 3, 1_800_000_000_100),)}))
    assert len(await snapshots.request_keys(3)) <= 3
    found = await snapshots.request_keys(100)
    assert {(partition, key): use for partition, key, use in found} == {(0, key): of[0] for key, of in uses.items()}, (
        "not of another log"
    )


async def test_a_tier_that_is_no_longer_kept_is_ignored_and_dropped(database: Any) -> None:
    store = await _store(database)
    await store.commit(_moved(None, 5))
    more = {"next.5m": 3, "within.5m": 0, "dirty_since.5m": None, "whole_since.5m": 1}
    await database.partitions.update_one({"_id": "topic/0"}, {"$set": more})
    assert await store.checkpoint(0) == _moved(None, 5).checkpoint
    await store.commit(_moved(_moved(None, 5).checkpoint, 9))
    document = await database.partitions.find_one({"_id": "topic/0"})
    assert all("5m" not in document[group] for group in ("next", "within", "dirty_since", "whole_since"))


async def test_transaction_of_a_killed_owner_does_not_hold_up_the_next(database: Any, mongo_uri: str) -> None:
    async with AsyncMongoClient(mongo_uri, w="majority", readConcernLevel="majority") as other:
        killed = await _store(other[database.name])
        await killed.checkpoint(0)
        await killed.commit(_moved(None, 5))
        session = killed._session(0)
        await session.start_transaction()
        await killed._move(session, _moved(_moved(None, 5).checkpoint, 6))  # and here it is killed
        store, begun = await _store(database), time.monotonic()
        stored = await store.checkpoint(0)
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
        store = await _store(client[database.name])
        await store.commit(_moved(await store.checkpoint(0), 5))
        finds.sent.clear()
        await store.checkpoint(0)
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
        store, begun = PartitionStore(client["away"], "topic", SystemClock()), time.monotonic()
        with pytest.raises(Retryable) as caught:
            await store.commit(_moved(None, 5))
    assert isinstance(caught.value.__cause__, ServerSelectionTimeoutError)
    assert time.monotonic() - begun < 1.2
