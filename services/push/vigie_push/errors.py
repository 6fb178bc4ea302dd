"""Why a message of a client is refused; the words of `code` in `docs/live.md`."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from vigie_contracts.problems import ProblemKind, shortened
from vigie_runtime.errors import ProblemError
from vigie_web.close_codes import Closing

from vigie_push.messages import Error, Id


class Ended(Exception):  # noqa: N818 - named after what happened
    """The connection has to end."""

    def __init__(self, closing: Closing) -> None:
        super().__init__(closing.reason)
        self.closing = closing


class UnknownChannel(ProblemError):  # noqa: N818
    """There is no channel of that name."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self, name: str, known: str) -> None:
        super().__init__(f"channel: there is no channel {shortened(name)}; there are {known}", field="channel")


class SubscriptionOver(ProblemError):  # noqa: N818
    """It ended while it began: another one took its place, or the client ended it."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self) -> None:
        super().__init__("the subscription has ended before it began")


class InvalidCursor(ProblemError):  # noqa: N818
    """Nobody here made it."""

    kind = ProblemKind.INVALID
    status = 400

    def __init__(self) -> None:
        super().__init__(
            "after: is not a cursor of this channel; subscribe without it for the whole state", field="after"
        )


class TooManySubscriptions(ProblemError):  # noqa: N818
    """The connection has as many as it may have."""

    kind = ProblemKind.LIMIT
    status = 429

    def __init__(self, limit: int) -> None:
        super().__init__(f"this connection has {limit} subscriptions already, more are not allowed")


class TooManyTopics(ProblemError):  # noqa: N818
    """The tenant's clients listen to as much that differs as they may."""

    kind = ProblemKind.LIMIT
    status = 429

    def __init__(self, limit: int, what: str) -> None:
        super().__init__(
            f"the clients of this tenant follow {limit} {what} already, more are not allowed: what many subscribe to "
            "with the same parameters counts once"
        )


class UpgradeRequired(ProblemError):  # noqa: N818
    """A WebSocket's address was asked without an upgrade."""

    status = 426

    def __init__(self) -> None:
        super().__init__("this is a WebSocket: connect to it with ws:// or wss://, as in docs/live.md")

    def headers(self) -> dict[str, str]:
        """What to upgrade to."""
        return {"upgrade": "websocket", "connection": "upgrade"}


class BadParameters(ProblemError):  # noqa: N818
    """A field of a subscription is wrong. Its text comes from msgspec."""

    def __init__(self, error: msgspec.ValidationError) -> None:
        text = str(error)
        reason, _, place = text.partition(" - at `$")
        field = place.rstrip("`").lstrip(".") or None
        super().__init__(f"{field}: {reason}" if field else reason, field=field)


class Code(StrEnum):
    """Of a message `error`, beside the kinds of problems."""

    MALFORMED = "malformed-message"
    UNKNOWN_TYPE = "unknown-type"
    INTERNAL = "internal-error"


def error_of(problem: ProblemError, id: Id = None, subscription: str | None = None) -> Error:  # noqa: A002 - its name in the message
    """The message that tells of a problem."""
    return Error(
        id=id,
        code=problem.kind.value,
        message=shortened(problem.detail, 1_000),
        field=problem.field,
        subscription=subscription,
        retry_after=problem.retry_after,
    )
