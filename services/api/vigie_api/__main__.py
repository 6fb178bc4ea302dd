"""`python -m vigie_api`: read the settings, serve."""

from __future__ import annotations

from vigie_runtime import logging, tracing
from vigie_runtime.settings import load
from vigie_web.server import serve

from vigie_api.app import create_app
from vigie_api.settings import Settings


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load(Settings)
    logging.configure("api", settings.log_level, settings.log_format)
    stop_tracing = tracing.configure("api")
    try:
        serve(create_app(settings), settings, settings.api_host, settings.api_port)
    finally:
        stop_tracing()


if __name__ == "__main__":
    main()
