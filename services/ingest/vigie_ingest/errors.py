"""What the gateway answers instead of taking a request, beside the errors of `vigie_publishing`. Each error builds its
own sentence from typed arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from vigie_contracts import limits
from vigie_contracts.problems import MAX_DETAIL_CHARS, ItemProblem, Problem, ProblemKind, shortened
from vigie_publishing.errors import ItemError
from vigie_runtime.errors import ProblemError
from vigie_web.errors import BodyTooLarge, BodyTooSlow

MAX_LISTED_ERRORS = 100
"""An answer lists at most this many refused items; `rejected` counts all of them."""


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """An item's place in the request, and what is wrong with it."""

    index: int
    error: ItemError


ItemProblems = Annotated[list[ItemProblem], Meta(max_length=MAX_LISTED_ERRORS)]


def item_problems(rejected: Sequence[RejectedItem]) -> ItemProblems:
    """The refused items as an answer lists them: the first ones, in the order of the request."""
    first = sorted(rejected, key=lambda r: r.index)[:MAX_LISTED_ERRORS]
    return [ItemProblem(r.index, shortened(r.error.field), shortened(r.error.detail, MAX_DETAIL_CHARS)) for r in first]


class RequestError(ProblemError):
    """The base of what the gateway refuses itself: `errors` are the refused items, `extra` is added to the headers."""

    sentence = ""
    """The detail of an error that always says the same."""
    seconds: int | None = None
    """When to try again."""
    close = False
    """Whether the connection must end with the answer, because the rest of the body is not read."""

    def __init__(
        self, detail: str = "", *, errors: Sequence[RejectedItem] = (), extra: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail or self.sentence, retry_after=self.seconds)
        self.errors = errors
        self.extra = extra or {}

    def headers(self) -> dict[str, str]:
        return {**self.extra, **super().headers(), **({"connection": "close"} if self.close else {})}

    def problem(self, instance: str) -> Problem:
        found = super().problem(instance)
        found.errors = item_problems(self.errors)
        return found


class ClientGoneError(Exception):
    """The sender hung up before its body was complete: there is nobody to answer."""


class MalformedBodyError(RequestError):
    kind, status = ProblemKind.MALFORMED, 400


class InvalidRequestError(RequestError):
    kind, status = ProblemKind.INVALID, 400


class ItemRefusedError(InvalidRequestError):
    """The one item of a single request is refused."""

    def __init__(self, error: ItemError) -> None:
        super().__init__(f"{shortened(error.field)}: {error.detail}", errors=[RejectedItem(0, error)])


class SeriesLimitError(RequestError):
    """The one item of a single request would be a series too many. No retry helps: 403, not 429."""

    kind, status = ProblemKind.LIMIT, 403

    def __init__(self, error: ItemError) -> None:
        super().__init__(error.detail, errors=[RejectedItem(0, error)])


class NothingAcceptedError(InvalidRequestError):
    """Every item of a batch was refused."""

    def __init__(self, rejected: Sequence[RejectedItem], what: str) -> None:
        first = min(rejected, key=lambda r: r.index)
        count = len(rejected)
        listed = f", the first {MAX_LISTED_ERRORS} are listed" if count > MAX_LISTED_ERRORS else ""
        super().__init__(
            f"none of the {count} {what} was taken{listed}; "
            f"item {first.index}: {shortened(first.error.field)}: {first.error.detail}",
            errors=rejected,
        )


class BodyTooLargeError(RequestError):
    kind, status = ProblemKind.TOO_LARGE, 413
    close = True

    def __init__(self, limit: int, what: str = "the body") -> None:
        super().__init__(f"{BodyTooLarge(limit, what).detail}; send it in several requests")


class TooManyItemsError(RequestError):
    kind, status = ProblemKind.TOO_LARGE, 413

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: more than {limits.MAX_BATCH_ITEMS} items; send them in several requests")


class TooManyReportsError(RequestError):
    kind, status = ProblemKind.TOO_LARGE, 413

    def __init__(self, most: int) -> None:
        super().__init__(f"the list: more than {most} reports; send them in several requests")


class ItemTooLongError(RequestError):
    """One item of a list is too long to be looked at by itself."""

    kind, status = ProblemKind.TOO_LARGE, 413

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what}: is longer than {limit} bytes")


class UnsupportedMediaError(RequestError):
    kind, status = ProblemKind.UNSUPPORTED_MEDIA, 415

    def __init__(self, detail: str, accepted: str) -> None:
        super().__init__(f"{detail}; send {accepted}", extra={"accept-post": accepted})


class UnsupportedEncodingError(RequestError):
    kind, status = ProblemKind.UNSUPPORTED_ENCODING, 415

    def __init__(self, encoding: str, accepted: Sequence[str]) -> None:
        *others, last = accepted
        names = f"one of {', '.join(others)} or {last}" if others else last
        given = repr(shortened(encoding)) if encoding else "none"
        super().__init__(
            f"Content-Encoding: {given} is not supported; send {names}",
            extra={"accept-encoding": ", ".join(accepted)},
        )


class BodyTimeoutError(RequestError):
    kind, status = ProblemKind.TIMEOUT, 408
    close = True

    def __init__(self, seconds: float) -> None:
        super().__init__(BodyTooSlow(seconds).detail)


class KeyReusedError(RequestError):
    kind, status = ProblemKind.KEY_REUSED, 422
    sentence = "Idempotency-Key: this key was used for another request within the last 24 h; use a new key per request"


class StoreAwayError(RequestError):
    kind, status, seconds = ProblemKind.STORE_AWAY, 503, 2
    sentence = "the store does not answer, and it must say what is new; send the same request again later"


class NotReadyError(RequestError):
    kind, status, seconds = ProblemKind.BUSY, 503, 2
    sentence = "the gateway is starting or stopping; nothing of this request was taken, send it again later"


class InternalError(RequestError):
    kind, status = ProblemKind.INTERNAL, 500
    sentence = "something unexpected went wrong here; it was logged"
