"""What is answered about channels."""

from __future__ import annotations

from vigie_contracts.problems import ProblemKind, shortened
from vigie_runtime.errors import ProblemError


class InvalidChannel(ProblemError):  # noqa: N818 - named after what is wrong
    """A field of a channel has an invalid value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", field=field)


class ChannelNotFound(ProblemError):  # noqa: N818
    """The tenant has no such channel."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self, channel: str) -> None:
        super().__init__(f"there is no channel {shortened(channel)!r}")


class ChannelConflict(ProblemError):  # noqa: N818
    """The name is taken, the tenant has too many channels, or somebody else changed this one meanwhile."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
