"""`python -m vigie_api`: read the settings, serve."""

from __future__ import annotations

import uvicorn
from vigie_runtime import logging, tracing
from vigie_runtime.settings import load

from vigie_api.app import create_app
from vigie_api.settings import Settings


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load(Settings)
    logging.configure("api", settings.log_level, settings.log_format)
    stop_tracing = tracing.configure("api")
    try:
        uvicorn.run(
            create_app(settings),
            host=settings.api_host,
            port=settings.api_port,
            loop="auto",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, int(settings.shutdown_timeout_s)),
        )
    finally:
        stop_tracing()


if __name__ == "__main__":
    main()
