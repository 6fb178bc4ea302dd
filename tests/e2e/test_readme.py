"""The README's tour, walked: every command works, and prints what the page shows (up to numbers, times and ids)."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.tour import ORIGIN, README, Step, same, steps, walk
from tests.e2e.up import Up

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(600)]

# They start or stop everything, or run for minutes: other tests do exactly that.
ELSEWHERE = re.compile(r"^\s*(make|git|cd)\b|vigie up|vigie down")


def run(vigie: Up, command: str, variables: Mapping[str, str] | None = None) -> str:
    """The command in a shell, on this test's front door and data directory. `variables`: where servers are that are not
    its own."""
    here = ORIGIN.sub(f"127.0.0.1:{vigie.port}", command)
    environment = {
        **os.environ,
        **(variables or {}),
        "VIGIE_HOME": str(vigie.directory / "home"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        here, shell=True, cwd=README.parent, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}\nended with {done.returncode}: {done.stdout}{done.stderr}"
    assert '"status":5' not in done.stdout.replace(" ", ""), f"{command}\n{done.stdout}"
    return done.stdout


def tour() -> list[Step]:
    """What is walked of the page."""
    found = [step for step in steps(README.read_text(encoding="utf-8")) if not ELSEWHERE.search(step.command)]
    assert len(found) >= 5
    return found


def test_tour_of_the_readme_works_as_printed(tmp_path: Path) -> None:
    vigie = Up(tmp_path, demo=True)  # the page shows the simulator's data too
    try:
        vigie.start()
        for step in tour():
            walk(step, lambda command: run(vigie, command))
    finally:
        vigie.kill()


def test_console_blocks_are_read_as_a_user_reads_them() -> None:
    page = "```console varies\n$ curl -d '{\n> }' \\\n  x\n{\"a\": 1}\n\n$ vigie status\n```\nand\n```sh\nno\n```\n"
    assert steps(page) == [
        Step("curl -d '{\n}' \\\n  x", '{"a": 1}', varies=True),
        Step("vigie status", "", varies=True),
    ]


@pytest.mark.parametrize(
    ("promised", "printed", "equal"),
    [
        ('{"a": 1, "b": [{"c": 2}]}', '{"a": 7, "b": [{"c": 9, "d": 1}], "e": 2}', True),
        ('{"a": 1, "b": 2}', '{"a": 1}', False),
        ("x 3 2026-01-31T12:00:00Z", "x 14 2026-11-21T09:00:00.5Z", True),
        ("x 3\n...\ny", "x 14\nz\ny 5", True),
        ("x 3", "y 3", False),
    ],
)
def test_outputs_are_compared_by_shape(promised: str, printed: str, *, equal: bool) -> None:
    assert same(promised, printed) is equal
