"""`vigie status`: what a run file says, held against the machine."""

import psutil
from rich.console import Console
from rich.table import Table
from vigie_identity.anonymous import AnonymousRule

from vigie_standalone.accounts import in_words
from vigie_standalone.home import Run, without_password
from vigie_standalone.probes import http_ready


def show(run: Run) -> bool:
    """Print the run; gives whether the front door is ready."""
    console = Console(highlight=False)
    ready = http_ready(f"{run.url}/health/ready")()
    state = "[green]ready[/green]" if ready else "[red]not ready[/red]"
    console.print(f"Vigie on {run.url} is {state} (process {run.pid})")
    for server, address in run.servers.items():
        console.print(f"  {server}: {without_password(address['url'])} ({address['source']})", soft_wrap=True)
    if run.anonymous:
        rule = AnonymousRule.parse(run.anonymous)
        console.print(f"  without a credential: callers may {in_words(rule)}", soft_wrap=True)
    console.print(f"  log in: POST {run.url}/auth/login; a lost password: vigie admin reset-password", soft_wrap=True)
    table = Table("process", "id", "state", "memory MB", "cpu s", box=None)
    for name, pid in sorted(run.processes.items()):
        table.add_row(name, *_describe(pid))
    console.print(table)
    return ready


def _describe(pid: int) -> tuple[str, str, str, str]:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            memory = process.memory_info().rss / 1e6
            return str(pid), process.status(), f"{memory:.0f}", f"{times.user + times.system:.1f}"
    except psutil.NoSuchProcess:
        return str(pid), "gone", "", ""
