"""Live connections: how soon an event that is posted reaches a thousand subscribers, what a connection weighs, and what
clients that read nothing, or that all come back at once, do to the others."""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvloop
from vigie_web.process import connections

from tests.bench import cost
from tests.bench.live_clients import Client, Poster, connect
from tests.bench.report import Floor, Report, Row
from tests.bench.stack import Stack

CONNECTIONS, SUBSCRIBERS, STUCK = 5_000, 1_000, 100
EVENTS, EVERY_S = 100, 0.2
WIDE_EVENTS, WIDE_EVERY_S = 20, 0.75
STUCK_EVENTS, STUCK_BYTES = 600, 8_000
"""What is sent while nobody of the stuck ones reads: far more than the buffers of a connection hold."""
SETTLED_S: Final = 3.0
PATIENCE_S: Final = 60.0
PATH: Final = "/api/apps/{}/metrics"


def measure(report: Report, _runs: int, samples: int) -> None:
    """Everything once: one run takes two minutes. `samples` below a million asks for fewer events: a smoke test."""
    share = min(1.0, samples / 1_000_000)
    connections(2 * CONNECTIONS)
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory, Stack(Path(directory)) as stack:
        stack.start_ingest()
        stack.start_aggregator()
        live = stack.start_push()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_Live(report, stack, live, share).run())


class _Live:
    def __init__(self, report: Report, stack: Stack, url: str, share: float) -> None:
        self._report, self._stack, self._url, self._share = report, stack, url, share
        self._poster = Poster(stack.url)
        self._number = 0
        self._arrived: dict[int, list[float]] = {}
        self._weight = ""

    async def run(self) -> None:
        await self._post("wide")
        await self._post("narrow")
        warm = await self._connect(100, "wide")
        _close(warm)
        await asyncio.sleep(SETTLED_S)
        everybody = await self._memory()
        subscribers = await self._connect(SUBSCRIBERS, "narrow")
        alone = await self._events("narrow", SUBSCRIBERS, round(EVENTS * self._share), EVERY_S)
        self._latency(f"event to {SUBSCRIBERS:,} subscribers beside {CONNECTIONS:,}, from the POST", alone, 150, 50)
        await self._stuck(statistics.median(alone))
        await self._wide()
        _close(subscribers)
        await self._storm(everybody)

    async def _memory(self) -> list[Client]:
        pid = self._stack.pids()["push"]
        before = cost.resident_mb(pid)
        began = time.monotonic()
        clients = await self._connect(CONNECTIONS, "wide")
        seconds = time.monotonic() - began
        await asyncio.sleep(SETTLED_S)
        each = (cost.resident_mb(pid) - before) * 1e3 / CONNECTIONS
        self._report.floors += [
            Floor("live connection, idle and subscribed: memory", "kB", 30, 20, (each,), at_least=False),
            Floor(f"{CONNECTIONS:,} clients connect at once", "s", 10, 5, (seconds,), at_least=False),
        ]
        return clients

    async def _stuck(self, alone: float) -> None:
        """Clients that read nothing: the others get what they are sent, as soon as before."""
        stuck = await self._connect(STUCK, "narrow", stuck=True)
        before = self._weight
        self._weight = "x" * STUCK_BYTES
        await self._events("narrow", SUBSCRIBERS, max(50, round(STUCK_EVENTS * self._share)), 0.03)
        self._weight = before
        waits = await self._events("narrow", SUBSCRIBERS, round(EVENTS * self._share), EVERY_S)
        self._latency(f"event to {SUBSCRIBERS:,} subscribers beside {STUCK} that read nothing", waits, 150, 50)
        values = (statistics.median(waits) / alone,)
        self._report.floors.append(
            Floor("the same, over what it took without them: median", "x", 1.5, 1.2, values, at_least=False)
        )
        _close(stuck)

    async def _wide(self) -> None:
        """To all connections of the process, which has one core."""
        events = max(5, round(WIDE_EVENTS * self._share))
        began = time.monotonic()
        with cost.measured(self._stack.pids()) as used:
            waits = await self._events("wide", CONNECTIONS, events, WIDE_EVERY_S)
        deliveries = events * CONNECTIONS
        self._report.add(
            Row(
                "push, events to all connections",
                f"{CONNECTIONS:,} connections",
                deliveries,
                time.monotonic() - began,
                {"push": used.per(deliveries)["push"]},
                exact=True,  # the newest has reached everybody
                detail=f"{deliveries - len(waits):,} conflated",
                unit="delivery",
            )
        )
        self._latency(f"event to {CONNECTIONS:,} subscribers, from the POST", waits, None, 150)

    async def _storm(self, everybody: list[Client]) -> None:
        """All lose their connections, and come back with a cursor, at once."""
        cursor = everybody[0].cursor
        _close(everybody)
        began = time.monotonic()
        again = await self._connect(CONNECTIONS, "wide", after=cursor)
        values = (time.monotonic() - began,)
        self._report.floors.append(
            Floor(f"{CONNECTIONS:,} clients come back at once, with cursors", "s", 10, 5, values, at_least=False)
        )
        await self._events("wide", CONNECTIONS, 1, 0.0)
        _close(again)

    async def _connect(self, count: int, app: str, *, stuck: bool = False, after: str | None = None) -> list[Client]:
        subscribe = {"type": "subscribe", "channel": "app", "appId": app, **({"after": after} if after else {})}
        return await connect(self._url, count, subscribe, self._note, stuck=stuck)

    def _note(self, _client: Client, message: dict[str, Any], now: float) -> None:
        number = message["payload"]["metrics"]["number"]
        if (arrived := self._arrived.get(number)) is not None:
            arrived.append(now)

    async def _post(self, app: str) -> float:
        """When it began; the event is the newest number."""
        self._number += 1
        metrics = {"number": self._number, "cpu": {"usage": 12.5}, "memory": {"used": 1e9, "total": 4e9}}
        if self._weight:
            metrics["weight"] = self._weight
        self._arrived[self._number] = []
        began = time.monotonic()
        await self._poster.post(PATH.format(app), {"userId": "bench", "metrics": metrics})
        return began

    async def _events(self, app: str, subscribers: int, count: int, every_s: float) -> Sequence[float]:
        """Seconds from each POST to each arrival, until the last event has reached everybody: a newer one may have
        taken the place of another."""
        self._arrived.clear()
        gc.collect()
        began: dict[int, float] = {}
        for _ in range(count):
            at = await self._post(app)
            began[self._number] = at
            await asyncio.sleep(max(0.0, at + every_s - time.monotonic()))
        end = time.monotonic() + PATIENCE_S
        while (told := len(self._arrived[self._number])) < subscribers:
            if time.monotonic() > end:
                raise AssertionError(f"only {told} of {subscribers} were told of the newest event")
            await asyncio.sleep(0.01)
        return [now - began[number] for number, arrived in self._arrived.items() for now in arrived if number in began]

    def _latency(self, name: str, waits: Sequence[float], floor: float | None, goal: float | None) -> None:
        p99 = statistics.quantiles(waits, n=100)[-1]
        self._report.floors += [
            Floor(f"{name}: p50", "ms", None, None, (statistics.median(waits) * 1e3,), at_least=False),
            Floor(f"{name}: p99", "ms", floor, goal, (p99 * 1e3,), at_least=False),
        ]


def _close(clients: Sequence[Client]) -> None:
    for client in clients:
        if client.transport is not None:
            client.transport.abort()
