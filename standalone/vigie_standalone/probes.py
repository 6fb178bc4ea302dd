"""Is a service ready? Asked without a client library, since it is asked while the machine is busy starting."""

import http.client
import urllib.parse
from collections.abc import Callable

TIMEOUT_S = 3.0


def http_ready(url: str) -> Callable[[], bool]:
    """A check: a GET of the URL answers 2xx."""
    parts = urllib.parse.urlsplit(url)

    def check() -> bool:
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", parts.path)
            return 200 <= connection.getresponse().status < 300
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return check
