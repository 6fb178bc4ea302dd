"""`vigie-agent` and `python -m vigie_agent`."""

from __future__ import annotations

import sys

from vigie_agent.cli import run


def main() -> None:
    """Run the command."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
