"""Where a page of series begins."""

from __future__ import annotations

import msgspec
from vigie_query.errors import InvalidParameter
from vigie_web import cursors


class _CursorPosition(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    name: str
    fingerprint: int


def encode(position: tuple[str, int]) -> str:
    """The cursor of a place in the order of (name, fingerprint)."""
    return cursors.encode(_CursorPosition(*position))


def decode(cursor: str) -> tuple[str, int]:
    """The place of a cursor. Raises InvalidParameter for what `encode` did not make."""
    position = cursors.decode(cursor, _CursorPosition)
    if not 0 <= position.fingerprint < 1 << 64:
        raise InvalidParameter("cursor", "is not one that an earlier answer gave")
    return position.name, position.fingerprint
