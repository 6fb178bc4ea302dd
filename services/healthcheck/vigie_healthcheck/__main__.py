"""`python -m vigie_healthcheck`: read the settings, serve."""

from __future__ import annotations

from vigie_web.process import process
from vigie_web.server import serve

from vigie_healthcheck.app import create_app
from vigie_healthcheck.settings import HealthcheckSettings


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with process("healthcheck", HealthcheckSettings) as settings:
        serve(create_app(settings), settings, settings.healthcheck_host, settings.healthcheck_port)


if __name__ == "__main__":
    main()
