"""`python -m vigie_standalone.serve_front --port 3000`: the front door as a process."""

import argparse
import sys


def main() -> None:
    """Serve ingest and api on one port until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    arguments = parser.parse_args()

    import uvicorn
    import vigie_api.app
    import vigie_api.settings
    import vigie_ingest.app
    import vigie_ingest.settings
    from vigie_runtime import logging, settings

    from vigie_standalone.front import FrontDoor

    ingest = settings.load(vigie_ingest.settings.Settings)
    api = settings.load(vigie_api.settings.Settings)
    logging.configure("front", "info", "json")
    app = FrontDoor(vigie_ingest.app.create_app(ingest), vigie_api.app.create_app(api))
    config = uvicorn.Config(
        app,
        host=arguments.host,
        port=arguments.port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=10,
        backlog=4096,
    )
    server = uvicorn.Server(config)
    server.run()
    sys.exit(0 if server.started else 1)


if __name__ == "__main__":
    main()
