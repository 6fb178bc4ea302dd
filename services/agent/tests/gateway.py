"""A front door that answers as it is told, and keeps each report once for its host and timestamp, as the real one."""

import gzip
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from time import time
from typing import Any

CUT = "cut"
"""The request is taken, and the connection cut before the answer."""


@dataclass
class Gateway:
    """`script`: what the next requests with reports get: a status, one with a document, or CUT; else they are taken."""

    url: str = ""
    script: deque[Any] = field(default_factory=deque)
    reports: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    repeated: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    configuration: Any = None
    etag: str = '"1"'
    asked: list[int] = field(default_factory=list)
    """Statuses of the answers to who asked for the configuration."""
    refuse: dict[int, str] = field(default_factory=dict)
    """timestamp -> field that is refused."""
    ahead_s: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def take(self, body: bytes) -> tuple[int, Any]:
        with self.lock:
            told = self.script.popleft() if self.script else 201
            if isinstance(told, tuple):
                return told
            if told not in (201, CUT):
                return told, {"detail": f"told to answer {told}"}
            listed = json.loads(body)
            errors = []
            for index, report in enumerate(listed):
                if (wrong := self.refuse.get(report["timestamp"])) is not None:
                    errors.append({"index": index, "field": wrong, "reason": "is refused"})
                    continue
                key = (report["host"], report["timestamp"])
                self.repeated += key in self.reports
                self.reports[key] = report
            self.batches.append(len(listed))
            answer = {"accepted": len(listed) - len(errors), "rejected": len(errors), "errors": errors}
            return (0 if told == CUT else 201 if answer["accepted"] else 422), answer


@contextmanager
def gateway() -> Iterator[Gateway]:
    state = Gateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            status, answer = state.take(body)
            self._answer(status, answer)

        def do_GET(self) -> None:
            if state.configuration is None:
                status = 404
            elif self.headers.get("if-none-match") == state.etag:
                status = 304
            else:
                status = 200
            state.asked.append(status)
            self._answer(status, state.configuration if status == 200 else {"detail": "nothing"}, etag=state.etag)

        def _answer(self, status: int, document: Any, etag: str = "") -> None:
            if status == 0:
                self.close_connection = True
                return
            body = b"" if status == 304 else json.dumps(document).encode()
            self.send_response_only(status)
            self.send_header("date", formatdate(time() + state.ahead_s, usegmt=True))
            self.send_header("content-length", str(len(body)))
            if etag:
                self.send_header("etag", etag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
