"""`python -m vigie_standalone.self_monitoring --url URL`: measures until SIGTERM. The credential is VIGIE_API_KEY.

The machine itself is reported by its agent, which `vigie up` runs as well.
"""

import argparse
import logging as stdlib_logging
import signal
import sys
import threading

from vigie_client import Client, HostNumbers
from vigie_runtime import logging

from vigie_standalone.probes import trust
from vigie_standalone.self_monitoring.traffic import Traffic

INTERVAL_S = 15.0


def main() -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(description="Measure this machine and Vigie's HTTP traffic.")
    parser.add_argument("--url", required=True, help="the front door")
    url: str = parser.parse_args().url
    logging.configure("self-monitoring", "info")
    stdlib_logging.getLogger("httpx2").setLevel(stdlib_logging.WARNING)  # else a line per request
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    client = Client(url, interval=INTERVAL_S, exit_timeout=2, handle_sigterm=False, verify=trust(url))
    client.add_collector(HostNumbers(client, process="self-monitoring", beside_agent=True).collect)
    client.add_collector(Traffic(client, url).collect)
    with client:
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
