"""`vigie status`: what a run file says, held against the machine."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil
from rich.console import Console
from rich.table import Table
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.errors import InvalidField

from vigie_standalone.home import Run, without_password
from vigie_standalone.probes import http_ready
from vigie_standalone.services import in_words

LOOK_S = 2.0
GONE = "gone"
FIGURES = ("memory_mb", "cpu_percent", "cpu_s")


def show(run: Run) -> bool:
    """Print the run; gives whether the front door is ready."""
    console = Console(highlight=False)
    ready = http_ready(f"{run.url}/health/ready")()
    state = "[green]ready[/green]" if ready else "[red]not ready[/red]"
    console.print(f"Vigie on {run.url} is {state} (process {run.pid})")
    for server, address in run.servers.items():
        console.print(f"  {server}: {without_password(address['url'])} ({address['source']})", soft_wrap=True)
    with suppress(InvalidField):  # a run file of another version
        rule = AnonymousRule.parse(run.anonymous)
        console.print(f"  without a credential: callers may {in_words(rule)}", soft_wrap=True)
    console.print(f"  log in: POST {run.url}/auth/login; a lost password: vigie admin reset-password", soft_wrap=True)
    show_costs(console, {"vigie up": run.pid, **dict(sorted(run.processes.items()))})
    return ready


@dataclass(frozen=True)
class Cost:
    """What a process takes of the machine; `cpu_percent` of one core, over the time that was looked."""

    state: str
    memory_mb: float = 0.0
    cpu_percent: float = 0.0
    cpu_s: float = 0.0


def costs(pids: Mapping[str, int], look_s: float = LOOK_S) -> dict[str, Cost]:
    """The cost of each process, after so many seconds."""
    began = time.monotonic()
    before = {name: _cpu_s(pid) for name, pid in pids.items()}
    time.sleep(look_s)
    took = time.monotonic() - began
    return {name: _cost(pid, before[name], took) for name, pid in pids.items()}


def show_costs(console: Console, pids: Mapping[str, int]) -> None:
    """A line for each process, and one for all."""
    table = Table("process", "id", "state", "memory MB", "cpu %", "cpu s", box=None)
    found = costs(pids)
    for name, cost in found.items():
        table.add_row(name, str(pids[name]), *_cells(cost))
    memory, percent, seconds = (sum(getattr(cost, one) for cost in found.values()) for one in FIGURES)
    table.add_row("all", "", *_cells(Cost("", memory, percent, seconds)))
    console.print(table)


def _cells(cost: Cost) -> tuple[str, ...]:
    if cost.state == GONE:
        return cost.state, "", "", ""
    return cost.state, f"{cost.memory_mb:.0f}", f"{cost.cpu_percent:.1f}", f"{cost.cpu_s:.1f}"


def _cpu_s(pid: int) -> float | None:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return times.user + times.system


def _cost(pid: int, before: float | None, took: float) -> Cost:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            state, memory, after = process.status(), process.memory_info().rss / 1e6, _cpu_s(pid)
    except psutil.Error:  # gone, or another user's
        return Cost(GONE)
    if before is None or after is None:
        return Cost(GONE)
    return Cost(state, memory, max(0.0, after - before) / took * 100, after)
