"""`python -m vigie_aggregator`: count samples until told to stop."""

from __future__ import annotations

import gc
import sys
from typing import Final

import numpy.ma  # noqa: F401  # pyright: ignore[reportUnusedImport] - else the first commit loads it: 0.2 s
from vigie_runtime import logging, settings, tracing
from vigie_runtime.lifespan import run_worker

from vigie_aggregator.app import Aggregator
from vigie_aggregator.metrics import SERVICE
from vigie_aggregator.settings import Settings

_YOUNG_OBJECTS: Final = 20_000


def main() -> int:
    """The exit code: 0 after a clean stop."""
    if sys.platform != "win32":
        import uvloop

        uvloop.install()
    configured = settings.load(Settings)
    logging.configure(SERVICE, configured.log_level, configured.log_format)
    end_tracing = tracing.configure(f"vigie-{SERVICE}")
    aggregator = Aggregator(configured)
    _tune_garbage_collection()
    try:
        return run_worker(aggregator, shutdown_timeout_s=configured.shutdown_timeout_s)
    finally:
        end_tracing()


def _tune_garbage_collection() -> None:
    """Records and documents hold no cycles, so collections find next to nothing; by default there is one per 700
    objects, and each full one walks all modules while nothing is counted."""
    gc.collect()
    gc.freeze()  # what was imported lives as long as the process
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


if __name__ == "__main__":
    raise SystemExit(main())
