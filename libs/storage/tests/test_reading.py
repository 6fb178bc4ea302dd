"""Reads that take too long: whether the store is away or was asked for too much, of a real MongoDB."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from pymongo import AsyncMongoClient, monitoring
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import MINUTE
from vigie_query.planning import Plan, TierRange
from vigie_query.series import Selection, Series
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage import mongo
from vigie_storage.mongo import MAX_TIME_MS, TooSlow, ahead, batches, reading
from vigie_storage.reports.reader import NodeReportReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.filter import Filter
from vigie_storage.windows.reader import WindowReader

from tests.kit.wait import eventually

TENANT = TenantId("acme")
_MANY: dict[str, Any] = {
    "$filter": {"input": {"$range": [0, 100_000]}, "cond": {"$gt": [{"$multiply": ["$$this", 2]}, 7]}}
}
SLOW = {"$expr": {"$gt": [{"$size": _MANY}, 0]}}


@pytest.fixture
async def many(database: Any) -> Any:
    """SLOW takes seconds for all of them, on a fast machine too, and some milliseconds for one."""
    await database.many.insert_many([{"_id": n} for n in range(1000)])
    return database.many


async def test_a_store_that_works_says_itself_that_it_was_asked_for_too_much(many: Any) -> None:
    with pytest.raises(TooSlow):
        async with reading():
            await many.find(SLOW, max_time_ms=50).to_list()
    with pytest.raises(TooSlow):
        async for _ in batches(many.find(SLOW, max_time_ms=100, batch_size=2), 2):
            pass


async def test_the_next_batch_is_read_while_one_is_in_use_and_none_after_the_last(many: Any) -> None:
    asked = 0

    async def counted() -> AsyncGenerator[list[Any]]:
        nonlocal asked
        async for batch in batches(many.find({}, batch_size=300), 300):
            asked += 1
            yield batch

    found: list[int] = []
    async for batch in ahead(counted()):
        found += [one["_id"] for one in batch]
        wanted = min(4, len(found) // 300 + 1)
        await eventually(lambda: asked == wanted, 5)  # noqa: B023
    assert found == list(range(1000))


def test_a_read_that_is_left_or_fails_leaves_nothing_behind() -> None:
    ended: list[str] = []

    async def source() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
            raise ValueError("no more")
        finally:
            ended.append("source")

    async def read() -> int:
        with pytest.raises(ValueError, match="no more"):
            async for _ in ahead(source()):
                pass
        async with aclosing(ahead(source())) as numbers:
            assert await anext(numbers) == 1
        return len(asyncio.all_tasks())

    assert asyncio.run(read()) == 1
    assert ended == ["source"] * 2


class Limits(monitoring.CommandListener):
    """The time limits of all reads."""

    def __init__(self) -> None:
        self.seen: list[int | None] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name in {"find", "aggregate", "count"}:
            self.seen.append(event.command.get("maxTimeMS"))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


async def test_every_read_says_how_long_the_store_may_work(database: Any, mongo_uri: str) -> None:
    limits, now = Limits(), 1_790_000_000_000 // 60_000 * 60_000
    one = Series(1, "requests", Kind.COUNTER, (), 0, 7, 0)
    plan = Plan(MINUTE, (TierRange(MINUTE, now, now + 60_000),))
    async with AsyncMongoClient[dict[str, Any]](mongo_uri, event_listeners=[limits]) as client:
        db = client[database.name]
        series, windows, reports = SeriesCatalogue(db), WindowReader(db, SystemClock(), "t"), NodeReportReader(db)
        reads: list[Callable[[], Awaitable[Any]]] = [
            lambda: windows.count(TENANT, Selection([one]), plan, 10),
            lambda: windows.read(TENANT, Selection([one]), plan, ()),
            lambda: windows.completeness([0]),
            lambda: series.count(TENANT, Filter()),
            lambda: series.page(TENANT, Filter(), 10, None),
            lambda: series.names(TENANT, "a.*", "name"),
            lambda: series.business(TENANT, 10),
            lambda: series.next_ordinals(TENANT),
            lambda: reports.count(TENANT, None),
            lambda: reports.page(TENANT, None, 10, 0),
            lambda: reports.latest(TENANT),
            lambda: reports.reporting_since(now),
        ]
        for read in reads:
            await read()
        assert limits.seen == [MAX_TIME_MS] * len(reads)


@pytest.fixture
async def pausable(mongo_uri: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Where MongoDB answers while the event is set."""
    host, port = mongo_uri.partition("//")[2].rpartition("@")[2].partition("/")[0].partition(",")[0].split(":")
    talking, tasks = asyncio.Event(), set[asyncio.Task[None]]()
    talking.set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await talking.wait()
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(host, int(port))
        tasks.update({asyncio.create_task(copy(reader, ours)), asyncio.create_task(copy(theirs, writer))})

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    credentials, at, _ = mongo_uri.partition("//")[2].rpartition("@")
    where = f"{credentials}{at}127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield f"mongodb://{where}/?directConnection=true", talking
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_store_that_falls_silent_is_given_up_in_time_and_costs_no_connection(
    many: Any, pausable: tuple[str, asyncio.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, talking = pausable
    async with AsyncMongoClient[dict[str, Any]](uri, maxPoolSize=4, waitQueueTimeoutMS=5_000) as client:
        collection = client[many.database.name].many
        cursors = [batches(collection.find({}, batch_size=2, max_time_ms=MAX_TIME_MS), 2) for _ in range(6)]
        for cursor in cursors:
            assert len(await anext(cursor)) == 2
        monkeypatch.setattr(mongo, "TIMEOUT_S", 0.3)
        talking.clear()

        async def silent(cursor: AsyncIterator[Any]) -> None:
            with pytest.raises(StoreUnavailable):
                await anext(cursor)

        began = time.monotonic()
        await asyncio.gather(*(silent(cursor) for cursor in cursors))
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                async with reading():
                    await collection.find_one({}, max_time_ms=MAX_TIME_MS)
        assert time.monotonic() - began < 3 * (0.3 + 0.2) + 1
        talking.set()
        monkeypatch.undo()
        for _ in range(2):
            async with reading():
                assert len(await asyncio.gather(*(collection.count_documents({}) for _ in range(4)))) == 4
