"""Errors of request bodies."""

from __future__ import annotations

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import ProblemError


class Malformed(ProblemError):  # noqa: N818 - named after what is wrong
    """The body is not what its Content-Type says."""

    kind = ProblemKind.MALFORMED
    status = 400


class BodyTooLarge(ProblemError):  # noqa: N818
    """The body is longer than any that is taken here."""

    kind = ProblemKind.TOO_LARGE
    status = 413

    def __init__(self, limit: int, what: str = "the body") -> None:
        super().__init__(f"{what} is longer than {limit} bytes")


class BodyTooSlow(ProblemError):  # noqa: N818
    """The body did not arrive in time."""

    kind = ProblemKind.TIMEOUT
    status = 408

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not arrive within {seconds:g} s")


class UnsupportedMedia(ProblemError):  # noqa: N818
    """The body is not said to be what is taken here."""

    kind = ProblemKind.UNSUPPORTED_MEDIA
    status = 415

    def __init__(self, what: str = "JSON", media: str = "application/json") -> None:
        super().__init__(f"the body must be {what}: send it with Content-Type: {media}")
