"""Names of hosts become addresses, by the system's resolver: each lookup in a thread of its own, which a name server
that hangs holds for many seconds and nobody can end. The event loop's few common threads would soon all be held up by
such names, and every other target with them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread
from typing import Final, TypeAlias

from vigie_runtime.errors import Busy

MAX_AT_ONCE: Final = 256
"""Names that are looked up at the same time, a thread each; the same name is looked up once."""
Look: TypeAlias = Callable[[str], list[str]]
"""The addresses of a host. Blocks. Raises OSError, UnicodeError."""


def _look(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Lookups:
    """Those of this process."""

    def __init__(self, most: int = MAX_AT_ONCE, look: Look = _look) -> None:
        self._most, self._look = most, look
        self._under_way: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str, _port: int) -> list[str]:
        """In the resolver's order. Raises OSError, UnicodeError, and Busy when too many names are looked up already."""
        with suppress(ValueError):
            return [str(ip_address(host))]
        under_way = self._under_way.get(host)
        if under_way is None:
            if len(self._under_way) >= self._most:
                raise Busy("names of hosts are looked up")
            under_way = self._begin(host)
        # Who is not patient any more leaves the others' lookup alone.
        return await asyncio.shield(under_way)

    def _begin(self, host: str) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        made: asyncio.Future[list[str]] = loop.create_future()

        def end(found: list[str] | Exception) -> None:
            del self._under_way[host]
            if isinstance(found, Exception):
                made.set_exception(found)
                made.exception()  # perhaps nobody waits any more
            else:
                made.set_result(found)

        def work() -> None:
            try:
                found: list[str] | Exception = self._look(host)
            except (OSError, UnicodeError) as e:
                found = e
            with suppress(RuntimeError):  # the process has ended meanwhile
                loop.call_soon_threadsafe(end, found)

        self._under_way[host] = made
        Thread(target=work, name="lookup", daemon=True).start()  # one that hangs must not hold up the end
        return made
