"""Cursors: where a client stands, in bytes of the channel, as a text that goes into an address.

A byte for the form comes first, another one for each channel and each meaning that its cursors ever had: one of another
form is none, and whoever has it is sent the whole state.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from enum import IntEnum
from typing import Final

from vigie_contracts.days import END_MS

from vigie_push.channels.base import Cursor
from vigie_push.errors import InvalidCursor

MAX_TIME_MS: Final = END_MS
"""Of times in cursors: what a calendar can say."""


class Form(IntEnum):
    """All forms that there are."""

    ALERTS = 1
    METRICS = 2
    REPORTS = 3
    HEALTH = 4
    COMMANDS = 5


NONE: Final[Cursor] = ""
"""Of a message after which something is missing still: a part of a snapshot."""


def encode(form: int, data: bytes) -> Cursor:
    """`form` is a `Form`."""
    return urlsafe_b64encode(bytes((form,)) + data).rstrip(b"=").decode()


def decode(form: int, cursor: Cursor | None) -> bytes | None:
    """What `encode` was given; None for no cursor, and for one of another form. Raises InvalidCursor."""
    if not cursor:
        return None
    try:
        data = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (Error, ValueError):
        raise InvalidCursor from None
    if not data or urlsafe_b64encode(data).rstrip(b"=").decode() != cursor.rstrip("="):
        raise InvalidCursor
    return data[1:] if data[0] == form else None
