"""One connection of a probe: to an address that was judged, measured, and closed however the probe ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import cast

from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes import trust
from vigie_healthcheck.probes.base import EXPIRY, Failed, Phases, Question, Way
from vigie_healthcheck.probes.dialling import dial

_MAX_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Wire:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    question: Question
    way: Way

    async def line(self) -> bytes:
        """The next line, without its end. Raises Failed when there is none or it has no end."""
        try:
            return (await self.reader.readuntil(b"\n")).rstrip(b"\r\n")
        except asyncio.IncompleteReadError:
            raise Failed("the connection was closed without an answer") from None
        except asyncio.LimitOverrunError:
            raise Failed("the answer is a line without end") from None

    async def exactly(self, size: int) -> bytes:
        """So many bytes. Raises Failed when the connection ends before."""
        try:
            return await self.reader.readexactly(size)
        except asyncio.IncompleteReadError:
            raise Failed("the connection was closed without an answer") from None

    async def encrypt(self, phases: Phases) -> None:
        """TLS from here on, with the certificate that the target must show. Raises OSError, Failed."""
        if self.reader.at_eof():
            raise Failed("the connection was closed without an answer")
        context, name = _tls(self.question, self.way)
        with _handshake(phases):
            await self.writer.start_tls(context, server_hostname=name)

    def facts(self) -> dict[str, float]:
        """What is known of the connection: when the certificate expires."""
        connection = cast("ssl.SSLObject | None", self.writer.get_extra_info("ssl_object"))
        ends = None if connection is None else trust.expiry(connection)
        return {} if ends is None else {EXPIRY: ends}


@asynccontextmanager
async def connected(
    question: Question, port: int, way: Way, phases: Phases, *, tls: bool = False, alpn: str = ""
) -> AsyncIterator[Wire]:
    """A connection to the host of the question, at its port or else at this one. Raises EgressError, OSError."""
    parts = question.parts()
    port = parts.port or port
    with phases.measure("resolve"):
        addresses = await way.egress.addresses(parts.hostname or "", port)
    with phases.measure("connect"):
        socket = await dial(addresses, port)
    try:
        if tls:
            context, name = _tls(question, way, alpn)
            with _handshake(phases):
                opened = await asyncio.open_connection(sock=socket, limit=_MAX_LINE, ssl=context, server_hostname=name)
        else:
            opened = await asyncio.open_connection(sock=socket, limit=_MAX_LINE)
    except BaseException:
        socket.close()
        raise
    try:
        yield Wire(*opened, question, way)
    finally:
        # Not close(): that waits for the other side's goodbye, which a server that hangs never says.
        opened[1].transport.abort()


def _tls(question: Question, way: Way, alpn: str = "") -> tuple[ssl.SSLContext, str]:
    """The context, and the name that the certificate must be for."""
    name = question.options.get("serverName") or question.parts().hostname or ""
    return way.trust.context(verify=question.verify, alpn=alpn), name


@contextmanager
def _handshake(phases: Phases) -> Iterator[None]:
    with phases.measure("tls"):
        try:
            yield
        except ssl.SSLError:  # some are ValueErrors too
            raise
        except ValueError:  # a name that TLS cannot ask for
            raise Failed("the name of the host cannot stand in a certificate", Verdict.UNKNOWN) from None
