"""A target that is always well and notes when it was asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar


class Shop:
    """`asked`: how often; `longest_gap`: seconds between two questions, at most."""

    LONGEST_GAP_S: ClassVar[float] = 15.0
    """A prober that stops gives its targets away at once; its successor needs a rebalance."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self.longest_gap = 0.0
        self._last: float | None = None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """200 to everything."""
        await reader.readuntil(b"\r\n\r\n")
        now = time.monotonic()
        self.longest_gap = max(self.longest_gap, now - (now if self._last is None else self._last))
        self._last = now
        self.asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def shop() -> AsyncIterator[Shop]:
    """Listens on a free port of this machine while the block runs."""
    made = Shop()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/health"
    async with server:
        yield made
