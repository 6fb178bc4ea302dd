"""An issuer of tokens: its keys, and an HTTP server on this machine that serves them and counts who asks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

RSA_KEY = rsa.generate_private_key(65_537, 2_048)
OTHER_RSA_KEY = rsa.generate_private_key(65_537, 2_048)
SMALL_RSA_KEY = rsa.generate_private_key(65_537, 1_024)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, kid: str | None, **more: str) -> dict[str, Any]:
    """The JWK of the public half."""
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    jwk: dict[str, Any] = algorithm.to_jwk(key.public_key(), as_dict=True)
    return {**jwk, **({} if kid is None else {"kid": kid}), **more}


class IssuerServer:
    """`entries` is what it serves; `status` and `raw` make it misbehave; it answers while `open` is set."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.status = 200
        self.raw: bytes | None = None
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await self.open.wait()
            body = self.raw if self.raw is not None else json.dumps({"keys": self.entries}).encode()
            head = f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(body)}\r\nlocation: {self.url}\r\n"
            writer.write(head.encode() + b"connection: close\r\n\r\n" + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the one who asked has gone away
        finally:
            writer.close()


@asynccontextmanager
async def issuer_server() -> AsyncIterator[IssuerServer]:
    """Serve while the context is entered."""
    issuer = IssuerServer()
    server = await asyncio.start_server(issuer.answer, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
    try:
        yield issuer
    finally:
        issuer.open.set()
        server.close()
