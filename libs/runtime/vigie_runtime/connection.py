"""A connection of the HTTP server that needs one system call per answer."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LARGE: Final = 16 * 1024
"""Bytes in one write that are not held back: they would only wait in memory."""


class JoinedWrites:
    """A transport that sends everything written within one turn of the event loop at once.

    uvicorn writes head and body of an answer apart and uvloop sends every write immediately: a second system call for
    each answer, which costs about as much as judging a single metric.
    """

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send with the other writes of this turn, or now when it is much."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        if len(data) >= _LARGE:
            self._flush()

    def close(self) -> None:
        """Send what is held, then close as the transport does."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close and drop what is held."""
        self._held = []
        self._transport.abort()

    def is_closing(self) -> bool:
        """As the transport's; here because every answer asks."""
        return self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        held, self._held = self._held, []
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection over `JoinedWrites`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop."""
        super().connection_made(cast("asyncio.Transport", JoinedWrites(transport, self.loop)))
