"""The agent of a machine: what one with fifty sites costs, with a hundred services on a real bus where there is one."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from services.agent.tests.gateway import Gateway, gateway
from services.agent.tests.systemd_double import Unit, systemd_double
from tests.bench import cost
from tests.bench.report import Floor, Report, Row
from tests.kit.wait import eventually

SITES: Final = 50
SERVICES_OF_EACH: Final = 2
FILES_OF_EACH: Final = 1_000
INTERVAL_S: Final = 30
SETTLE_S: Final = 180.0
ROUNDS: Final = 4
"""Intervals that are measured."""


def measure(report: Report, _runs: int, samples: int) -> None:
    """Once. `samples` below a million asks for one interval: a smoke test."""
    asyncio.run(_measure(report, ROUNDS if samples >= 1_000_000 else 1))


async def _measure(report: Report, rounds: int) -> None:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigie-bench-")))
        door = stack.enter_context(gateway())
        door.configuration = {"collectionInterval": INTERVAL_S, "sites": await asyncio.to_thread(_sites, directory)}
        environment = _environment(door, directory)
        if shutil.which("dbus-daemon"):
            systemd = await stack.enter_async_context(systemd_double(directory))
            for site in range(SITES):
                for number in range(SERVICES_OF_EACH):
                    name = f"twoine-site{site}-{number}"
                    systemd.units[name] = Unit(user="root")
                    systemd.start(name)
            environment["DBUS_SYSTEM_BUS_ADDRESS"] = systemd.address
        else:
            report.skip("dbus-daemon: it is not on the PATH; the agent is measured without services")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "vigie_agent", "run", env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            await eventually(lambda: _counted(door), SETTLE_S, interval=0.5)
            await _watch(report, door, process.pid, rounds)
        finally:
            process.terminate()
            await process.wait()


async def _watch(report: Report, door: Gateway, pid: int, rounds: int) -> None:
    before, began = len(door.reports), time.monotonic()
    with cost.measured({"agent": pid}) as used:
        await eventually(lambda: len(door.reports) >= before + rounds, (rounds + 1) * INTERVAL_S, interval=0.1)
        took_s = time.monotonic() - began
    memory, percent = cost.resident_mb(pid), 100 * used.seconds["agent"] / took_s
    newest = max(door.reports.values(), key=lambda one: one["timestamp"])
    exact = len(newest["sites"]) == SITES and all(
        site["disk"]["complete"] and site["disk"]["fileCount"] == FILES_OF_EACH for site in newest["sites"]
    )
    report.add(
        Row(
            f"agent, {SITES} sites",
            f"every {INTERVAL_S} s",
            rounds,
            took_s,
            used.per(rounds),
            exact=exact,
            detail=f"{len(newest['services'])} services, {newest['processes']['total']} processes, {memory:.0f} MB",
            unit="report",
        )
    )
    report.floors += [
        Floor(f"agent, {SITES} sites: CPU", "% of a core", 1, 0.5, (percent,), at_least=False),
        Floor(f"agent, {SITES} sites: memory", "MB", 60, 45, (memory,), at_least=False),
    ]


def _counted(door: Gateway) -> bool:
    """Whether the newest report has every directory in whole."""
    if not door.reports:
        return False
    newest = max(door.reports.values(), key=lambda one: one["timestamp"])
    return bool(newest["sites"]) and all((site["disk"] or {}).get("complete") for site in newest["sites"])


def _sites(directory: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for site in range(SITES):
        own = directory / "sites" / str(site)
        for number in range(FILES_OF_EACH):
            file = own / str(number % 20) / f"{number}.html"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x" * 100)
        found.append({"id": f"s{site}", "name": f"site{site}", "account": "root", "directory": str(own)})
    return found


def _environment(door: Gateway, directory: Path) -> dict[str, str]:
    return {
        **os.environ,
        "VIGIE_URL": door.url,
        "VIGIE_AGENT_HOST": "bench",
        "VIGIE_AGENT_STATE_DIR": str(directory / "state"),
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={directory}/none",
    }
