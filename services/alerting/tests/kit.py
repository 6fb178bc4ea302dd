"""Real receivers for notifiers: a web server and a mail server that record what comes and answer as they are told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

MAX_REQUEST = 4 << 20


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    """An HTTP answer; `_` in the names of headers stands for `-`."""

    async def write(writer: asyncio.StreamWriter) -> None:
        fields = {
            "Content-Length": str(len(body)),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body)
        await writer.drain()

    return write


async def hang(writer: asyncio.StreamWriter) -> None:
    """No answer, for as long as the other side waits."""
    await writer.wait_closed()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte of the answer's head now and then: never silent, never done."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def drop(writer: asyncio.StreamWriter) -> None:
    """The connection ends without an answer."""
    writer.close()


def huge(status: int, mebibytes: int = 10) -> Answer:
    """A body that would fill the memory of whoever reads it whole."""

    async def write(writer: asyncio.StreamWriter) -> None:
        size = mebibytes << 20
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size >> 16):
            writer.write(b"x" * (1 << 16))
            await writer.drain()

    return write


class WebServer:
    """`calls` are the requests so far. `answers` are used up one by one, then `always`."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: list[Answer] = []
        self.always: Answer = answer(200, b"ok")
        self.open_now = 0
        self.most_open = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, tls: ssl.SSLContext | None = None) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls, limit=MAX_REQUEST)
        return self

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.sockets[0].getsockname()[1]

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while not writer.is_closing():
                self.calls.append(await self._read(reader))
                self.open_now += 1
                self.most_open = max(self.most_open, self.open_now)
                try:
                    await (self.answers.pop(0) if self.answers else self.always)(writer)
                finally:
                    self.open_now -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> Call:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        return Call(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


@dataclass
class MailServer:
    """A real SMTP server. `refuse` has the answer for a recipient; `data` that to the mail."""

    mails: list[Envelope] = field(default_factory=list[Envelope])
    refuse: dict[str, str] = field(default_factory=dict[str, str])
    data: str = "250 2.0.0 taken"
    hanging: bool = False
    logins: list[bytes] = field(default_factory=list[bytes])
    refuse_login: bool = False
    _server: Any = None

    async def start(self, tls: ssl.SSLContext | None = None, *, implicit: bool = False, login: bool = False) -> Self:
        loop = asyncio.get_running_loop()

        def protocol() -> SMTP:
            return SMTP(
                self, hostname="localhost", tls_context=None if implicit else tls, loop=loop,
                auth_required=login, auth_require_tls=tls is not None and not implicit,
                authenticator=self._authenticate if login else None,
            )  # fmt: skip

        self._server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit else None)
        return self

    @property
    def port(self) -> int:
        return self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.close()

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        if self.hanging:
            await asyncio.sleep(30)  # longer than any deadline of the tests
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.data.startswith("2"):
            self.mails.append(envelope)
        return self.data

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        return AuthResult(success=not self.refuse_login, handled=False)


@dataclass(frozen=True, slots=True)
class Certificate:
    server: ssl.SSLContext
    client: ssl.SSLContext
    """Trusts it, and nothing else."""


def certificate(directory: Path) -> Certificate:
    """For localhost and 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1)).add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, SHA256())
    )  # fmt: skip
    file = directory / "server.pem"
    file.write_bytes(
        made.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return Certificate(server, ssl.create_default_context(cafile=str(file)))
