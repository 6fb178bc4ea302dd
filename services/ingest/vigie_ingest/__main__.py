"""`python -m vigie_ingest`: read the settings, serve."""

from __future__ import annotations

from vigie_web.process import process
from vigie_web.server import serve

from vigie_ingest.app import create_app
from vigie_ingest.settings import IngestSettings


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with process("ingest", IngestSettings) as settings:
        serve(
            create_app(settings), settings, settings.ingest_host, settings.ingest_port, settings.ingest_max_connections
        )


if __name__ == "__main__":
    main()
