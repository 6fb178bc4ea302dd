"""Opaque cursors: where the next page begins."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, TypeVar

import msgspec
from fastapi import Query
from vigie_query.errors import InvalidParameter

T = TypeVar("T")
Cursor = Annotated[str | None, Query(max_length=2_000, description="nextCursor of the page before")]
"""The parameter."""


def encode(place: object) -> str:
    """The cursor of a place in an order."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).rstrip(b"=").decode()


def decode(cursor: str, type_: type[T]) -> T:
    """The place. Raises InvalidParameter for what `encode` did not make of one of this type."""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(data, type=type_)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise InvalidParameter("cursor", "is not one that an earlier answer gave") from None
