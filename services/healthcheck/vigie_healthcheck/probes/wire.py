"""One connection of a probe: to an address that was judged, measured, and closed however the probe ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from vigie_healthcheck.probes.base import Failed, Phases, Way

_MAX_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Wire:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def line(self) -> bytes:
        """The next line, without its end. Raises Failed when there is none or it has no end."""
        try:
            return (await self.reader.readuntil(b"\n")).rstrip(b"\r\n")
        except asyncio.IncompleteReadError:
            raise Failed("the connection was closed without an answer") from None
        except asyncio.LimitOverrunError:
            raise Failed("the answer is a line without end") from None

    def expiry(self) -> float | None:
        """When the server's certificate expires, seconds since the Unix epoch; None without TLS."""
        shown = self.writer.get_extra_info("peercert")
        return float(ssl.cert_time_to_seconds(shown["notAfter"])) if shown else None


@asynccontextmanager
async def connected(host: str, port: int, way: Way, phases: Phases, *, tls: bool = False) -> AsyncIterator[Wire]:
    """A connection to the first address that takes one. Raises EgressError, OSError."""
    with phases.measure("resolve"):
        addresses = await way.egress.addresses(host, port)
    with phases.measure("connect"):
        reader, writer = await _first(addresses, port)
    try:
        if tls:
            with phases.measure("tls"):
                await writer.start_tls(way.trust, server_hostname=host)
        yield Wire(reader, writer)
    finally:
        # Not close(): that waits for the other side's goodbye, which a server that hangs never says.
        writer.transport.abort()


async def _first(addresses: list[str], port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    failed: OSError | None = None
    for address in addresses:
        try:
            return await asyncio.open_connection(address, port, limit=_MAX_LINE)
        except OSError as e:
            failed = e
    raise failed or OSError
