"""`python -m vigie_api`: read the settings, serve."""

from __future__ import annotations

from vigie_web.process import process
from vigie_web.server import serve

from vigie_api.app import create_app
from vigie_api.settings import ApiSettings


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with process("api", ApiSettings) as settings:
        serve(create_app(settings), settings, settings.api_host, settings.api_port)


if __name__ == "__main__":
    main()
