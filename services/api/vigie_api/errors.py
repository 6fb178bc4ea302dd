"""What the reads refuse, and why. Each error knows its problem kind, its status and, if there is one, the parameter."""

from __future__ import annotations

from collections.abc import Iterable

from vigie_contracts.problems import ItemProblem, Kind, Problem, problem
from vigie_runtime.errors import VigieError

RETRY_AFTER_S = 2


class ApiError(VigieError):
    """Base: becomes the problem document of the answer."""

    kind = Kind.INVALID
    status = 422

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field

    def problem(self, instance: str) -> Problem:
        """The answer's body."""
        errors = [ItemProblem(0, self.field, self.detail)] if self.field else None
        retry_after = RETRY_AFTER_S if self.status == 503 and self.kind is not Kind.NOT_CONFIGURED else None
        return problem(self.kind, self.status, self.detail, errors=errors, retry_after=retry_after, instance=instance)


class InvalidParameter(ApiError):  # noqa: N818 - named after what is wrong
    """A parameter that does not say what it must."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", field)


class LimitReached(ApiError):  # noqa: N818
    """The answer would be larger, or cost more, than one request may. The detail says how to ask for less."""

    kind = Kind.LIMIT


class FunctionNotApplicable(ApiError):  # noqa: N818
    """The function has no meaning for a series of this kind."""

    def __init__(self, function: str, metric: str, kind: str, reason: str) -> None:
        super().__init__(
            f"function: {function} cannot be taken of {metric}, which has {kind} series: {reason}", "function"
        )


class NotKept(ApiError):  # noqa: N818
    """The resolution asked for is no longer kept for that time."""

    kind = Kind.LIMIT


class UnknownChart(ApiError):  # noqa: N818
    """No chart of that name."""

    kind = Kind.NOT_FOUND
    status = 404

    def __init__(self, type_: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no chart {type_!r}; the charts are {', '.join(sorted(known))}")


class Malformed(ApiError):  # noqa: N818
    """The body is not what its Content-Type says."""

    kind = Kind.MALFORMED
    status = 400


class BodyTooLarge(ApiError):  # noqa: N818
    """The body is longer than any that is taken here."""

    kind = Kind.TOO_LARGE
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is longer than {limit} bytes")


class BodyTooSlow(ApiError):  # noqa: N818
    """The body did not arrive in time."""

    kind = Kind.TIMEOUT
    status = 408

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not arrive within {seconds:g} s")


class UnsupportedMedia(ApiError):  # noqa: N818
    """The body is not said to be JSON."""

    kind = Kind.UNSUPPORTED_MEDIA
    status = 415

    def __init__(self) -> None:
        super().__init__("the body must be JSON: send it with Content-Type: application/json")


class NoSession(ApiError):  # noqa: N818
    """The caller did not log in here: a key, or a token of another issuer."""

    kind = Kind.CONFLICT
    status = 409

    def __init__(self) -> None:
        super().__init__("the credential belongs to no session: only users who logged in here have one")


class NobodyLogsIn(ApiError):  # noqa: N818
    """There is nothing to sign tokens with."""

    kind = Kind.NOT_CONFIGURED
    status = 503

    def __init__(self) -> None:
        super().__init__("nobody can log in: VIGIE_JWT_SECRET is not set; set it to 32 bytes or more and start again")


class NoReport(ApiError):  # noqa: N818
    """The tenant's node has not sent a report."""

    kind = Kind.NOT_FOUND
    status = 404

    def __init__(self) -> None:
        super().__init__("the tenant has not sent any telemetry yet")


class StoreUnavailable(ApiError):  # noqa: N818
    """MongoDB does not answer now."""

    kind = Kind.STORE_AWAY
    status = 503

    def __init__(self) -> None:
        super().__init__("the store does not answer at the moment; ask again in a few seconds")


class TooSlow(ApiError):  # noqa: N818
    """The store did not finish within the time one request may take."""

    kind = Kind.TIMEOUT
    status = 503

    def __init__(self) -> None:
        super().__init__("the store needed too long for this request: ask for a shorter time or fewer series")


class Busy(ApiError):  # noqa: N818
    """As many expensive answers are being written as this process writes at a time."""

    kind = Kind.LIMIT
    status = 503

    def __init__(self, what: str) -> None:
        super().__init__(f"too many {what} at the same time; ask again in a few seconds")
