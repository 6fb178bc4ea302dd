"""`python -m tests.bench.backtest`: rules over thirty days of a thousand series, one sample a minute, in a real store.

What counts is the time of one core: this process, the store beside it is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from pymongo import AsyncMongoClient
from vigie_alerting.backtest.backtester import Backtest, Backtester
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rules.compiling import CompiledRule, compiled
from vigie_contracts.alerts import Rule, RuleKind
from vigie_contracts.series import Kind, SeriesKey, series_key
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import HOUR, MINUTE, Tier
from vigie_query.series import Series
from vigie_runtime.clock import ManualClock
from vigie_runtime.expressions import Expressions
from vigie_storage import collections
from vigie_storage.latest import LatestReader
from vigie_storage.promql.reader import PromqlReader
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.writer import Registered, SeriesWriter
from vigie_storage.windows import document as documents
from vigie_storage.windows.reader import WindowReader
from vigie_web.process import tune_garbage_collection
from vigie_windows import chunks, fold, widen

from tests.kit.sources import TestServers

TENANT: Final = TenantId("bench")
NAME: Final = "bench_level"
SERIES, DAYS, PARTITIONS = 1_000, 30, 12
DAY_MS: Final = 24 * 3_600_000
NOW_MS: Final = 1_790_000_000_000 // 3_600_000 * 3_600_000
GOAL_S: Final = 10.0
RULES: Final = {
    "newest values": f"{NAME} > 99.9",
    "over a range": f"avg_over_time({NAME}[5m]) > 82",
    "aggregated": f"avg by (service) ({NAME}) > 55",
}


def rule(name: str, text: str) -> CompiledRule:
    return compiled(Rule(id=name, tenant=TENANT, name=name, kind=RuleKind.EXPRESSION, expression=text, for_ms=300_000))


def keys() -> list[SeriesKey]:
    return [
        series_key(TENANT, NAME, Kind.GAUGE, {"service": f"booking-{i % 20}", "instance": f"10.0.{i // 250}.{i % 250}"})
        for i in range(SERIES)
    ]


def values(number: int, minutes: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A wave of a day with noise: now and then one of them stays above 82 for some minutes, or reaches 99.9."""
    rng = np.random.default_rng(number * 10_007 + int(minutes[0]))
    wave = 50 + (20 + number % 10) * np.sin(2 * np.pi * (minutes / 1_440 + number / SERIES))
    return np.clip(wave + rng.normal(0, 6, len(minutes)), 0, 100)


def written(series: list[Series], day: int) -> Iterator[tuple[int, Tier, list[documents.Window]]]:
    """By partition and tier, the windows of a day of each chunk."""
    start_ms = NOW_MS - (DAYS - day) * DAY_MS
    minutes = np.arange(1_440, dtype=np.int64)
    for partition, chunk in sorted({one.chunk for one in series}):
        own = [one for one in series if one.chunk == (partition, chunk)]
        kinds = np.zeros(256, np.uint8)
        rows = np.repeat(np.array([one.slot for one in own], np.int64), len(minutes))
        times = np.tile(start_ms + minutes * 60_000 + 7_000, len(own))
        found = np.concatenate([values(one.ordinal, minutes + day * 1_440) for one in own])
        cells = fold(rows, times, found, kinds, MINUTE.width_ms)
        for tier in (MINUTE, HOUR):
            yield (
                partition,
                tier,
                [
                    documents.Window(documents.Place(TENANT, chunk, start), packed)
                    for _, start, packed in chunks.encode_all(widen(cells, tier.width_ms))
                ],
            )


async def fill(database: Any) -> None:
    """The store, as the aggregator leaves it."""
    writer = SeriesWriter(database, PARTITIONS)
    await writer.ensure_indexes()
    series: list[Series] = []
    wanted = keys()
    for one, at in zip(wanted, await writer.register(wanted), strict=True):
        assert isinstance(at, Registered)
        series.append(Series(one.fingerprint, one.name, one.kind, one.labels, at.partition, at.ordinal, 0))
    for day in range(DAYS):
        for partition, tier, some in written(series, day):
            windows = database[collections.windows(tier).name]
            await windows.insert_many([documents.document(partition, tier, one) for one in some], ordered=False)


async def no_routes(_tenant: TenantId) -> Routes:
    return Routes()


async def measured(database: Any, text: str) -> tuple[Backtest, float, float]:
    """Seconds by the clock, and of this process."""
    clock = ManualClock(NOW_MS)
    catalogue, windows = SeriesCatalogue(database), WindowReader(database, clock, "samples")
    series = SeriesReader(catalogue, windows, clock, Limits(100_000, 20_000, 5_000))
    latest: Any = LatestReader(database, None, clock)  # type: ignore[arg-type] - nobody asks for running totals
    reader = PromqlReader(series, windows, latest, clock, Expressions())
    tester = Backtester(reader, no_routes, (), clock, 600.0)
    began, spent = time.perf_counter(), time.process_time()
    [done], _ = await tester.run(TENANT, [rule("bench", text)], NOW_MS - DAYS * DAY_MS, NOW_MS)
    return done, time.perf_counter() - began, time.process_time() - spent


async def run(uri: str, runs: int) -> bool:
    passed = True
    tune_garbage_collection()  # as the service does
    async with AsyncMongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        database = client["backtest_bench"]
        began = time.perf_counter()
        await fill(database)
        print(f"{SERIES:,} series, {DAYS} days, filled in {time.perf_counter() - began:.0f} s", flush=True)
        for name, text in RULES.items():
            good = False
            for _ in range(runs):
                done, wall_s, cpu_s = await measured(database, text)
                print(
                    f"{name}: {wall_s:.1f} s, {cpu_s:.1f} s of a core, {len(done.transitions):,} transitions, "
                    f"{done.evaluations:,} evaluations {done.error}",
                    flush=True,
                )
                good = good or (done.whole and bool(done.transitions) and cpu_s <= GOAL_S)
            passed = passed and good
            print(f"{'PASS' if good else 'FAIL'}  {name}: <= {GOAL_S:.0f} s\n", flush=True)
    return passed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        servers = TestServers(Path(directory))
        try:
            return 0 if asyncio.run(run(servers.mongo_uri, arguments.runs)) else 1
        finally:
            servers.stop()


if __name__ == "__main__":
    sys.exit(main())
