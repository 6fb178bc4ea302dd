"""What PromQL shows while samples come, and where it is put together."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis
from vigie_contracts.latest import pack
from vigie_contracts.series import Kind, Labels
from vigie_contracts.tiers import FINE
from vigie_query.series import Series
from vigie_query.times import HOUR, MINUTE, SECOND
from vigie_runtime.clock import SystemClock
from vigie_runtime.expressions import Expressions
from vigie_storage.latest import LatestChunk, LatestReader
from vigie_storage.partitions.checkpoint import COARSE, Checkpoint, Log, Position
from vigie_storage.partitions.store import PartitionStore, Transaction
from vigie_storage.promql import selection
from vigie_storage.promql.reader import PromqlReader
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.writer import Registered, SeriesWriter
from vigie_storage.windows.document import Place, Window
from vigie_storage.windows.reader import WindowReader
from vigie_windows import Cells, chunks

from .test_promql_reader import NOW, STORED, TENANT, Double, ask, cells_of, every, key, latest_of, over, points


async def test_a_total_counts_what_was_sent_ahead_of_its_time_when_it_comes() -> None:
    sent = {NOW - MINUTE: 1.0, NOW + 5 * MINUTE: 100.0}
    reader = over(Double.of({key("ahead", Kind.COUNTER): sent}))
    assert list(points(await ask(reader, "ahead", NOW)).values()) == [[1.0]]
    assert list(points(await ask(reader, "ahead", NOW + 6 * MINUTE)).values()) == [[101.0]]


class Busy(Double):
    """Samples come as soon as anybody looks at a moment."""

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncGenerator[Double]:
        async with super().at_one_moment() as moment:
            next(iter(self.samples.values()))[NOW - 4 * SECOND] = 1_000.0
            yield moment


async def test_a_total_is_that_of_its_time_while_more_is_counted() -> None:
    orders = {key("orders", Kind.COUNTER, shop=str(shop)): every(10, [1.0] * 30) for shop in range(4)}
    found = points(await ask(over(Busy.of(orders)), "orders", NOW - MINUTE))
    assert list(found.values()) == [[24.0]] * 4


class Then(SystemClock):
    """At NOW, while seconds pass."""

    def now_ms(self) -> int:
        return NOW


class Slow(WindowReader):
    """Something is committed between any two of its reads."""

    async def read(self, *asked: Any) -> tuple[Cells, ...]:
        await asyncio.sleep(0.05)  # meanwhile others commit, on a real store
        found = await super().read(*asked)
        await asyncio.sleep(0.05)  # meanwhile others commit, on a real store
        return found

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncGenerator[WindowReader]:
        async with super().at_one_moment() as moment:
            yield Slow(self._db, self._clock, self._topic, session=moment.session)


@pytest.mark.connected
async def test_totals_and_windows_are_of_one_commit_however_fast_commits_follow(database: Any, redis_url: str) -> None:
    """24 orders until a minute ago; since then more and more."""
    orders = key("orders", Kind.COUNTER)
    sent = every(10, [1.0] * 30)
    writer = SeriesWriter(database, 1)
    await writer.ensure_indexes()
    [placed] = await writer.register([orders])
    assert isinstance(placed, Registered)
    series = Series(orders.fingerprint, orders.name, orders.kind, orders.labels, placed.partition, placed.ordinal, 0)
    clock, store = Then(), PartitionStore(database, "samples", SystemClock())
    await store.prepare()
    log = Log("cluster", "topic")

    async def commit(before: Checkpoint | None, offset: int) -> Checkpoint:
        cells = cells_of({series.slot: sent}, np.full(256, Kind.COUNTER, np.uint8))
        latest = latest_of({series: sent})
        [data] = pack(latest, [0, 1], [0, 0])
        checkpoint = Checkpoint(
            log, 0, {FINE.name: Position(offset)} | {tier.name: Position(0) for tier in COARSE},
            {tier.name: tier.floor(NOW - HOUR) for tier in COARSE},
        )  # fmt: skip
        windows = [
            Window(Place(TENANT, series.chunk[1], start), packed) for _, start, packed in chunks.encode_all(cells)
        ]
        latest_chunks = [LatestChunk(TENANT, series.chunk[1], data)]
        await store.commit(Transaction(0, before, checkpoint, {FINE: windows}, latest_chunks, {}))
        return checkpoint

    checkpoint = await commit(None, 1)
    stopped = asyncio.Event()

    async def count() -> None:
        nonlocal checkpoint
        for offset in itertools.count(2):
            if stopped.is_set():
                return
            sent[NOW - 4 * SECOND] = float(offset)
            checkpoint = await commit(checkpoint, offset)

    async with Redis.from_url(redis_url) as redis, asyncio.TaskGroup() as group:
        windows = Slow(database, clock, "samples")
        reader = SeriesReader(SeriesCatalogue(database), windows, clock, Limits(1_000, 100_000, 5_000))
        samples = PromqlReader(reader, windows, LatestReader(database, redis, clock), clock, Expressions())
        group.create_task(count())
        try:
            for _ in range(3):
                found = points(await ask(samples.of(TENANT), "orders", NOW - MINUTE))
                assert list(found.values()) == [[24.0]]
        finally:
            stopped.set()


async def test_very_many_series_are_not_put_together_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def labelled(*of: Any) -> Labels:
        threads.append(threading.get_ident())
        return labels(*of)

    labels = selection.labels_of
    monkeypatch.setattr(selection, "labels_of", labelled)
    await ask(over(Double.of(STORED)), "orders")
    assert threads
    assert threading.get_ident() not in threads
