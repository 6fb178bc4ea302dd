"""What the reads refuse, and why. Each error knows its problem kind, its status and, if there is one, the parameter."""

from __future__ import annotations

from collections.abc import Iterable

from vigie_contracts.problems import Kind
from vigie_runtime.errors import ProblemError


class UnknownChart(ProblemError):  # noqa: N818
    """No chart of that name."""

    kind = Kind.NOT_FOUND
    status = 404

    def __init__(self, type_: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no chart {type_!r}; the charts are {', '.join(sorted(known))}")


class Malformed(ProblemError):  # noqa: N818
    """The body is not what its Content-Type says."""

    kind = Kind.MALFORMED
    status = 400


class BodyTooLarge(ProblemError):  # noqa: N818
    """The body is longer than any that is taken here."""

    kind = Kind.TOO_LARGE
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is longer than {limit} bytes")


class BodyTooSlow(ProblemError):  # noqa: N818
    """The body did not arrive in time."""

    kind = Kind.TIMEOUT
    status = 408

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not arrive within {seconds:g} s")


class UnsupportedMedia(ProblemError):  # noqa: N818
    """The body is not said to be JSON."""

    kind = Kind.UNSUPPORTED_MEDIA
    status = 415

    def __init__(self) -> None:
        super().__init__("the body must be JSON: send it with Content-Type: application/json")


class NoSession(ProblemError):  # noqa: N818
    """The caller did not log in here: a key, or a token of another issuer."""

    kind = Kind.CONFLICT
    status = 409

    def __init__(self) -> None:
        super().__init__("the credential belongs to no session: only users who logged in here have one")


class NobodyLogsIn(ProblemError):  # noqa: N818
    """There is nothing to sign tokens with."""

    kind = Kind.NOT_CONFIGURED
    status = 503

    def __init__(self) -> None:
        super().__init__("nobody can log in: VIGIE_JWT_SECRET is not set; set it to 32 bytes or more and start again")


class NoReport(ProblemError):  # noqa: N818
    """The tenant's node has not sent a report."""

    kind = Kind.NOT_FOUND
    status = 404

    def __init__(self) -> None:
        super().__init__("the tenant has not sent any telemetry yet")
