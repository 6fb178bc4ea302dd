"""One attempt of one request over HTTP: bounded in time and in what it reads, and it never raises."""

from __future__ import annotations

import gzip
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Protocol

import httpx2 as httpx

MAX_ANSWER_BYTES = 1024 * 1024
_GZIP_ABOVE = 1024
_GZIP_LEVEL = 3  # twice as fast as the default, and metrics repeat themselves so much that it costs little
# No byte was sent: the connection could not be made.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpFailure:
    """There was none. `sent` is false when it is certain that the server got nothing."""

    reason: str
    sent: bool


class Transport(Protocol):
    """What a sender needs."""

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> HttpResponse | HttpFailure:
        """One attempt. `timeout` in seconds is for all of it. Never raises."""
        ...

    def close(self) -> None:
        """Close connections; the next `post` opens new ones."""
        ...


class HttpTransport:
    """Over one kept connection. For one thread at a time."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        verify: ssl.SSLContext | bool = True,
        compress: bool = True,
    ) -> None:
        """`url` is the front door or the gateway, a path prefix included. Raises ValueError for what is no such URL,
        and for a key that cannot be in a header."""
        self._url = base_url(url)
        self._verify = verify
        self._compress = compress
        self._headers = {
            "user-agent": f"vigie-client/{_version()}",
            "content-type": "application/json",
            "accept-encoding": "identity",
        }
        if api_key is not None:
            if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
                raise ValueError("api_key must be visible ASCII characters without spaces")
            self._headers["authorization"] = f"Bearer {api_key}"
        self._client: httpx.Client | None = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> HttpResponse | HttpFailure:
        """One attempt."""
        return self._attempt("POST", path, body, headers, timeout)

    def get(self, path: str, headers: Mapping[str, str], timeout: float) -> HttpResponse | HttpFailure:
        """One attempt. Never raises."""
        return self._attempt("GET", path, b"", headers, timeout)

    def _attempt(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> HttpResponse | HttpFailure:
        try:
            return self._ask(method, path, body, headers, timeout)
        except _NEVER_SENT as error:
            return HttpFailure(_reason(error), sent=False)
        except Exception as error:  # noqa: BLE001  # whatever a proxy, TLS or the network does, nobody above may fail
            self.close()
            return HttpFailure(_reason(error), sent=True)

    def close(self) -> None:
        """Close connections."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> HttpResponse:
        if self._client is None:
            self._client = httpx.Client(headers=self._headers, verify=self._verify, follow_redirects=False)
        deadline = time.monotonic() + timeout
        own = dict(headers)
        if self._compress and len(body) > _GZIP_ABOVE:
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
            own["content-encoding"] = "gzip"
        with self._client.stream(method, self._url + path, content=body, headers=own, timeout=timeout) as answer:
            read = bytearray()
            for chunk in answer.iter_raw():
                read += chunk
                if len(read) > MAX_ANSWER_BYTES:
                    raise ValueError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > deadline:  # the timeout of the library is for each read alone
                    raise TimeoutError(f"the answer took longer than {timeout:g} s")
            return HttpResponse(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, bytes(read))


def base_url(url: str) -> str:
    """Without the slash at its end. Raises ValueError."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError(f"{url!r} is no URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError(f"{url!r} must be like http://vigie.example.com:3000")
    if parsed.query or parsed.fragment or parsed.userinfo:
        raise ValueError("the URL must not have a query, a fragment or a password; a key goes to api_key")
    return url.rstrip("/")


@cache
def _version() -> str:
    return metadata.version("vigie-client")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
