"""`python -m vigie_aggregator`: count samples until told to stop."""

from __future__ import annotations

import sys

from vigie_runtime import logging, settings, tracing
from vigie_runtime.lifespan import run_worker

from vigie_aggregator.app import SERVICE, Aggregator
from vigie_aggregator.settings import Settings


def main() -> int:
    """The exit code: 0 after a clean stop."""
    if sys.platform != "win32":
        import uvloop

        uvloop.install()
    configured = settings.load(Settings)
    logging.configure(SERVICE, configured.log_level, configured.log_format)
    end_tracing = tracing.configure(f"vigie-{SERVICE}")
    try:
        return run_worker(Aggregator(configured), shutdown_timeout_s=configured.shutdown_timeout_s)
    finally:
        end_tracing()


if __name__ == "__main__":
    raise SystemExit(main())
