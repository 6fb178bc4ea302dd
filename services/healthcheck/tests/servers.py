"""Servers that do what targets do wrong, inside the process of the test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """`open`: connections that have not ended on the server's side. `arrived`: there was one."""

    def __init__(self, handler: Handler) -> None:
        self.handler, self.open, self.port, self.arrived = handler, 0, 0, asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.arrived.set()
        task = asyncio.ensure_future(self.handler(reader, writer))
        gone = asyncio.ensure_future(self.until_gone(writer))
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                with suppress(OSError):
                    task.result()
                    writer.close()
        finally:
            task.cancel()
            gone.cancel()
            writer.transport.abort()
            self.open -= 1

    @staticmethod
    async def until_gone(writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await writer.wait_closed()

    async def closed(self) -> bool:
        """Whether all connections end within a second."""
        for _ in range(100):
            if self.open == 0:
                return True
            await asyncio.sleep(0.01)
        return False


@asynccontextmanager
async def server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    made = Server(handler)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()


async def hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(1024):
        pass


async def drips(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while True:
        writer.write(b"a")
        await asyncio.sleep(0.02)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(TimeoutError):  # some protocols begin with the server
        await asyncio.wait_for(reader.read(1), 0.05)
    writer.transport.abort()


async def floods(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def babbles(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _turn in range(8):
        writer.write(b"~" * 65536)
        await writer.drain()


def says(*answers: bytes, first: bytes = b"") -> Handler:
    """Writes `first`, then an answer to each piece that comes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        for answer in answers:
            await reader.read(65536)
            writer.write(answer)
            await writer.drain()

    return handler
