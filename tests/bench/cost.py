"""CPU seconds of processes, as the kernel counts them (10 ms resolution: keep runs long)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.bench.load import write_bodies

if TYPE_CHECKING:
    from collections.abc import Iterator


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children, seconds."""
    process = psutil.Process(pid)
    times = [process.cpu_times(), *(child.cpu_times() for child in process.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def resident_mb(pid: int) -> float:
    process = psutil.Process(pid)
    return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / 1e6


@dataclass
class Cost:
    """CPU seconds spent inside the `with`, by name."""

    seconds: dict[str, float] = field(default_factory=dict)

    def per(self, count: int) -> dict[str, float]:
        """CPU microseconds for one of so many, by name."""
        return {name: seconds / count * 1e6 for name, seconds in self.seconds.items()}

    def beyond(self, other: Cost) -> Cost:
        """What this one cost more."""
        return Cost({name: seconds - other.seconds[name] for name, seconds in self.seconds.items()})


@contextmanager
def measured(pids: Mapping[str, int]) -> Iterator[Cost]:
    """CPU of these processes while the block runs."""
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    cost = Cost()
    yield cost
    cost.seconds = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}


class LoadError(RuntimeError):
    """The load generator did not get clean answers: the figures of the run would mean nothing."""


def send(
    url: str, bodies: list[bytes], connections: int, headers: Mapping[str, str], groups: int = 0
) -> dict[str, Any]:
    """Post the bodies from a process of its own. Returns its report; raises LoadError when anything was refused."""
    with tempfile.NamedTemporaryFile(suffix=".bodies") as file:
        write_bodies(Path(file.name), bodies)
        command = [sys.executable, "-m", "tests.bench.load", url, file.name, str(connections), str(groups)]
        command += [f"{name}: {value}" for name, value in headers.items()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise LoadError(done.stderr[-2_000:])
    report = json.loads(done.stdout)
    if report["refused"]:
        raise LoadError(f"{url} refused requests: {report['refused']}")
    return report
