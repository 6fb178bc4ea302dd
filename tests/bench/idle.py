"""What a `vigie up` with its simulator takes of the machine while nothing else happens."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from vigie_standalone.embedded.ports import free_port
from vigie_standalone.home import Home, Run
from vigie_standalone.status import Cost, costs

from tests.kit.wait import eventually_sync

START_S = 300
SETTLE_S = 20
"""After the past is filled in, for what is still written behind it."""
STOP_S = 60


def measure(directory: Path, seconds: float) -> dict[str, Cost]:
    """The cost of each process over so many seconds, from the start of a Vigie to its end."""
    home, log = Home(directory / "vigie"), directory / "up.log"
    command = [sys.executable, "-m", "vigie_standalone", "up", "--json-logs", "--port", str(free_port())]
    with log.open("wb") as output:
        up = subprocess.Popen([*command, "--data-dir", str(home.directory)], stdout=output, stderr=subprocess.STDOUT)
    try:
        run = eventually_sync(lambda: _settled(home, log), START_S, interval=0.5)
        time.sleep(SETTLE_S)
        return costs({"vigie up": run.pid, **run.processes}, seconds)
    finally:
        up.terminate()
        try:
            up.wait(STOP_S)
        except subprocess.TimeoutExpired:
            up.kill()
            up.wait()


def _settled(home: Home, log: Path) -> Run | None:
    run = home.running()
    return run if run and run.processes and b"the past is filled in" in log.read_bytes() else None
