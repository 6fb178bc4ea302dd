"""Why a sample is refused, and why nothing can be published now. Each error builds its own sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import ProblemError


class Reason(StrEnum):
    """Why one item was refused: the same value in the metric label and in the log."""

    MALFORMED = "malformed"
    FIELD = "field"
    VALUE = "value"
    TIMESTAMP = "timestamp"
    SERIES = "series"
    LIMIT = "limit"
    COLLISION = "collision"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class ItemError:
    """One item is refused: which field of it, and why, in a sentence for the sender."""

    reason: Reason
    field: str
    detail: str


class PublishingError(ProblemError):
    """Base of why nothing can be published now, or why it is unknown whether it was: each says when to try again."""

    seconds = 1

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=self.seconds)


class InProgressError(PublishingError):
    kind, status = ProblemKind.IN_PROGRESS, 409

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is being worked on right now; try again in a moment")


class BufferFullError(PublishingError):
    kind, status = ProblemKind.BUSY, 503

    def __init__(self) -> None:
        super().__init__("the gateway's buffer is full; nothing of this request was taken, send it again later")


class BusAwayError(PublishingError):
    """The bus did not acknowledge in time. Whether it will is unknown."""

    kind, status, seconds = ProblemKind.BUSY, 503, 5

    def __init__(self, keyed: bool) -> None:
        advice = (
            "send the same request again: it carries a key, so it cannot be counted twice"
            if keyed
            else "a repeat may count twice; requests with an Idempotency-Key can be repeated safely"
        )
        super().__init__(f"the bus did not acknowledge in time and the outcome is unknown; {advice}")


class CatalogueAwayError(PublishingError):
    kind, status, seconds = ProblemKind.STORE_AWAY, 503, 2

    def __init__(self) -> None:
        super().__init__(
            "the request names series that are new here, and the series catalogue does not answer; "
            "nothing of this request was taken, send it again later"
        )
