"""Opaque cursors."""

from __future__ import annotations

import base64
import binascii

import msgspec
from vigie_query.errors import InvalidParameter


class _CursorPosition(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    name: str
    fingerprint: int


def encode(position: tuple[str, int]) -> str:
    """The cursor of a place in the order of (name, fingerprint)."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(_CursorPosition(*position))).rstrip(b"=").decode()


def decode(cursor: str) -> tuple[str, int]:
    """The place of a cursor. Raises InvalidParameter for what `encode` did not make."""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = msgspec.msgpack.decode(data, type=_CursorPosition)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise InvalidParameter("cursor", "is not one that an earlier answer gave") from None
    if not 0 <= position.fingerprint < 1 << 64:
        raise InvalidParameter("cursor", "is not one that an earlier answer gave")
    return position.name, position.fingerprint
