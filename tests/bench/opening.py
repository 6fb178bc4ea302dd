"""`python -m tests.bench.opening [RULES SERIES]`: how long a start of alerting takes to give its rules their past, to
tell what they missed and to evaluate them, by itself: one process, a real MongoDB that has the last minutes of every
series, no broker. Of the processor only what that took is shown, without what was stored before."""

from __future__ import annotations

import asyncio
import cProfile
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from pymongo import MongoClient
from vigie_alerting.engine.catching_up import CatchUp
from vigie_alerting.engine.choosing import Chooser
from vigie_alerting.engine.engine import Engine, Evaluated, run
from vigie_alerting.engine.metrics import ENGINE_METRICS, EngineMetrics
from vigie_alerting.engine.opening import Opener
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.engine.start import MAX_SERIES
from vigie_alerting.engine.watch import Watch
from vigie_alerting.rules.compiling import compiled
from vigie_alerting.settings import AlertingSettings
from vigie_contracts.series import Kind, series_key
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import CHUNK_SLOTS, FINE
from vigie_contracts.topics import SAMPLES
from vigie_query.series import Series
from vigie_runtime import clients
from vigie_runtime.clock import SystemClock
from vigie_runtime.expressions import Expressions
from vigie_runtime.metrics import MetricSet
from vigie_standalone.embedded.servers import Server, Servers
from vigie_storage import collections
from vigie_storage.partitions import document as checkpoints
from vigie_storage.partitions.checkpoint import Log, beginning
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.series import document as documents
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.windows import document as windows
from vigie_storage.windows.snapshot import Snapshots
from vigie_web.process import tune_garbage_collection, without_garbage_collection
from vigie_windows import fold
from vigie_windows.chunks import encode_all

from tests.bench.alerting import LEVEL, SCRAPE_S, mixed_rule

TENANT = TenantId("default")
PARTITIONS = 12
STORED_S = 400
MISSED_S = 40
"""For so long nobody evaluated the rules."""
DATABASE = "vigie"
LOG = Log("bench", "bench")


def main() -> int:
    rules, series = (int(argument) for argument in (sys.argv[1:3] or ("2500", "25000")))
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        servers = Servers(Path(directory), environment={})
        try:
            url = servers.start([Server.MONGODB])[Server.MONGODB].url
            with MongoClient[dict[str, Any]](url) as client:
                _store(client[DATABASE], rules, series)
            settings = AlertingSettings(
                kafka_bootstrap_servers="nobody", redis_url="redis://nobody", mongodb_uri=url, mongodb_database=DATABASE
            )
            with cProfile.Profile() if "--profile" in sys.argv else nullcontext() as profile:
                asyncio.run(_open(settings, rules))
            if profile is not None:
                profile.dump_stats("/tmp/opening.pstats")
        finally:
            servers.stop()
    return 0


def _store(database: Any, rules: int, series: int) -> None:
    """What gateway and aggregator would have stored."""
    now_ms = int(time.time() * 1000)
    places = [0] * PARTITIONS
    stored: list[Series] = []
    for number in range(series):
        name, labels = f"{LEVEL}_{number % rules}", {"host": f"h{number // rules}"}
        key = series_key(TENANT, name, Kind.GAUGE, labels)
        partition = key.fingerprint % PARTITIONS
        stored.append(Series(key.fingerprint, name, Kind.GAUGE, key.labels, partition, places[partition], now_ms))
        places[partition] += 1
    database[collections.SERIES.name].create_index([("tenant", 1), ("name", 1), ("_id", 1)])
    database[collections.SERIES.name].create_index([("tenant", 1), ("lv", 1)])
    for first in range(0, series, 10_000):
        database[collections.SERIES.name].insert_many(
            [documents.document(TENANT, one) for one in stored[first : first + 10_000]]
        )
    for partition, many in enumerate(places):
        database[collections.windows(FINE).name].insert_many(list(_windows(partition, many, now_ms)))
        checkpoint = checkpoints.fields(beginning(LOG)) | {"_id": checkpoints.partition_id(SAMPLES.name, partition)}
        database[collections.PARTITIONS.name].insert_one(checkpoint)


def _windows(partition: int, series: int, now_ms: int) -> Iterator[dict[str, Any]]:
    times = np.arange(now_ms - STORED_S * 1000, now_ms, SCRAPE_S * 1000)
    for first in range(0, series, CHUNK_SLOTS):
        rows = np.repeat(np.arange(first, min(series, first + CHUNK_SLOTS)), len(times))
        at = np.tile(times, len(rows) // len(times))
        cells = fold(rows, at, rows % 50.0, np.full(series, Kind.GAUGE, np.uint8), FINE.width_ms)
        for chunk, start, document in encode_all(cells):
            yield {"_id": windows.window_id(TENANT, partition, chunk, start), **document}


async def _open(settings: AlertingSettings, rules: int) -> None:
    clock, engine, lock = SystemClock(), Engine(), asyncio.Lock()
    database = clients.database(clients.mongo(settings), settings)
    catalogue = SeriesCatalogue(database)
    metrics = EngineMetrics(MetricSet(ENGINE_METRICS))
    no_log: Any = None
    selectors = SelectorReader(catalogue, Expressions(), clock, MAX_SERIES)
    opener = Opener(
        engine, lock, SamplesHandler(engine, lock, catalogue.by_fingerprint, clock=clock, metrics=metrics), log_=LOG,
        snapshots=Snapshots(database, clock, SAMPLES.name),
        chooser=Chooser(catalogue, selectors, MAX_SERIES), between=no_log, clock=clock, metrics=metrics,
    )  # fmt: skip
    made = [mixed_rule(number, "") for number in range(rules)]
    tune_garbage_collection()  # as the service does
    began, began_cpu = time.monotonic(), time.process_time()

    def say(what: str) -> None:
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cpu_s = time.process_time() - began_cpu
        print(f"{time.monotonic() - began:7.2f} s  {cpu_s:7.2f} CPU-s {memory_mb:6.0f} MiB  {what}")

    def put() -> None:
        missed_ms = clock.now_ms() - MISSED_S * 1000
        for rule in made:
            active = engine.put(compiled(rule), [])
            active.evaluated_ms, active.waiting = missed_ms, True

    async def settle(done: Sequence[Evaluated]) -> None:
        for one in done:
            engine.accept(one.rule, one.changes)

    async def stored() -> bool:
        return True

    await asyncio.to_thread(put)
    say("rules are read")

    async def opened(watches: Sequence[Watch]) -> None:
        engine.opened(watches, clock.now_ms())
        say(f"{len(watches):,} selectors more are open")

    with without_garbage_collection():
        await opener.open(engine.closed(), opened)
    catch_up = CatchUp(engine, lock, settle, stored, reader=no_log, clock=clock)
    left = await catch_up.run_from_memory(list(engine.rules.values()))
    say(f"what they missed is known, but for {len(left):,}")
    while engine.evaluations < rules:
        await asyncio.to_thread(run, engine, clock.now_ms(), 0.1)
    say(f"{engine.evaluations:,} evaluations, {engine.failures} failed: {len(engine.memory):,} series")
    await database.client.close()


if __name__ == "__main__":
    sys.exit(main())
