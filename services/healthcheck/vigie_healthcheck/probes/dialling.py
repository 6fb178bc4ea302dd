"""A TCP connection to the first of several addresses that takes one (RFC 8305, "happy eyeballs"): a dead address costs
a quarter of a second, not the deadline."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Final

DELAY_S: Final = 0.25
"""How long one address is alone before the next is tried beside it."""
MAX_ADDRESSES: Final = 8


async def dial(addresses: Sequence[str], port: int) -> socket.socket:
    """A connected socket, which is the caller's to close; all others are closed. Raises OSError: the last one's."""
    waiting = deque(interleaved(addresses)[:MAX_ADDRESSES])
    dialling: set[asyncio.Task[socket.socket]] = set()
    failed: BaseException | None = None
    won: asyncio.Task[socket.socket] | None = None
    try:
        while won is None and (waiting or dialling):
            if waiting:
                dialling.add(asyncio.ensure_future(_connect(waiting.popleft(), port)))
            done, dialling = await asyncio.wait(
                dialling, timeout=DELAY_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is not None and not isinstance(error, OSError):
                    raise error
                if error is not None:
                    failed = error
                elif won is None:
                    won = task
                else:
                    dialling.add(task)
    finally:
        for task in dialling:
            task.add_done_callback(_close)
            task.cancel()
    if won is None:
        raise failed or OSError
    return won.result()


def interleaved(addresses: Sequence[str]) -> list[str]:
    """One of each family in turn, beginning with that of the first address."""
    six = [":" in address for address in addresses]
    first = [address for address, is_six in zip(addresses, six, strict=True) if is_six is six[0]]
    second = [address for address, is_six in zip(addresses, six, strict=True) if is_six is not six[0]]
    return [address for address in chain.from_iterable(zip_longest(first, second)) if address is not None]


async def _connect(address: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        await loop.sock_connect(made, (address, port))
    except BaseException:
        made.close()
        raise
    return made


def _close(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
