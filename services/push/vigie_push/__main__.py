"""`python -m vigie_push`: read the settings, serve."""

from __future__ import annotations

from typing import Final

from vigie_web.process import process
from vigie_web.server import serve

from vigie_push.app import create_app
from vigie_push.settings import PushSettings

SPARE: Final = 1_000
"""Connections beyond the live ones: for those who are told that there are too many, and for health and metrics."""


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with process("push", PushSettings) as settings:
        serve(
            create_app(settings),
            settings,
            settings.push_host,
            settings.push_port,
            settings.push_connections + SPARE,
            websockets=settings.websockets,
        )


if __name__ == "__main__":
    main()
