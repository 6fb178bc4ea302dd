"""`python -m vigie_push`: read the settings, serve."""

from __future__ import annotations

from vigie_web.process import process
from vigie_web.server import serve

from vigie_push.app import create_app
from vigie_push.settings import PushSettings


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with process("push", PushSettings) as settings:
        serve(create_app(settings), settings, settings.push_host, settings.push_port, settings.push_connections)


if __name__ == "__main__":
    main()
