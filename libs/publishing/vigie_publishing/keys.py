"""Request keys: the 16 bytes that go with samples, so that what is published twice counts once."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

from vigie_contracts.samples import KEY_BYTES


def digest(person: bytes, *parts: bytes) -> bytes:
    """The key of these parts; `person`, of up to 16 bytes, says what kind of thing it names."""
    h = blake2b(digest_size=KEY_BYTES, person=person)
    for part in parts:
        h.update(len(part).to_bytes(8, "little"))
        h.update(part)
    return h.digest()


def report_id(key: bytes) -> str:
    """The id of the report that a key names."""
    return str(UUID(bytes=key, version=5))
