"""Secrets that are stored encrypted: with the newest of several keys, and readable with each of them."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_KEY: Final = re.compile(r"[0-9a-fA-F]{64}\Z")
_ID_BYTES: Final = 4


def parse_keys(text: str) -> list[str]:
    """The keys in a text, the newest first, separated by commas, spaces or line breaks. Raises ValueError, with a
    sentence that does not repeat them."""
    keys = [one for one in re.split(r"[\s,]+", text) if one]
    for place, key in enumerate(keys, 1):
        if not _KEY.match(key):
            raise ValueError(f"key {place} must have 64 hexadecimal digits: make one with openssl rand -hex 32")
    return keys


class Sealing:
    """Fernet (AES-128-CBC, HMAC-SHA256). Without a key nothing is encrypted, and nothing that is can be read."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """`keys` as `parse_keys` gives them."""
        made = [bytes.fromhex(key) for key in keys]
        self._keys = MultiFernet([Fernet(urlsafe_b64encode(key)) for key in made]) if made else None
        self.key_id = blake2b(made[0], digest_size=_ID_BYTES, person=b"vigie-key").hexdigest() if made else ""
        """Of the newest key; empty: there is none."""

    def seal(self, text: bytes) -> bytes:
        """Encrypt with the newest key. Raises ValueError without one."""
        if self._keys is None:
            raise ValueError("there is no key to encrypt with")
        return self._keys.encrypt(text)

    def open(self, sealed: bytes) -> bytes | None:
        """What was encrypted; None where no key fits, or somebody changed it."""
        try:
            return None if self._keys is None else self._keys.decrypt(sealed)
        except InvalidToken:
            return None
