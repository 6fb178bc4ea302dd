"""The client's side of a login by SCRAM (RFC 5802, 7677): the password is never sent, and the server must know it
too."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

MAX_ITERATIONS: Final = 100_000
"""100,000 are 60 ms of a thread; servers ask for 4,096 to 15,000."""


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The server's words are not those of one that knows the password, or of none at all."""


class Scram:
    """One login. `algorithm`: `sha256`, `sha512`, `sha1`."""

    def __init__(self, algorithm: str, user: str, password: str) -> None:
        self._algorithm, self._password = algorithm, password
        self._nonce = secrets.token_urlsafe(24)
        name = user.replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={self._nonce}"
        self._proved = b""

    def first(self) -> bytes:
        """What is said first."""
        return f"n,,{self._bare}".encode()

    async def final(self, challenge: bytes) -> bytes:
        """The proof that the password is known. Raises Refused."""
        try:
            said = _attributes(challenge)
            nonce, salt, iterations = said["r"], base64.b64decode(said["s"]), int(said["i"])
        except (KeyError, ValueError, binascii.Error):
            raise Refused from None
        if not nonce.startswith(self._nonce) or not 0 < iterations <= MAX_ITERATIONS:
            raise Refused
        bare = f"c=biws,r={nonce}"
        signed = ",".join((self._bare, challenge.decode(), bare)).encode()
        password = self._password.encode()
        salted = await asyncio.to_thread(hashlib.pbkdf2_hmac, self._algorithm, password, salt, iterations)
        key = self._mac(salted, b"Client Key")
        signature = self._mac(hashlib.new(self._algorithm, key).digest(), signed)
        self._proved = self._mac(self._mac(salted, b"Server Key"), signed)
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return f"{bare},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, answer: bytes) -> None:
        """Raises Refused unless the server knows the password too."""
        try:
            proved = base64.b64decode(_attributes(answer)["v"])
        except (KeyError, ValueError, binascii.Error):
            raise Refused from None
        if not hmac.compare_digest(proved, self._proved):
            raise Refused

    def _mac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self._algorithm)


def _attributes(message: bytes) -> dict[str, str]:
    """`a=1,b=2`. Raises ValueError."""
    pairs = (part.partition("=") for part in message.decode().split(","))
    return {name: value for name, equals, value in pairs if equals}
