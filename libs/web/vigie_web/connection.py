"""A connection of the HTTP server: bounded, with problem documents, and one system call per response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, ClassVar, Final, cast

import msgspec
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from vigie_contracts.problems import CONTENT_TYPE, Problem, ProblemKind, problem
from vigie_runtime.settings import HttpSettings

from vigie_web.request_guard import RequestGuard, trusted_hosts
from vigie_web.security import ALWAYS, shared
from vigie_web.websocket import moment

# Every answer's first line, with the headers that all answers share. 100 Continue is written without it.
_FIRST_LINES: Final = {
    status: line + b"".join(b"%b: %b\r\n" % header for header in ALWAYS)
    for status, line in httptools_impl.STATUS_LINE.items()
}
httptools_impl.STATUS_LINE = _FIRST_LINES

Header = tuple[bytes, bytes]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
STREAM: Final = "vigie.stream"
"""In the scope of a request whose answer has no end by itself: True."""
_CLOSE: Final = (b"connection", b"close")
_LARGE: Final = 16 * 1024
"""Bytes in one write that are not held back: they would only wait in memory."""


class WriteCoalescer:
    """A transport that sends everything written within one turn of the event loop at once.

    uvicorn writes head and body of an answer apart and uvloop sends every write immediately: a second system call for
    each answer, which costs about as much as judging a single metric.
    """

    __slots__ = ("_closed", "_held", "_linger", "_loop", "_transport")

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, linger: Callable[[], bool] = lambda: False
    ) -> None:
        """`linger` is asked at the end: if it says True, it closes the transport later."""
        self._transport = transport
        self._loop = loop
        self._linger = linger
        self._closed = False
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send with the other writes of this turn, or now when it is much."""
        if self._closed:
            return
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        if len(data) >= _LARGE:
            self._flush()

    def close(self) -> None:
        """Send what is held, then close as the transport does."""
        self._flush()
        self._closed = True
        if not self._linger():
            self._transport.close()

    def abort(self) -> None:
        """Close and drop what is held."""
        self._held = []
        self._transport.abort()

    def is_closing(self) -> bool:
        """As the transport's; here because every answer asks."""
        return self._closed or self._transport.is_closing()

    @property
    def raw(self) -> asyncio.Transport:
        """The transport itself, after what is held: for who takes over the connection."""
        self._flush()
        return self._transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        held, self._held = self._held, []
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))


class Cycle(RequestResponseCycle):
    """uvicorn's request with its answer, and a short way for an answer that is complete."""

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> bool:
        """Send the whole answer; False when it has to be sent as usual: to a slow reader, or without its body.

        `headers` are the application's own: lower-case names, a content-length, no transfer-encoding.
        """
        if self.response_started or self.flow.write_paused or self.scope["method"] == "HEAD":
            return False
        if self.disconnected:
            return True
        head = [_FIRST_LINES[status]]
        for name, value in (*self.default_headers, *headers):
            if b"\n" in value or b"\r" in value:
                raise RuntimeError("a header of an answer has more than one line")
            head += (name, b": ", value, b"\r\n")
        if _CLOSE in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            head.append(b"connection: close\r\n")
        head += (b"\r\n", body)
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"".join(head))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True


httptools_impl.RequestResponseCycle = Cycle  # the connection makes them by this name


async def respond(send: Send, status: int, headers: Sequence[Header], body: bytes) -> None:
    """Send an answer that is complete: in one step when nothing stands between the caller and the server."""
    cycle = getattr(send, "__self__", None)
    if isinstance(cycle, Cycle) and cycle.respond(status, headers, body):
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection with what a server needs that strangers talk to: bounds on the head of a request,
    problem documents where uvicorn says a word of text, answers for senders that have closed their side, and an end
    that lets the last answer arrive.

    It stands on parts of uvicorn that are not documented; `tests/test_connection.py` fails when one of them changes.
    """

    app: Any
    full: ClassVar[Any]
    """The app for requests over the limit of connections."""
    guard: ClassVar[RequestGuard] = RequestGuard()
    cycle: Any
    """The newest request with its answer; None before the first."""

    head_timeout_s: ClassVar[float] = 15.0
    """From the connection, or the first byte of a further request, to the end of the headers."""
    head_limit: ClassVar[int] = 64 * 1024
    """Bytes of method, path and headers; and of what comes in a body that is no part of it: trailers."""
    spare: ClassVar[int] = 64
    """Connections over the limit that are told so when they ask; further ones are closed unheard, because each holds a
    descriptor that the process may need for itself."""
    linger_s: ClassVar[float] = 5.0
    linger_bytes: ClassVar[int] = 32 * 1024 * 1024
    """How long, and how much, the rest of a refused request is read and dropped. Closing with bytes unread resets the
    connection, and the sender loses the answer that says why."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop, like all that follow, or by the parser."""
        super().connection_made(cast("asyncio.Transport", WriteCoalescer(transport, self.loop, self._start_to_linger)))
        self._raw = transport
        self._most, self.limit_concurrency = self.limit_concurrency, None  # judged here, with our own answer
        self._wanted = self.app
        self._in_head = True
        self._may_upgrade = False
        self._chunk = self._head_bytes = self._first_chunk = self._beside_body = 0
        self._refusal: Problem | None = None
        self._lingering = self._ended = False
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = self.loop.call_later(self.head_timeout_s, self._late)
        if self._most is not None and len(self.connections) > self._most + self.spare:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._dropped += len(data)
            if self._dropped > self.linger_bytes:
                self._raw.abort()
            return
        self._chunk = len(data)
        self._beside_body += self._chunk
        super().data_received(data)
        if self.parser is None:
            return  # it is a WebSocket's connection now
        if self._in_head:
            self._head_bytes += self._chunk
            if self._head_bytes - self._first_chunk > self.head_limit:
                self._refuse(_HEAD_TOO_LARGE)
        elif self._beside_body > self.head_limit:
            self._refuse(_TRAILERS_TOO_LARGE)
        elif self.cycle is None or not self.cycle.response_complete or self.timeout_keep_alive_task is not None:
            return
        # A head that is not complete, or bytes between requests, which stopped uvicorn's timer for idle connections.
        if self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self.head_timeout_s, self._late)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        # The first chunk may hold the end of another request: what of it is head shows when the head is complete.
        self._head_bytes, self._first_chunk = 0, self._chunk

    def on_body(self, body: bytes) -> None:
        self._beside_body = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        if self._head_bytes + self._chunk > self.head_limit and self._head_length() > self.head_limit:
            self._refusal = _HEAD_TOO_LARGE
            raise ValueError("the headers are too long")  # the parser stops, and `send_400_response` is called
        self._in_head = False
        self._beside_body = 0
        self._stop_timer()
        full = self._most is not None and (len(self.connections) > self._most or len(self.tasks) >= self._most)
        parser = cast("Any", self.parser)
        upgrade = parser.should_upgrade() and super()._should_upgrade()
        refused = self.guard.refusal(parser.get_method(), parser.get_http_version(), self.headers, websocket=upgrade)
        self.app = self.full if full else self._wanted if refused is None else _Refusing(refused)
        self._may_upgrade = upgrade and self.app is self._wanted
        super().on_headers_complete()
        if self.app is not self._wanted:
            self.cycle.keep_alive = False
        if not upgrade:
            self.headers = []  # trailers go here, and are no headers of the request: it was judged without them

    def _should_upgrade(self) -> bool:
        return self._may_upgrade

    def handle_websocket_upgrade(self) -> None:
        """Called when the head of a WebSocket's request is complete. Nothing of this connection stays: the parser and
        it hold each other, and would until the next garbage collection."""
        super().handle_websocket_upgrade()
        self._stop_timer()
        self.parser = self.cycle = self.app = self._wanted = None
        self.headers = []
        self.scope = cast("Any", {})

    def shutdown(self) -> None:
        """Called when the process stops. An answer without an end is ended, its clients not all at the same time."""
        super().shutdown()
        if self.cycle is not None and self.cycle.scope.get(STREAM):
            self.loop.call_later(moment(len(self.connections)), self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """Called when the parser does not understand."""
        self._refuse(self._refusal or _NOT_HTTP)

    def _unsupported_upgrade_warning(self) -> None:
        """Called for an `Upgrade` that is not made, which a server may ignore and then answers as without it: a
        WebSocket's client sees that it was not accepted. uvicorn would tell the operator to install something."""

    def eof_received(self) -> bool:  # type: ignore[override]
        """The sender has closed its side. It still gets the answer to a request that is complete, unless that is
        already on its way, or waits for news: then it is a stream, and whoever read it has left."""
        self._ended = True
        cycle = self.cycle
        if cycle is None or self._lingering or cycle.more_body or cycle.response_started or cycle.scope.get(STREAM):
            return False
        cycle.keep_alive = False
        return True

    def _head_length(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _late(self) -> None:
        self._timer = None
        if self._in_head and self._chunk:
            self._refuse(_HEAD_TOO_LATE)
        else:
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, problem: Problem) -> None:
        """Answer instead of the application, and end the connection."""
        cycle = self.cycle
        if self.transport.is_closing():
            return
        if cycle is not None and not cycle.response_complete:
            answering = cycle.response_started
            cycle.disconnected = True
            cycle.message_event.set()
            if answering:  # ours would end up inside of it
                self.transport.close()
                return
        body = _encode(problem)
        self.transport.write(
            _FIRST_LINES[problem.status]
            + b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (CONTENT_TYPE.encode(), len(body), body)
        )
        self._refusal = problem
        self.transport.close()

    def _start_to_linger(self) -> bool:
        """Whether the sender may still be writing; then the connection is closed when it has ended, or later."""
        unread = self._refusal is not None or (self.cycle is not None and self.cycle.more_body)
        if self._ended or self._lingering or not unread or not self._raw.can_write_eof():
            return False
        self._lingering = True
        self._stop_timer()
        self._raw.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(self.linger_s, self._raw.abort)
        return True


_encode: Final = msgspec.json.Encoder().encode
_HEAD_TOO_LARGE: Final = problem(
    ProblemKind.TOO_LARGE, 431, f"the path and the headers are longer than {Connection.head_limit} bytes together"
)
_TRAILERS_TOO_LARGE: Final = problem(
    ProblemKind.TOO_LARGE, 431, f"the trailers, or a chunk's extensions, are longer than {Connection.head_limit} bytes"
)
_HEAD_TOO_LATE: Final = problem(
    ProblemKind.TIMEOUT, 408, f"the headers did not arrive within {Connection.head_timeout_s:g} s"
)
_NOT_HTTP: Final = problem(ProblemKind.MALFORMED, 400, "this is not a valid HTTP/1.1 request")
_FULL: Final = problem(
    ProblemKind.BUSY,
    503,
    "too many connections are open; nothing of this request was taken, send it again later",
    retry_after=2,
)


class _Refusing:
    """An ASGI app that answers every request with one problem, and ends the connection."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        body = _encode(self._problem)
        headers = [
            (b"content-type", CONTENT_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if self._problem.retry_after is not None:
            headers.append((b"retry-after", str(self._problem.retry_after).encode()))
        await respond(send, self._problem.status, headers, body)


Connection.full = _Refusing(_FULL)


def connection(settings: HttpSettings, host: str) -> type[Connection]:
    """`Connection` of a server that listens on `host`. Its own answers may be read from the origins of the settings,
    where it knows who asks."""
    guard = RequestGuard(settings.origins, trusted_hosts(settings.hosts, host))
    return type("Connection", (Connection,), {"full": staticmethod(shared(_Refusing(_FULL), settings)), "guard": guard})
