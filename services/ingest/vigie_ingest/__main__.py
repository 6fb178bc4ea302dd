"""`python -m vigie_ingest`: read the settings, serve."""

from __future__ import annotations

import uvicorn
from vigie_runtime import logging, tracing
from vigie_runtime.settings import load

from vigie_ingest.app import create_app
from vigie_ingest.settings import IngestSettings


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load(IngestSettings)
    logging.configure("ingest", settings.log_level, settings.log_format)
    stop_tracing = tracing.configure("ingest")
    try:
        uvicorn.run(
            create_app(settings),
            host=settings.ingest_host,
            port=settings.ingest_port,
            loop="auto",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=settings.ingest_max_connections,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, int(settings.shutdown_timeout_s)),
        )
    finally:
        stop_tracing()


if __name__ == "__main__":
    main()
