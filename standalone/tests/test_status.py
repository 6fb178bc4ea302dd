"""What `vigie status` says of the machine."""

import os
import subprocess
import sys
from io import StringIO

from rich.console import Console
from vigie_standalone.status import costs, show_costs


def test_process_that_works_costs_more_than_one_that_waits() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    idle = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        found = costs({"busy": busy.pid, "idle": idle.pid, "gone": 2**31 - 1}, look_s=1.0)
    finally:
        for process in (busy, idle):
            process.kill()
            process.wait()
    assert found["busy"].cpu_percent > 2 * found["idle"].cpu_percent
    assert found["busy"].cpu_s > 0
    assert found["idle"].memory_mb > 1
    assert found["gone"].state == "gone"


def test_costs_are_shown_for_each_and_for_all() -> None:
    written = StringIO()
    show_costs(Console(file=written, width=100), {"self": os.getpid(), "lost": 2**31 - 1})
    lines = written.getvalue().splitlines()
    assert lines[0].split() == ["process", "id", "state", "memory", "MB", "cpu", "%", "cpu", "s"]
    assert lines[1].split()[:2] == ["self", str(os.getpid())]
    assert lines[2].split() == ["lost", str(2**31 - 1), "gone"]
    assert float(lines[3].split()[1]) > 10
