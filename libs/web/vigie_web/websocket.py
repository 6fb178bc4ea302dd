"""A WebSocket connection of the HTTP server: bounded in all that a stranger may do with it, with an end that arrives.

It stands on parts of uvicorn and websockets that are not documented; `tests/test_websocket.py` fails when one of them
changes. Nothing of a request is logged: its address may hold a token.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from vigie_web.close_codes import CloseCode, Closing

_WIRE: Final = "vigie.wire"
BURST: Final = 4
"""Seconds' worth of messages that may come at once."""
CLOSED_PER_S: Final = 1_000
"""Connections that are ended in a second when the process stops: their clients come to another one at once."""
MOST_SPREAD_S: Final = 10.0
"""However many they are: the process has to stop."""
LINGER_S: Final = 3.0
LINGER_BYTES: Final = 32 * 1024 * 1024
"""How long, and how much, the rest of a client's data is read and dropped: closing with bytes unread resets the
connection, and the client loses the code that says why."""
_AT_ONCE: Final = 64 * 1024
"""Bytes of one write, unless a single message is longer."""
_SILENT_LINGER_S: Final = 0.5
"""Of a client that reads nothing, or is not there any more."""
_quiet: Final = logging.getLogger("vigie_web.websocket")
_quiet.setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """What one connection may do."""

    message_bytes: int = 64 * 1024
    messages_per_s: int = 50
    """Of the client, pings, pongs and parts of messages among them; four seconds' worth at once."""
    heartbeat_s: float = 25.0
    """Between two pings; who does not answer within as long is gone."""
    write_timeout_s: float = 20.0
    """Who reads nothing for so long is disconnected."""


class WebSocket(WebSocketsSansIOProtocol):
    """uvicorn's connection, without the compression of messages, which would be a bomb for one of the two sides."""

    limits: ClassVar[WebSocketLimits] = WebSocketLimits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = self.conn.logger = _quiet
        self.conn.debug = False
        self._budget = float(BURST * self.limits.messages_per_s)
        self._counted = self.loop.time()
        self._dropped: int | None = None
        """Bytes since the end; None before it."""
        self._asked, self.app = self.app, self._run
        self._then: Callable[[], Awaitable[None]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the HTTP connection that it takes the place of, with its transport: ours joins writes itself."""
        super().connection_made(getattr(transport, "raw", transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop, like all that follow."""
        super().connection_lost(exc)
        self.conn.events.clear()

    def data_received(self, data: bytes) -> None:
        if self._dropped is not None:
            self._dropped += len(data)
            if self._dropped > LINGER_BYTES:
                self.transport.abort()
            return
        super().data_received(data)
        if not self.handshake_initiated:  # a head that is longer than websockets reads: it has an answer ready
            self._flush()
            self.close_sent = True
            self._drop_rest(LINGER_S)

    def handle_events(self) -> None:
        if self.handshake_initiated and not self._may(len(self.conn.events)):
            self.conn.events.clear()
            self.end(Closing(CloseCode.TOO_MANY, f"more than {self.limits.messages_per_s} messages a second"))
            return
        super().handle_events()

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            cast("dict[str, Any]", self.scope)["extensions"][_WIRE] = self

    def handle_ping(self) -> None:
        """A client that does not read gets no answers either."""
        output = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(output))

    def handle_parser_exception(self) -> None:
        """What is no WebSocket, or too long: `conn` has the close frame ready."""
        sent = self.conn.close_sent
        code, reason = (1006, "") if sent is None else (sent.code, sent.reason)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.stop_keepalive()
        self._flush()
        self.close_sent = True
        self._drop_rest(LINGER_S)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.end(Closing(CloseCode.NOT_TEXT, "a message is not UTF-8"))
                return
        super().send_receive_event_to_app()

    def start_keepalive(self) -> None:
        """Called once the connection is accepted: what it was asked with is not needed any more."""
        super().start_keepalive()
        self.request.headers.clear()  # the parser still holds the request
        del self.request, self.response

    def keepalive_timeout(self) -> None:
        self.pong_timer = None
        self.end(Closing(CloseCode.IDLE, "no answer to a ping"), _SILENT_LINGER_S)

    def shutdown(self) -> None:
        """Called when the process stops. Not all at the same time: they come back together elsewhere."""
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
            return
        going = Closing(CloseCode.GOING_AWAY, "the service stops: connect again")
        self.loop.call_later(moment(len(self.connections)), self.end, going)

    async def send(self, message: Any) -> None:
        """As ASGI says; but a close never waits for the client."""
        if message["type"] == "websocket.close" and self.handshake_complete:
            self.end(Closing(message.get("code") or 1000, message.get("reason") or ""))
            return
        await super().send(message)

    async def send_texts(self, texts: Sequence[bytes]) -> None:
        """Send text messages, UTF-8 already, in few writes. Waits while the client does not read; raises
        ClientDisconnected, an OSError, when it has gone or did not read in time."""
        waiting: list[bytes] = []
        size = 0
        for text in texts:
            waiting += (_head(len(text)), text)
            size += len(text)
            if size >= _AT_ONCE:  # a client that does not read costs no more than that, and the buffer of its socket
                await self._write(waiting)
                waiting, size = [], 0
        if waiting:
            await self._write(waiting)

    async def _write(self, parts: Sequence[bytes]) -> None:
        if not self.writable.is_set():
            try:
                async with asyncio.timeout(self.limits.write_timeout_s):
                    await self.writable.wait()
            except TimeoutError:
                self.end(Closing(CloseCode.TRY_LATER, "nothing is read of what is sent"), _SILENT_LINGER_S)
        if self.disconnected or self.close_sent:
            raise ClientDisconnected
        self.transport.write(b"".join(parts))

    def then(self, work: Callable[[], Awaitable[None]]) -> None:
        """What the connection lives for, when it is accepted: done after the app has returned, so that nothing of what
        is around an app, nor of the request, is kept for as long."""
        self._then = work

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        await self._asked(scope, receive, send)
        if self._then is not None:
            scope.clear()
            del scope, receive, send
            work, self._then = self._then, None
            await work()

    def end(self, closing: Closing, linger_s: float = LINGER_S) -> None:
        """Close at once, whoever reads or not; the app is told. What the client still sends is dropped."""
        if self.close_sent or self.transport.is_closing():
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(closing.code), "reason": closing.short})
        self.conn.fail(closing.code, closing.short)
        self._flush()
        self.close_sent = True
        self._drop_rest(linger_s)

    def _may(self, frames: int) -> bool:
        now, rate = self.loop.time(), self.limits.messages_per_s
        self._budget = min(float(BURST * rate), self._budget + (now - self._counted) * rate) - frames
        self._counted = now
        return self._budget >= 0

    def _flush(self) -> None:
        if output := b"".join(self.conn.data_to_send()):
            self.transport.write(output)

    def _drop_rest(self, linger_s: float) -> None:
        self._dropped = 0
        if self.transport.is_closing():
            return
        self.frames = []
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(linger_s, self.transport.abort)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()


def moment(connections: int) -> float:
    """When one of so many connections is ended, seconds from the stop of the process."""
    return random.random() * min(connections / CLOSED_PER_S, MOST_SPREAD_S)


def _head(length: int) -> bytes:
    """Of a frame that holds a whole text."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


def wire_of(scope: Mapping[str, Any]) -> WebSocket:
    """The connection behind an ASGI scope, for its `send_texts` and `end`."""
    return scope["extensions"][_WIRE]


def websocket(limits: WebSocketLimits) -> type[WebSocket]:
    """`WebSocket` of a server with these limits."""
    return type("LimitedWebSocket", (WebSocket,), {"limits": limits})
