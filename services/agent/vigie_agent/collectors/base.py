"""What a collector is. To add one: a file with its function or class, and its line in the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from vigie_contracts.hosts import MAX_TEXT_CHARS, MAX_UNAVAILABLE, Unavailable

from vigie_agent.configuration import Site

LIMIT_S: Final = 8.0
"""A collector that takes longer is left out of the report: a dead network disk must not silence the rest."""


@dataclass(slots=True)
class Look:
    """One collection: what is asked for, and what could not be read."""

    sites: Sequence[Site] = ()
    service_patterns: Sequence[str] = ()
    unavailable: list[Unavailable] = field(default_factory=list[Unavailable])

    def missing(self, what: str, reason: object) -> None:
        """Say that something cannot be read. `what` is its path in the report."""
        if len(self.unavailable) < MAX_UNAVAILABLE:
            text = " ".join(str(reason).split()) or type(reason).__name__
            self.unavailable.append(Unavailable(what=readable(what), reason=readable(text)))


def readable(text: str) -> str:
    """As text that can be sent: to Linux, names of mounts and interfaces are bytes."""
    return text.encode("utf-8", "replace").decode()[:MAX_TEXT_CHARS]


Parts = Mapping[str, Any]
"""Fields of the report, and what `sites` puts together to parts of it."""


class Collector(Protocol):
    """One part of the report."""

    @property
    def name(self) -> str:
        """The path in the report that is missing when it fails."""
        ...

    async def collect(self, look: Look) -> Parts:
        """Look now. What it raises is a bug, and costs its own part alone."""
        ...


class InThread:
    """A collector that reads files or asks the kernel: in a thread, because either can hang."""

    def __init__(self, name: str, read: Callable[[Look], Parts], threads: Executor, limit_s: float = LIMIT_S) -> None:
        self.name = name
        self._read, self._threads, self._limit_s = read, threads, limit_s
        self._under_way: asyncio.Future[Parts] | None = None

    async def collect(self, look: Look) -> Parts:
        """See `Collector`. While a look hangs, no second one is begun."""
        if self._under_way is not None and not self._under_way.done():
            look.missing(self.name, "the look before this one hangs")
            return {}
        loop = asyncio.get_running_loop()
        future = self._under_way = asyncio.ensure_future(loop.run_in_executor(self._threads, self._read, look))
        await asyncio.wait([future], timeout=self._limit_s)
        if not future.done():
            future.add_done_callback(_forget)
            look.missing(self.name, f"it took longer than {self._limit_s:g} s")
            return {}
        try:
            return future.result()
        except OSError as e:
            look.missing(self.name, e.strerror or e)
            return {}


def _forget(future: asyncio.Future[Parts]) -> None:
    if not future.cancelled():
        future.exception()
