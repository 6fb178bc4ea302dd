"""How sending fails: `Temporary`, worth another try, or `Permanent`. Each says why in words of its own.

The texts are shown to whoever may see the channel, logged and stored: they never repeat what a server or a library
said, which may contain the secrets that it was sent.
"""

from __future__ import annotations

from enum import StrEnum

from vigie_runtime.errors import VigieError


class Failure(StrEnum):
    """Why a notification was not delivered: the same value in record, log, metric label and verdict of a test."""

    UNREACHABLE = "unreachable"
    """No connection, or one that was lost."""
    NAME_UNKNOWN = "name_unknown"
    """The name of the host has no address now."""
    TLS = "tls"
    """No trusted, encrypted connection."""
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    REJECTED = "rejected"
    """Understood and refused: the same again would be refused again."""
    REDIRECTED = "redirected"
    UNAUTHORISED = "unauthorised"
    FORBIDDEN_ADDRESS = "forbidden_address"
    """An address that channels may not call."""
    MISCONFIGURED = "misconfigured"
    """The channel or the settings are not usable."""
    UNKNOWN_CHANNEL = "unknown_channel"
    """It was deleted, or never was."""
    EXPIRED = "expired"
    """It failed for so long that it is not tried any more."""
    BUG = "bug"
    """An error that nobody foresaw; the log has it."""


class NotifyError(VigieError):
    """`remaining`: when a part was delivered, the destination that was not."""

    def __init__(self, failure: Failure, detail: str, *, remaining: str = "") -> None:
        super().__init__(detail)
        self.failure = failure
        self.remaining = remaining


class Temporary(NotifyError):  # noqa: N818 - named after what the sender does
    """May succeed later without anybody changing anything. `retry_after_s`: the receiver said when."""

    def __init__(
        self, failure: Failure, detail: str, *, retry_after_s: float | None = None, remaining: str = ""
    ) -> None:
        super().__init__(failure, detail, remaining=remaining)
        self.retry_after_s = retry_after_s


class Permanent(NotifyError):  # noqa: N818
    """Will fail until somebody changes the channel, the settings or the receiver."""
