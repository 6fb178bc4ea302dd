"""A local HTTP server that answers as it is told, remembers what came, and counts a key once, as the gateway does."""

import gzip
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest

DROP_BEFORE, DROP_AFTER = "drop before", "drop after"
"""The connection is cut before the request is taken; after it was taken, but before the answer."""


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    document: Any


@dataclass
class Server:
    """`script`: what the next requests get: a status, (status, headers, body), DROP_BEFORE or DROP_AFTER."""

    url: str = ""
    script: deque[Any] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    counted: list[dict[str, Any]] = field(default_factory=list)
    judge: Callable[[dict[str, Any]], str | None] = lambda item: None
    default: Any = 201
    keys: set[str] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    def sums(self) -> Counter[tuple[str, ...]]:
        """Sum by name and label values."""
        found: Counter[tuple[str, ...]] = Counter()
        for item in self.counted:
            found[item["name"], *(item["labels"][k] for k in sorted(item["labels"]))] += item["value"]
        return found

    def names(self) -> set[str]:
        return {item["name"] for item in self.counted}

    def take(self, request: Received) -> Any:
        """What to answer."""
        with self.lock:
            self.received.append(request)
            told = self.script.popleft() if self.script else self.default
            if told in (201, DROP_AFTER):
                answer = self._count(request)
                return answer if told == 201 else told
            return told

    def _count(self, request: Received) -> Any:
        key = request.headers.get("idempotency-key")
        fresh = key is None or key not in self.keys
        if key is not None:
            self.keys.add(key)
        items = request.document if isinstance(request.document, list) else [request.document]
        errors = [{"index": i, "field": "name", "reason": r} for i, one in enumerate(items) if (r := self.judge(one))]
        bad = {error["index"] for error in errors}
        if fresh:
            self.counted += [item for i, item in enumerate(items) if i not in bad]
        body = {"success": True, "accepted": len(items) - len(bad), "rejected": len(bad), "errors": errors}
        if len(bad) == len(items):
            return (400, {}, {"status": 400, "detail": "none was taken", "errors": errors})
        return (201, {}, body)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            told = server.take(Received(self.path, headers, body, json.loads(plain)))
            if isinstance(told, str):
                self.close_connection = True
                return
            status, extra, document = told if isinstance(told, tuple) else (told, {}, {"detail": "as told"})
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **extra}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(told))
    http.daemon_threads = True
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{http.server_port}"
    yield told
    http.shutdown()
    http.server_close()
    thread.join()
