"""`python -m tests.chaos --kills 100`: exit code 0 when the sums are exact, 1 when anything differs."""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Options, report, run


def main() -> int:
    """Run once and print the ledger."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how many processes are killed or stopped")
    parser.add_argument("--seed", type=int, help="repeat the choices of an earlier run")
    parser.add_argument("--minutes", type=float, default=12.0, help="the kills must fit into this time")
    parser.add_argument("--clusters", action="store_true", help="three brokers and a three-member replica set")
    parser.add_argument("--rate", type=float, default=30.0, help="requests per second")
    parser.add_argument("--keep", type=Path, help="directory for data and logs, kept afterwards")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31) if arguments.seed is None else arguments.seed
    options = Options(arguments.kills, seed, arguments.minutes, clusters=arguments.clusters, rate=arguments.rate)
    directory = (arguments.keep or Path(tempfile.mkdtemp(prefix="vigie-chaos-"))).resolve()
    result = asyncio.run(run(options, directory, lambda line: print(line, flush=True)))
    print(report(result))
    if arguments.keep is None and result.passed:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"data and logs: {directory}")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
