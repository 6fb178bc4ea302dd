"""Is a service ready? Asked without a client library, since it is asked while the machine is busy starting."""

import http.client
import ssl
import urllib.parse
from collections.abc import Callable

TIMEOUT_S = 3.0


def http_ready(url: str) -> Callable[[], bool]:
    """A check: a GET of the URL answers 2xx."""
    parts = urllib.parse.urlsplit(url)

    def check() -> bool:
        connection = _connection(parts.scheme, parts.hostname or "127.0.0.1", parts.port)
        try:
            connection.request("GET", parts.path)
            return 200 <= connection.getresponse().status < 300
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return check


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    unverified = ssl.create_default_context()  # a certificate seldom names the loopback; nothing secret is said here
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=unverified)
