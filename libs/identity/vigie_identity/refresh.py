"""Refresh tokens: `vr_<session>_<generation>_<mac>`. Each can be verified without being stored.

So a used one that comes again is proof that two parties have the session, and a made-up one ends nobody's session.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from vigie_identity.errors import BadCredential, RefusalReason

_TOKEN: Final = re.compile(r"vr_([0-9a-f]{34})_([0-9]{1,9})_([A-Za-z0-9_-]{43})\Z")


@dataclass(frozen=True, slots=True)
class Generation:
    """The number of a refresh token in its session."""

    session: str
    number: int

    def next(self) -> Generation:
        return Generation(self.session, self.number + 1)


class RefreshTokens:
    """Makes and reads them. The key is derived from the secret of the access tokens; nothing of them is stored."""

    def __init__(self, secret: bytes) -> None:
        self._key = blake2b(secret, digest_size=32, person=b"vigie-refresh").digest()

    def make(self, generation: Generation) -> str:
        return f"vr_{generation.session}_{generation.number}_{self._mac(generation)}"

    def read(self, token: str) -> Generation:
        """Raises BadCredential for a token that we did not make."""
        parts = _TOKEN.match(token)
        if parts is None:
            raise BadCredential(RefusalReason.MALFORMED)
        generation = Generation(parts[1], int(parts[2]))
        if not compare_digest(self._mac(generation), parts[3]):
            raise BadCredential(RefusalReason.SIGNATURE)
        return generation

    def _mac(self, generation: Generation) -> str:
        message = f"{generation.session}_{generation.number}".encode()
        mac = blake2b(message, key=self._key, digest_size=32, person=b"vigie-refresh").digest()
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
