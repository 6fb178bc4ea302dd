"""`python -m vigie_alerting`: read the settings, serve."""

from __future__ import annotations

from vigie_web.process import process, without_garbage_collection

with without_garbage_collection():  # a tenth of what the imports take
    from vigie_web.server import serve

    from vigie_alerting.app import create_app
    from vigie_alerting.settings import AlertingSettings


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with process("alerting", AlertingSettings) as settings:
        serve(create_app(settings), settings, settings.alerting_host, settings.alerting_port)


if __name__ == "__main__":
    main()
