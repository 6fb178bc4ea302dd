"""Lint, types and the whole test suite, in two lanes at once: `make test`.

Why: tests of faults mostly wait, for sessions that end and servers that come back; one after the other they leave the
machine idle half of the time. The end-to-end tests come last and alone, because they promise times to users.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_NAMED = 50
"""Tests that failed, named once more at the end: who reads only the last page of a log must find them there."""


def pytest(lane: str, *arguments: str) -> tuple[str, ...]:
    """The command, which also tells the slowest tests. Each lane has a cache of its own: what failed in one must not be
    written over by the other."""
    own = (f"--override-ini=cache_dir=.pytest_cache/{lane}", "--durations=15", "--durations-min=5")
    return (sys.executable, "-m", "pytest", *own, *arguments)


@dataclass(frozen=True)
class Step:
    """A command, and what it is called when it failed."""

    name: str
    command: tuple[str, ...]


Lanes = Mapping[str, Sequence[Step]]
"""By name; the steps of a lane are done one after the other, also after one that failed."""

TOGETHER: Lanes = {
    "packages": (
        Step("lint", ("make", "--no-print-directory", "lint")),
        Step("tests of the packages", pytest("packages", "libs", "services")),
    ),
    "system": (
        Step("types", ("make", "--no-print-directory", "types")),
        Step("tests across services", pytest("system", "tests", "--ignore=tests/e2e")),
        Step("tests of the vigie command", pytest("command", "standalone")),
    ),
}
ALONE: Lanes = {"e2e": (Step("end-to-end tests", pytest("e2e", "tests/e2e")),)}


class Runner:
    """Runs lanes, each line of output behind the name of its lane."""

    def __init__(self, say: Callable[[str], None] = lambda line: print(line, flush=True)) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._stopping = False
        self._running: set[subprocess.Popen[str]] = set()
        self.failures: list[str] = []
        """The lines of pytest's summaries that name a test which failed."""

    def run(self, lanes: Lanes) -> list[str]:
        """All lanes at once; the names of the steps that failed, or were not begun because of `stop`."""
        with ThreadPoolExecutor(len(lanes)) as pool:
            done = [pool.submit(self._lane, name, steps) for name, steps in lanes.items()]
            return [failed for lane in done for failed in lane.result()]

    def stop(self) -> None:
        """Begin nothing more, and interrupt what runs: pytest then stops the servers that it started."""
        with self._lock:
            self._stopping = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)

    def _lane(self, lane: str, steps: Sequence[Step]) -> list[str]:
        return [step.name for step in steps if not self._step(lane, step)]

    def _step(self, lane: str, step: Step) -> bool:
        began = time.monotonic()
        with self._lock:
            if self._stopping:
                return False
            # A session of its own: Ctrl-C reaches it once, through `stop`, and not twice.
            process = subprocess.Popen(
                step.command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, encoding="utf-8", errors="replace", start_new_session=True,
                env=os.environ | {"COLUMNS": "160"},  # else a failure's name is cut short, and its reason left out
            )  # fmt: skip
            self._running.add(process)
        with process:
            for line in process.stdout or ():
                self._tell(lane, line.rstrip("\n"))
                if line.startswith(("FAILED ", "ERROR ")):
                    self.failures.append(line.rstrip("\n"))
        with self._lock:
            self._running.discard(process)
        verdict = "passed" if process.returncode == 0 else f"FAILED with {process.returncode}"
        self._tell(lane, f"== {step.name}: {verdict} after {time.monotonic() - began:.0f} s")
        return process.returncode == 0

    def _tell(self, lane: str, line: str) -> None:
        with self._lock:
            self._say(f"{lane:>8} | {line}")


def main() -> int:
    runner = Runner()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # In a thread: the handler runs in between the lines of whoever holds the runner's lock.
        signal.signal(number, lambda *_: threading.Thread(target=runner.stop).start())
    failed = [*runner.run(TOGETHER), *runner.run(ALONE)]
    if failed:
        for line in runner.failures[:MAX_NAMED]:
            print(line, file=sys.stderr)
        print(f"make test: FAILED in {', '.join(failed)}", file=sys.stderr)
        return 1
    print("make test: lint, types and tests passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
