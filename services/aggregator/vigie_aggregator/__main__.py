"""`python -m vigie_aggregator`: count samples until told to stop."""

from __future__ import annotations

import numpy.ma  # noqa: F401  # pyright: ignore[reportUnusedImport] - else the first commit loads it: 0.2 s
from vigie_web.process import process
from vigie_web.worker import work

from vigie_aggregator.app import Aggregator
from vigie_aggregator.metrics import SERVICE
from vigie_aggregator.settings import AggregatorSettings


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with process(SERVICE, AggregatorSettings) as settings:
        work(Aggregator(settings), settings)


if __name__ == "__main__":
    main()
