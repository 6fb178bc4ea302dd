"""`make upgrade-test`: exit code 0 when nothing is lost between the last release and today, 1 when anything differs."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.upgrade.base import BaseNotFoundError, install
from tests.upgrade.run import report, run


def main() -> int:
    """Run once and print the verdict."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("--keep", type=Path, help="new directory for the release, data and logs, kept afterwards")
    arguments = parser.parse_args()
    directory = (arguments.keep or Path(tempfile.mkdtemp(prefix="vigie-upgrade-"))).resolve()
    try:
        release = install(directory / "base")
    except BaseNotFoundError as error:
        print(f"make upgrade-test: {error}", file=sys.stderr)
        return 1
    passed = False
    try:
        result = asyncio.run(run(release, directory, lambda line: print(line, flush=True)))
        passed = result.passed
        print(report(result))
    finally:
        if arguments.keep is None and passed:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"release, data and logs: {directory}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
