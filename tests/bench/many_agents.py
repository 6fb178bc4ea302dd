"""A thousand agents against one gateway: what a report costs, over a bare app that decodes it and drops it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from pymongo import MongoClient
from vigie_contracts import names
from vigie_contracts.hosts import HostReport
from vigie_contracts.payloads import payloads
from vigie_contracts.series import Kind, series_key
from vigie_ingest.hosts import samples_of

from tests.bench import cost, reference
from tests.bench.report import Floor, Report, Row
from tests.bench.stack import DATABASE, Stack

AGENTS: Final = 1_000
CONNECTIONS: Final = 100
INTERVAL_S: Final = 30
ROUNDS: Final = 5
"""Reports of every agent that are measured; one comes before, with which its series are new."""
TENANT: Final = "default"
_HEADERS: Final = {"Content-Type": "application/json"}
_BODY: Final[dict[str, Any]] = msgspec.json.decode(
    next(one.data for one in payloads("api.hosts.reports") if one.name == "v1-report.json")
)


def measure(report: Report, runs: int, samples: int) -> None:
    """`samples` below a million asks for one round: a smoke test."""
    rounds = ROUNDS if samples >= 1_000_000 else 1
    shares: list[float] = []
    ratios: list[float] = []
    for _ in range(runs):
        row = _agents(report, rounds)
        bare = report.add(reference.bare_reports(bodies(0, rounds + 1), CONNECTIONS))
        shares.append(100 * row.cpu_us["ingest"] / 1e6 * AGENTS / INTERVAL_S)
        ratios.append(row.cpu_us["ingest"] / bare.cpu_us["app"])
    title = f"{AGENTS:,} agents, one gateway"
    report.floors += [
        Floor(f"{title}: a report every {INTERVAL_S} s", "% of a core", 5, 2.5, tuple(shares), at_least=False),
        Floor(f"{title}: over a bare ASGI app", "x CPU/report", 25, 12, tuple(ratios), at_least=False),
    ]


def bodies(first: int, last: int) -> list[bytes]:
    """Of every agent a report of each of these rounds; the first is the oldest."""
    now_ms = int(time.time() * 1000) // 1000 * 1000
    return [
        msgspec.json.encode(
            _BODY
            | {
                "host": f"bench-{agent}",
                "timestamp": now_ms - (last - number) * INTERVAL_S * 1000,
                "cpu": _BODY["cpu"] | {"percent": float(_percent(agent, number))},
                "sites": [one | {"site": f"{one['site']}-{agent}"} for one in _BODY["sites"]],
                "services": [
                    one | ({"site": f"{one['site']}-{agent}"} if one.get("site") else {}) for one in _BODY["services"]
                ],
            }
        )
        for number in range(first, last)
        for agent in range(AGENTS)
    ]


def _percent(agent: int, number: int) -> int:
    return (7 * agent + number) % 101


def _agents(report: Report, rounds: int) -> Row:
    every = bodies(0, rounds + 1)
    first, rest = every[:AGENTS], every[AGENTS:]
    said = len(samples_of(msgspec.json.decode(first[0], type=HostReport)))
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory, Stack(Path(directory)) as stack:
        stack.start_ingest()
        stack.start_aggregator()
        url, headers = f"{stack.url}/api/hosts/reports", {**_HEADERS, "X-API-Key": stack.key("agent")}
        cost.send(url, first, CONNECTIONS, headers)
        stack.wait_counted()
        with cost.measured(stack.pids()) as spent:
            sent = cost.send(url, rest, CONNECTIONS, headers)
            seconds = sent["seconds"]
            stack.wait_counted()
        cost.send(url, rest[:AGENTS], CONNECTIONS, headers)  # again: it must count once
        stack.wait_counted()
        exact, detail = _exact(stack, rounds + 1, said)
    detail = f"{detail}, {len(rest) / seconds:,.0f} reports/s, p99 {sent['p99_ms']:.0f} ms"
    name = f"{AGENTS:,} agents, one gateway"
    return report.add(
        Row(name, f"{said} samples", len(rest), seconds, spent.per(len(rest)), exact, detail, unit="report")
    )


def _exact(stack: Stack, rounds: int, said: int) -> tuple[bool, str]:
    """Whether every report is stored once and every sample counted once: all counts, and the sums of the CPU."""
    deadline = time.monotonic() + 60
    with MongoClient[dict[str, Any]](stack.mongo_uri) as client:
        stored = client[DATABASE]["host_reports"]
        while (kept := stored.count_documents({})) < AGENTS * rounds and time.monotonic() < deadline:
            time.sleep(0.1)
    sums = stack.stored_sums()
    wrong = 0
    for agent in range(AGENTS):
        key = series_key(TENANT, names.CPU_USAGE, Kind.GAUGE, {"host": f"bench-{agent}"})
        expected = (rounds, float(sum(_percent(agent, number) for number in range(rounds))))
        wrong += sums.get(key.fingerprint) != expected
    counted = sum(count for count, _ in sums.values())
    wanted = AGENTS * rounds * said
    exact = kept == AGENTS * rounds and counted == wanted and not wrong
    return exact, f"{kept:,} reports, {counted:,} of {wanted:,} samples, {wrong} hosts wrong"
