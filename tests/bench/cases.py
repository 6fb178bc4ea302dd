"""The runs: what is started, fed and measured in each."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from vigie_aggregator.samples.schedule import LATE_MS

from tests.bench import cost, reference
from tests.bench.peers import SETTLE_S
from tests.bench.report import Report, Row
from tests.bench.stack import Stack
from tests.bench.workload import Workload, workload

JSON = {"Content-Type": "application/json"}
BATCH_CONNECTIONS = 32
SINGLE_CONNECTIONS = 64
AGED_S = LATE_MS / 1000 + 0.5
"""After so long the aggregator takes all of the log for a backlog. Else it takes the newest records for live ones, and
some runs would write the windows of some partitions twice."""


def gateway_then_aggregator(report: Report, work: Workload) -> tuple[Row, Row, dict[str, float]]:
    """The gateway alone against a real broker, then the aggregator alone over the log. Also resident MB of both."""
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory, Stack(Path(directory)) as stack:
        stack.start_ingest()
        stack.start_aggregator()
        stack.pause_aggregator()
        with cost.measured(stack.pids()) as intake:
            sent = cost.send(stack.url + "/api/metrics/batch", work.vigie_bodies(), BATCH_CONNECTIONS, JSON)
        time.sleep(AGED_S)
        with cost.measured(stack.pids()) as folding:
            began = time.perf_counter()
            stack.resume_aggregator()
            stack.wait_counted()
            seconds = time.perf_counter() - began
        del folding.seconds["ingest"], intake.seconds["aggregator"]
        exact, detail = stack.exact(work)
        pids = stack.pids()
        memory = {name: cost.resident_mb(pids[name]) for name in ("ingest", "aggregator")}
    name = f"{work.series:,} series"
    gateway = report.add(
        Row(
            f"gateway batch, {name}",
            work.density,
            work.samples,
            sent["seconds"],
            intake.per(work.samples),
            exact,
            f"p99 {sent['p99_ms']:.0f} ms, {memory['ingest']:.0f} MB",
        )
    )
    aggregator = report.add(
        Row(
            f"aggregator, {name}",
            work.density,
            work.samples,
            seconds,
            folding.per(work.samples),
            exact,
            f"{detail}, {memory['aggregator']:.0f} MB",
        )
    )
    return gateway, aggregator, memory


def gateway_single(report: Report, requests: int) -> Row:
    """One metric per request, 2,000 series."""
    work = workload(2_000, requests, 1_000)
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory, Stack(Path(directory)) as stack:
        stack.start_ingest()
        bodies = work.single_bodies(work.samples)
        with cost.measured(stack.pids()) as intake:
            sent = cost.send(stack.url + "/api/metrics/custom", bodies, SINGLE_CONNECTIONS, JSON)
        stack.start_aggregator()
        stack.wait_counted()
        exact, detail = stack.exact(work)
    detail = f"{detail}, p50 {sent['p50_ms']:.0f} ms, p99 {sent['p99_ms']:.0f} ms"
    return report.add(
        Row("gateway single", work.density, work.samples, sent["seconds"], intake.per(work.samples), exact, detail)
    )


def bare_batches(report: Report, work: Workload) -> Row:
    """The batches of `gateway_then_aggregator`, to an app that drops them."""
    return report.add(reference.bare_app(work, reference.BATCH, work.vigie_bodies(), BATCH_CONNECTIONS))


def bare_singles(report: Report, requests: int) -> Row:
    """The requests of `gateway_single`, to an app that drops them."""
    work = workload(2_000, requests, 1_000)
    bodies = work.single_bodies(work.samples)
    return report.add(reference.bare_app(work, reference.SINGLE, bodies, SINGLE_CONNECTIONS))


def end_to_end(report: Report, work: Workload) -> Row:
    """Everything at once, load generator included on the same cores; done when the last sample is in a window."""
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory, Stack(Path(directory)) as stack:
        stack.start_ingest()
        stack.start_aggregator()
        bodies = work.vigie_bodies()
        with cost.measured(stack.pids()) as spent:
            sent = cost.send(stack.url + "/api/metrics/batch", bodies, BATCH_CONNECTIONS, JSON)
            behind = time.perf_counter()
            stack.wait_counted()
            seconds = sent["seconds"] + time.perf_counter() - behind
        exact, detail = stack.exact(work)
    return report.add(
        Row(
            f"end to end, {work.series:,} series",
            work.density,
            work.samples,
            seconds,
            spent.per(work.samples),
            exact,
            f"{detail}, request p99 {sent['p99_ms']:.0f} ms",
        )
    )


def new_series(report: Report, work: Workload) -> Row:
    """What a series costs once: the requests with the first sample of every series, against those with the second."""
    new, known = work.halves(work.vigie_bodies())
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory, Stack(Path(directory)) as stack:
        stack.start_ingest()
        first, seconds = _fed(stack, new)
        second, _ = _fed(stack, known)
        stack.start_aggregator()
        stack.wait_counted()
        exact, detail = stack.exact(work)
    cost_us = first.beyond(second).per(work.series)
    del cost_us["redis"]  # has nothing to do with it
    return report.add(Row("new series", work.density, work.series, seconds, cost_us, exact, detail, "new series"))


def _fed(stack: Stack, bodies: list[bytes]) -> tuple[cost.Cost, float]:
    """What the gateway and its servers spent on these bodies, and the seconds until they had taken them."""
    with cost.measured(stack.pids()) as spent:
        sent = cost.send(stack.url + "/api/metrics/batch", bodies, BATCH_CONNECTIONS, JSON)
        time.sleep(SETTLE_S)
    return spent, sent["seconds"]


def negative_control(report: Report) -> bool:
    """A store that holds nothing, and one that misses samples, must both be called wrong."""
    work = workload(100, 10_000, 100)
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory, Stack(Path(directory)) as stack:
        stack.start_ingest()
        cost.send(stack.url + "/api/metrics/batch", work.vigie_bodies()[:-1], 1, JSON)
        empty, _ = stack.exact(work)
        stack.start_aggregator()
        stack.wait_counted()
        short, _ = stack.exact(work)
    caught = not empty and not short
    print(
        f"  negative control: an empty store and a lost batch are {'noticed' if caught else 'NOT NOTICED'}", flush=True
    )
    return caught
