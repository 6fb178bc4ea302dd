"""Questions of one datagram: sent again until they are answered, to an address that was judged."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from vigie_healthcheck.probes.base import Phases, Question, Way

AGAIN_S: Final = 1.0
"""A datagram may be lost: after so long it is sent once more."""
_MAX_BYTES: Final = 65_535
T = TypeVar("T")


class Datagrams:
    """A connected socket: only what its other side sends arrives."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    async def ask(self, data: bytes, read: Callable[[bytes], T | None]) -> T:
        """The first answer that `read` takes; it returns None for datagrams that are none. Waits until it comes."""
        loop = asyncio.get_running_loop()
        while True:
            await loop.sock_sendall(self._socket, data)
            try:
                async with asyncio.timeout(AGAIN_S):
                    while True:
                        answer = read(await loop.sock_recv(self._socket, _MAX_BYTES))
                        if answer is not None:
                            return answer
            except TimeoutError:
                continue


@asynccontextmanager
async def datagrams(
    question: Question,
    port: int,
    way: Way,
    phases: Phases,
    make: Callable[[int], socket.socket] = lambda family: socket.socket(family, socket.SOCK_DGRAM),
) -> AsyncIterator[Datagrams]:
    """To the first address of the host that there is a way to. `make`: a socket of a family. Raises EgressError,
    OSError."""
    parts = question.parts()
    port = parts.port or port
    with phases.measure("resolve"):
        addresses = await way.egress.addresses(parts.hostname or "", port)
    with phases.measure("connect"):
        connected = _first(addresses, port, make)
    try:
        yield Datagrams(connected)
    finally:
        connected.close()


def _first(addresses: list[str], port: int, make: Callable[[int], socket.socket]) -> socket.socket:
    failed: OSError | None = None
    for address in addresses:
        try:
            made = make(socket.AF_INET6 if ":" in address else socket.AF_INET)
        except OSError as e:  # this machine does not speak IPv6
            failed = e
            continue
        try:
            made.setblocking(False)
            made.connect((address, port))  # says only to whom: nothing is waited for
        except OSError as e:
            made.close()
            failed = e
        else:
            return made
    raise failed or OSError
