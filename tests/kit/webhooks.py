"""A receiver of webhooks in this process: what came, when, and in which order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Delivery:
    """One request that was answered with 200."""

    id: str
    """Of the notification: the same at every attempt."""
    at: float
    """Seconds of `time.monotonic` when all of it was there."""
    headers: dict[str, str]
    """By name in lower case."""
    payload: dict[str, Any]
    """Alertmanager's version 4."""

    @property
    def alerts(self) -> list[tuple[str, dict[str, str]]]:
        """Status and labels of each."""
        return [(one["status"], one["labels"]) for one in self.payload["alerts"]]


@dataclass
class Receiver:
    """`url` takes any POST."""

    url: str
    _deliveries: list[Delivery] = field(default_factory=list[Delivery])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def deliveries(self) -> list[Delivery]:
        """A copy, in the order of arrival."""
        with self._lock:
            return list(self._deliveries)

    def since(self, count: int) -> list[Delivery]:
        """Those after so many."""
        with self._lock:
            return self._deliveries[count:]

    def clear(self) -> None:
        """Forget what came."""
        with self._lock:
            self._deliveries.clear()

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Note a request."""
        at = time.monotonic()
        delivery = Delivery(headers.get("webhook-id", ""), at, headers, json.loads(body))
        with self._lock:
            self._deliveries.append(delivery)


class _Server(ThreadingHTTPServer):
    request_queue_size = 256


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listens on a free port of this machine while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    taken = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
