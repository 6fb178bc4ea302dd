"""Why a connection is ended: the codes of WebSockets (RFC 6455) and our own, for every transport."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

MAX_REASON_BYTES: Final = 123
"""Of the frame that closes a WebSocket (RFC 6455)."""


class CloseCode(IntEnum):
    """`docs/live.md` says of each what a client does then."""

    NORMAL = 1000
    GOING_AWAY = 1001
    """The process stops: connect again, to another one."""
    BINARY = 1003
    """Messages are text."""
    NOT_TEXT = 1007
    """A text message that is not UTF-8."""
    POLICY = 1008
    """A page of a foreign origin."""
    TOO_BIG = 1009
    """A message over the limit."""
    INTERNAL = 1011
    """A bug; the log of the service says why."""
    TRY_LATER = 1013
    """Too many connections, or a client that does not read what it is sent."""
    UNAUTHENTICATED = 4401
    """No credential in time, or one that is not good, or not any more."""
    NOT_ALLOWED = 4403
    """Not allowed any more what it was allowed: the user, the role or the tenant changed."""
    IDLE = 4408
    """Nothing was heard of the client for too long."""
    TOO_MANY = 4429
    """More messages, or more subscriptions, than are taken."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The end of a connection, with a sentence for the client."""

    code: int
    """Mostly a `CloseCode`."""
    reason: str

    @property
    def short(self) -> str:
        """The reason, as much of it as a WebSocket can carry."""
        return self.reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
