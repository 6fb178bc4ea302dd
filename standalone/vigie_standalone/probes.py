"""Asking our own services without a client library: it is asked while the machine is busy starting."""

import http
import http.client
import ssl
import urllib.parse
from collections.abc import Callable

TIMEOUT_S = 3.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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


def fetch(url: str, limit: int) -> str:
    """The text of a GET, at most `limit` bytes. Raises OSError for any other answer than 200, and for none."""
    parts = urllib.parse.urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "127.0.0.1", parts.port)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise ConnectionError(f"GET {url} was answered {answer.status}")
        return answer.read(limit).decode(errors="replace")
    except http.client.HTTPException as error:
        raise ConnectionError(f"GET {url}: {error!r}") from error
    finally:
        connection.close()


def trust(url: str) -> ssl.SSLContext:
    """For a client of ours. On the loopback nobody stands in between, and a certificate seldom names it."""
    return _unverified() if urllib.parse.urlsplit(url).hostname in LOOPBACK else ssl.create_default_context()


def _unverified() -> ssl.SSLContext:
    """Without the authorities of the system, which are five megabytes in a process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    # A certificate seldom names the loopback; nothing secret is said here.
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=_unverified())
