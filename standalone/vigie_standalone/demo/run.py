"""Plays the services in real time, and fills in the past beside it when asked."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vigie_standalone.demo import app, health, node
from vigie_standalone.demo.app import app_metrics
from vigie_standalone.demo.control import Control
from vigie_standalone.demo.incidents import INCIDENTS, USUAL_S, conditions, due
from vigie_standalone.demo.messages import cloud_events, metric_items
from vigie_standalone.demo.model import Activity, simulate
from vigie_standalone.demo.node import node_report
from vigie_standalone.demo.past import chunks, fill_past
from vigie_standalone.demo.sender import Sender
from vigie_standalone.demo.services import SERVICES

TICK_S = 1
BATCH_ITEMS = 2_000
CATCH_UP_S = 120
REPORT_EVERY_S = 60


@dataclass(frozen=True)
class DemoOptions:
    """What `vigie demo` was asked for."""

    url: str
    seed: int = 7
    rate: float = 1.0
    backfill_s: int = 0
    token: str | None = None
    control: Path = Path(".vigie/incidents.json")
    incidents: bool = True
    """Whether something goes wrong by itself now and then."""
    health_port: int = 0
    """Where the services say whether they run; 0: nowhere."""


async def run_demo(options: DemoOptions) -> None:
    """Send until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    sender = Sender(options.url, token=options.token)
    task = asyncio.create_task(_play(options, sender))
    try:
        await asyncio.wait([task, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sender.close()


async def _play(options: DemoOptions, sender: Sender) -> None:
    now = int(time.time())
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        if options.health_port:
            await stack.enter_async_context(health.serving(options.health_port, Control(options.control)))
        group.create_task(_live(options, sender, now))
        group.create_task(_node(options, sender))
        group.create_task(_app(options, sender))
        if options.backfill_s:
            group.create_task(_backfill(options, sender, now))


async def _live(options: DemoOptions, sender: Sender, at: int) -> None:
    control = Control(options.control)
    reported = time.monotonic()
    while True:
        at = max(at, int(time.time()) - CATCH_UP_S)  # after a long stop the gap stays a gap
        if (wait := at + TICK_S - time.time()) > 0:
            await asyncio.sleep(wait)
        if options.incidents and (name := due(options.seed, at)) is not None:
            control.start(name, at + USUAL_S)
            log("incident", name=name, seconds=USUAL_S, alerts=INCIDENTS[name].alerts)
        await _send_slice(options, sender, at, TICK_S, control.active(time.time()))
        at += TICK_S
        if time.monotonic() - reported > REPORT_EVERY_S:
            reported = time.monotonic()
            _report(sender)


async def _node(options: DemoOptions, sender: Sender) -> None:
    """The node of the guide's tenant, until it is refused: not every Vigie has that tenant."""
    at = int(time.time())
    while await sender.telemetry(node_report(options.seed, at), f"demo-node-{options.seed}-{at}"):
        at += node.EVERY_S
        at = max(at, int(time.time()) - node.EVERY_S)  # after a long stop the gap stays a gap
        await asyncio.sleep(max(0.0, at - time.time()))
    log("no node is simulated: its telemetry is not taken here", tenant=node.TENANT)


async def _app(options: DemoOptions, sender: Sender) -> None:
    """The booking app, until it is refused: not every caller may send for it."""
    at = int(time.time())
    while await sender.app_metrics(app.APP, app_metrics(options.seed, at)):
        at += app.EVERY_S
        at = max(at, int(time.time()) - app.EVERY_S)  # after a long stop the gap stays a gap
        await asyncio.sleep(max(0.0, at - time.time()))
    log("no app is simulated: its metrics are not taken here", app=app.APP)


def _report(sender: Sender) -> None:
    sent = sender.sent
    log("sent", accepted=sent.accepted, rejected=sent.rejected, refused=sent.refused, retries=sent.retries)
    for problem in sent.problems:
        log("not taken", level="warning", problem=problem)
    sent.problems.clear()


async def _backfill(options: DemoOptions, sender: Sender, end: int) -> None:
    """Up to the second where live play begins."""
    log("filling in the past", seconds=options.backfill_s)
    begin = time.monotonic()
    await fill_past(sender, options.seed, options.rate, end - options.backfill_s, end)
    log("the past is filled in", took_s=round(time.monotonic() - begin, 1))
    _report(sender)


async def _send_slice(options: DemoOptions, sender: Sender, at: int, seconds: int, incidents: Sequence[str]) -> None:
    events: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []
    for activity in activities(options, at, seconds, incidents):
        events += cloud_events(activity, options.seed)
        items += metric_items(activity)
    for part in chunks(events, BATCH_ITEMS):
        await sender.events(part)
    for part in chunks(items, BATCH_ITEMS):
        await sender.metrics(part)


def activities(options: DemoOptions, at: int, seconds: int, incidents: Sequence[str]) -> Iterator[Activity]:
    """Every service's activity in the slice that starts at second `at`."""
    for service in SERVICES:
        state = conditions(service.name, incidents)
        yield simulate(options.seed, service, at * 1000, seconds, rate=options.rate, state=state)


def log(message: str, *, level: str = "info", **fields: Any) -> None:
    """One JSON line, as the services write them."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(json.dumps({"timestamp": now, "level": level, "message": message, "service": "demo", **fields}), flush=True)
