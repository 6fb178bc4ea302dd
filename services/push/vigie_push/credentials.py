"""Credentials of live clients: where they stand in a request, and until when they hold."""

from __future__ import annotations

import base64
from typing import Final

import msgspec

SUBPROTOCOL: Final = "bearer"
"""`new WebSocket(url, ["bearer", token])`: browsers can add no header."""


class _Claims(msgspec.Struct):
    exp: float | None = None


_claims: Final = msgspec.json.Decoder(_Claims)


def expires_of(credential: bytes | None) -> float | None:
    """When a token says that it expires, in seconds since the epoch; None for what says nothing. Only to know when to
    look again: nothing here is verified."""
    parts = credential.split(b".") if credential else []
    if len(parts) != 3:
        return None
    try:
        return _claims.decode(base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))).exp
    except (ValueError, msgspec.MsgspecError):
        return None
