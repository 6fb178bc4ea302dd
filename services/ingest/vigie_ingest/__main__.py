"""`python -m vigie_ingest`: read the settings, serve."""

from __future__ import annotations

import gc
from typing import Final

from vigie_runtime import logging, tracing
from vigie_runtime.settings import load
from vigie_web.server import serve

from vigie_ingest.app import create_app
from vigie_ingest.settings import IngestSettings

_YOUNG_OBJECTS: Final = 20_000


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load(IngestSettings)
    logging.configure("ingest", settings.log_level, settings.log_format)
    stop_tracing = tracing.configure("ingest")
    try:
        app = create_app(settings)
        _tune_garbage_collection()
        serve(app, settings, settings.ingest_host, settings.ingest_port, settings.ingest_max_connections)
    finally:
        stop_tracing()


def _tune_garbage_collection() -> None:
    """Requests leave no cycles behind, so collections find next to nothing. By default there is one per 700 objects,
    which is a dozen requests under way, and each full one walks all modules: a pause for everybody."""
    gc.collect()
    gc.freeze()  # what was imported and built lives as long as the process
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


if __name__ == "__main__":
    main()
