"""Slack's signature of its requests: HMAC-SHA256 of version, time and raw body, by the signing secret of the app.
Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

SIGNATURE_HEADER: Final = "x-slack-signature"
TIME_HEADER: Final = "x-slack-request-timestamp"
WINDOW_S: Final = 300
"""How old a request may be, or how far ahead the clock of its sender."""
_TIME: Final = re.compile(r"[0-9]{1,12}")
_VERSION: Final = "v0"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """As Slack writes it."""
    signed = f"{_VERSION}:{timestamp}:".encode() + body
    return f"{_VERSION}={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def is_signed(secret: str, timestamp: str, given: str, body: bytes, now_ms: int) -> bool:
    """Whether this very body was signed with the secret at that time, and that was just now. Takes the same time
    whatever is wrong with the signature."""
    if not _TIME.fullmatch(timestamp):
        return False
    expected = signature(secret, timestamp, body)
    right = hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
    return right and abs(now_ms / 1000 - int(timestamp)) <= WINDOW_S
