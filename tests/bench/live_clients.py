"""Thousands of clients of `/ws` in one event loop, as cheap as they can be: what is measured is the other side."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec

HEAD: Final = (
    b"GET /ws HTTP/1.1\r\nHost: %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
OPENING: Final = 1_000
"""Connections that are being made at a time."""
_decode: Final = msgspec.json.Decoder().decode
OnMessage = Callable[["Client", dict[str, Any], float], None]


class Client(asyncio.Protocol):
    """One connection with one subscription. `ready` once its first message of the topic, the snapshot, is there."""

    def __init__(self, host: bytes, subscribe: dict[str, Any], on_message: OnMessage, *, stuck: bool = False) -> None:
        self._host, self._subscribe, self._on_message, self._stuck = host, subscribe, on_message, stuck
        self._buffer = b""
        self._open = False
        self.cursor: str | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(HEAD % self._host)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._buffer += data
        if not self._open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head:
                raise ConnectionError(head.decode("latin-1"))
            self._open, self._buffer = True, rest
            self._send(0x1, json.dumps(self._subscribe).encode())
        while (frame := self._frame()) is not None:
            opcode, payload = frame
            if opcode == 0x9:
                self._send(0xA, payload)
            elif opcode == 0x1:
                self._message(_decode(payload), now)

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, begin = buffer[1] & 0x7F, 2
        if size == 126:
            size, begin = int.from_bytes(buffer[2:4], "big"), 4
        if len(buffer) < begin + size:
            return None
        self._buffer = buffer[begin + size :]
        return buffer[0] & 0x0F, buffer[begin : begin + size]

    def _message(self, message: dict[str, Any], now: float) -> None:
        kind = message["type"]
        if kind == "error":
            raise ConnectionError(message["message"])
        if (kind == "subscribed" if "after" in self._subscribe else "cursor" in message) and not self.ready.done():
            self.ready.set_result(None)
            if self._stuck and self.transport is not None:
                self.transport.pause_reading()
        if "cursor" in message:
            self.cursor = message["cursor"]
            self._on_message(self, message, now)

    def _send(self, opcode: int, payload: bytes) -> None:
        head = bytes((0x80 | opcode, 0x80 | len(payload))) if len(payload) < 126 else bytes(
            (0x80 | opcode, 0xFE)
        ) + len(payload).to_bytes(2, "big")  # fmt: skip
        if self.transport is not None:
            self.transport.write(head + b"\0\0\0\0" + payload)


async def connect(
    url: str, count: int, subscribe: dict[str, Any], on_message: OnMessage, *, stuck: bool = False
) -> list[Client]:
    """So many, all at once; returns when each has its snapshot, or, with `after` in `subscribe`, its answer."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), int(parts.port or 80)
    opening = asyncio.Semaphore(OPENING)
    loop = asyncio.get_running_loop()

    async def one() -> Client:
        async with opening:
            sock = socket.socket()
            sock.setblocking(False)
            if stuck:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            await loop.sock_connect(sock, (host, port))
            _, client = await loop.create_connection(
                lambda: Client(parts.netloc.encode(), subscribe, on_message, stuck=stuck), sock=sock
            )
            await client.ready
        return client

    return list(await asyncio.gather(*(one() for _ in range(count))))


class Poster:
    """Posts JSON over one connection."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, Any]) -> None:
        """Raises ConnectionError for an answer that is not 2xx."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        reader, writer = self._streams
        content = json.dumps(body).encode()
        writer.write(
            b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (path.encode(), self._parts.netloc.encode(), len(content), content)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        answer = await reader.readexactly(length)
        if head[9:10] != b"2":
            raise ConnectionError(head.decode("latin-1") + answer.decode("latin-1"))
