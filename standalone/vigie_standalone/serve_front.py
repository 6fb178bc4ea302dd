"""`python -m vigie_standalone.serve_front --port 3000`: the front door as a process."""

import argparse


def main() -> None:
    """Serve ingest and api on one port until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    arguments = parser.parse_args()

    from vigie_api.app import create_app as create_api
    from vigie_api.settings import ApiSettings
    from vigie_ingest.app import create_app as create_ingest
    from vigie_ingest.settings import IngestSettings
    from vigie_runtime import logging, settings, tracing
    from vigie_web.server import serve

    from vigie_standalone.front import FrontDoor

    ingest, api = settings.load(IngestSettings), settings.load(ApiSettings)
    logging.configure("front", ingest.log_level, ingest.log_format)
    stop_tracing = tracing.configure("front")
    front = FrontDoor(create_ingest(ingest), create_api(api), ingest_metrics=ingest.ingest_metrics_path)
    try:
        serve(front, ingest, arguments.host, arguments.port, ingest.ingest_max_connections)
    finally:
        stop_tracing()


if __name__ == "__main__":
    main()
