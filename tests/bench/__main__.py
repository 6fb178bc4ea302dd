"""`python -m tests.bench [--runs N] [--quick] [--only PART]`: rows, then floors; exit code 1 unless all pass."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from vigie_standalone.embedded.ports import free_port

from tests.bench import (
    agents,
    alerting,
    cases,
    health,
    idle,
    machine,
    many_agents,
    oncall,
    peers,
    promql,
    push,
    reference,
)
from tests.bench.report import Floor, Report, Row, machine_ratios, ratios
from tests.bench.workload import BATCH, Workload, workload

DENSE, SPARSE = 1_000, 1
"""Samples of a series in one 10 s window."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each case (default 3)")
    parser.add_argument(
        "--samples",
        type=int,
        default=1_000_000,
        help="samples of each run (default 1,000,000), of dense ones three or four times as many",
    )
    parser.add_argument("--quick", action="store_true", help="one run of a quarter of the samples: a smoke test")
    parser.add_argument("--only", choices=PARTS, help="one part of it (default: all)")
    arguments = parser.parse_args()
    runs, samples = (1, arguments.samples // 4) if arguments.quick else (arguments.runs, arguments.samples)
    report = Report()
    print(f"Vigie bench: {runs} runs a case, everything on this machine\n{machine.speed()}\n", flush=True)
    controlled = cases.negative_control(report)
    for name, part in PARTS.items():
        if arguments.only in (None, name):
            part(report, runs, samples)
    report.close()
    return 0 if report.passed and controlled else 1


def _stages(report: Report, runs: int, samples: int) -> None:
    memory: dict[int, list[float]] = {}
    # The aggregator is through a million dense samples in 0.2 s, of which the kernel counts 10 ms at a time.
    for series, count, density, bounds in (
        (2_000, 3 * samples, DENSE, (3.6, 1.8)),
        (20_000, samples, 50, None),
        (200_000, samples, 5, (5.2, 2.0)),
        (2_000, samples, SPARSE, None),
        (200_000, samples, SPARSE, None),
    ):
        gateways: list[float] = []
        aggregators: list[tuple[float, float]] = []
        for _ in range(runs):
            work = workload(series, count, density)
            gateway, aggregator, used = cases.gateway_then_aggregator(report, work)
            memory.setdefault(series, []).append(sum(used.values()))
            if bounds is None:
                continue
            aggregators.append((aggregator.cpu_us["aggregator"], reference.fold_us(series, count)))
            if density == DENSE:
                gateways.append(gateway.cpu_us["ingest"] / cases.bare_batches(report, work).cpu_us["app"])
        if bounds is None:
            continue
        name = f"aggregator, {series:,} series, {density}/window"
        floor, goal = bounds
        report.floors += [
            Floor(name, "M samples/s/core", None, None, tuple(1 / us for us, _ in aggregators)),
            Floor(
                f"{name}: over folding alone", "x CPU/sample", floor, goal,
                tuple(us / core for us, core in aggregators), at_least=False,
            ),
        ]  # fmt: skip
        if gateways:
            report.floors.append(
                Floor("gateway batch, over a bare ASGI app", "x CPU/sample", 3.7, 1.7, tuple(gateways), at_least=False)
            )
    grown = tuple((large - small) / 1.98 for large, small in zip(memory[200_000], memory[2_000], strict=False))
    report.floors.append(Floor("memory of gateway + aggregator", "MB/100k series", 200, 100, grown, at_least=False))
    singles = [
        (cases.gateway_single(report, samples // 25), cases.bare_singles(report, samples // 25)) for _ in range(runs)
    ]
    values = tuple(row.cpu_us["ingest"] / bare.cpu_us["app"] for row, bare in singles)
    report.floors.append(
        Floor("gateway single, over a bare ASGI app", "x CPU/request", 3.0, 1.5, values, at_least=False)
    )


def _versus(report: Report, runs: int, samples: int) -> None:
    """Vigie and its peers in turn, on the same samples."""
    # Long against the second after which a commit is made: its wait would be a third of the time for a million.
    for density, count, name in ((DENSE, 4 * samples, "dense"), (SPARSE, samples, "1 sample/window")):
        ours: list[Row] = []
        theirs: dict[str, list[Row]] = {peers.PROMETHEUS.name: [], peers.VICTORIA.name: []}
        for _ in range(runs):
            work = workload(2_000, count, density)
            ours.append(cases.end_to_end(report, work))
            for peer in (peers.PROMETHEUS, peers.VICTORIA):
                if peer.program() is None:
                    report.skip(f"{peer.name}: none of {', '.join(peer.programs)} is on the PATH")
                    continue
                theirs[peer.name].append(_peer(report, peer, work))
        rates = tuple(row.samples / row.seconds / 1e6 for row in ours)
        if density == DENSE:
            report.floors.append(Floor("end to end, dense, wall clock", "M samples/s", None, None, rates))
        if density == DENSE and (rows := theirs[peers.VICTORIA.name]):
            title = f"end to end, dense, over {peers.VICTORIA.name}"
            wall = tuple(row.samples / row.seconds / 1e6 / rate for row, rate in zip(rows, rates, strict=True))
            report.floors.append(Floor(title, "x wall clock", 2.2, 1.1, wall, at_least=False))
        for peer, rows in theirs.items():
            if rows:
                floor, goal, machine_goal = BOUNDS[peer, name]
                title = f"Vigie over {peer}, {name}"
                report.floors += [
                    Floor(f"{title}: own processes", "x CPU/sample", floor, goal, ratios(ours, rows), at_least=False),
                    Floor(
                        f"{title}: machine",
                        "x CPU/sample",
                        None,
                        machine_goal,
                        machine_ratios(ours, rows),
                        at_least=False,
                    ),
                ]


BOUNDS = {
    (peers.PROMETHEUS.name, "dense"): (0.5, 0.25, None),
    (peers.PROMETHEUS.name, "1 sample/window"): (1.0, 1.0, None),
    (peers.VICTORIA.name, "dense"): (1.5, 0.75, 1.0),
    (peers.VICTORIA.name, "1 sample/window"): (None, None, 1.3),
}
"""Floor and goal of Vigie's own processes over the peer, and the goal of the machine, Vigie's broker and stores
included."""


def _new_series(report: Report, runs: int, samples: int) -> None:
    """What a series costs once, beyond its samples."""
    series = max(1, samples // 20 // BATCH) * BATCH
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(runs):
        work = workload(series, 2 * series, SPARSE)
        row = cases.new_series(report, work)
        ours.append(row.cpu_us["ingest"] + row.cpu_us["mongod"])
        if peers.VICTORIA.program() is None:
            report.skip(f"{peers.VICTORIA.name}: none of {', '.join(peers.VICTORIA.programs)} is on the PATH")
            continue
        with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
            peer = report.add(peers.new_series(peers.VICTORIA, work, Path(directory), free_port()))
        theirs.append(peer.machine_us)
    report.floors.append(Floor("new series, ingest + mongod", "CPU-us", None, 20, tuple(ours), at_least=False))
    if theirs:
        report.floors.append(Floor(f"new series, {peers.VICTORIA.name}", "CPU-us", None, None, tuple(theirs)))


IDLE_S = 60.0
MOST_IDLE_RUNS = 1
"""Each takes two minutes, and few things are as steady."""


def _idle(report: Report, runs: int, _samples: int) -> None:
    """`vigie up` and its simulator while nothing else happens."""
    cpu: list[float] = []
    memory: list[float] = []
    for _ in range(min(runs, MOST_IDLE_RUNS)):
        with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
            found = idle.measure(Path(directory), IDLE_S)
        cpu.append(sum(cost.cpu_percent for cost in found.values()))
        memory.append(sum(cost.memory_mb for cost in found.values()))
        parts = "  ".join(f"{name} {one.cpu_percent:.1f} % {one.memory_mb:.0f} MB" for name, one in found.items())
        print(f"  {'vigie up, idle':<46} {IDLE_S:.0f} s  {parts}", flush=True)
    report.floors += [
        Floor("vigie up, idle: CPU", "% of a core", 30, 20, tuple(cpu), at_least=False),
        Floor("vigie up, idle: memory", "MB", 1_200, 800, tuple(memory), at_least=False),
    ]


def _peer(report: Report, peer: peers.Peer, work: Workload) -> Row:
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        return report.add(peers.run(peer, work, Path(directory), free_port()))


PARTS = {
    "stages": _stages,
    "peers": _versus,
    "new-series": _new_series,
    "idle": _idle,
    "promql": promql.measure,
    "alerting": alerting.measure,
    "oncall": oncall.measure,
    "push": push.measure,
    "health": health.measure,
    "agents": agents.measure,
    "many-agents": many_agents.measure,
}


if __name__ == "__main__":
    sys.exit(main())
