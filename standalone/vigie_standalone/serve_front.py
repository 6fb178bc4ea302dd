"""`python -m vigie_standalone.serve_front --port 3000`: the front door as a process."""

import argparse
from pathlib import Path


def main() -> None:
    """Serve all HTTP services on one port until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument(
        "--forward", action="append", default=[], metavar="SERVICE=URL", help="a service that runs in another process"
    )
    parser.add_argument("--inbox", type=Path, help="where the caught messages are; unset: none are caught")
    arguments = parser.parse_args()

    from vigie_api.app import create_app as create_api
    from vigie_api.settings import ApiSettings
    from vigie_contracts.paths import Service
    from vigie_ingest.app import create_app as create_ingest
    from vigie_ingest.settings import IngestSettings
    from vigie_push.app import create_app as create_push
    from vigie_push.settings import PushSettings
    from vigie_runtime import logging, settings, tracing
    from vigie_web.server import serve

    from vigie_standalone.forward import Forwarded
    from vigie_standalone.front import FrontDoor
    from vigie_standalone.inbox.mailbox import Mailbox

    ingest, api, push = settings.load(IngestSettings), settings.load(ApiSettings), settings.load(PushSettings)
    logging.configure("front", ingest.log_level, ingest.log_format)
    stop_tracing = tracing.configure("front")
    front = FrontDoor(
        create_ingest(ingest),
        create_api(api),
        push=create_push(push),
        forwarded={Service(name): Forwarded(url) for name, _, url in (one.partition("=") for one in arguments.forward)},
        inbox=Mailbox(arguments.inbox) if arguments.inbox else None,
        ingest_metrics=ingest.ingest_metrics_path,
    )
    try:
        connections = ingest.ingest_max_connections + push.push_connections
        serve(front, ingest, arguments.host, arguments.port, connections, websockets=push.websockets)
    finally:
        stop_tracing()


if __name__ == "__main__":
    main()
