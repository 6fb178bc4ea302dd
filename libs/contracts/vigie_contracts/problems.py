"""RFC 9457 problem details: the one shape of every error that Vigie answers with."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus

import msgspec

CONTENT_TYPE = "application/problem+json"
MAX_QUOTED_CHARS = 80
"""Of what a sender wrote: answers are read by people, and some are stored."""
MAX_DETAIL_CHARS = 1_000
MAX_WARNINGS = 100
"""An answer names at most so many ignored things. What is beyond them is not looked for."""
MAX_FIELD_CHARS = 64
"""Of the name that a warning gives to what was ignored, which is the sender's."""


def shortened(text: str, limit: int = MAX_QUOTED_CHARS) -> str:
    """The text, or its beginning and an ellipsis: what a sentence quotes may be as long as a body."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


class ItemProblem(msgspec.Struct, omit_defaults=True):
    """Why one item of a batch was not taken. `index` counts from 0 in the order of the request; it is None for what
    stands beside the items."""

    index: int | None
    field: str
    reason: str


class ProblemKind(StrEnum):
    """What went wrong, as the last part of the problem's `type` URI: documented in `docs/errors.md`."""

    MALFORMED = "malformed-body"
    INVALID = "invalid-request"
    TOO_LARGE = "too-large"
    UNSUPPORTED_MEDIA = "unsupported-media-type"
    UNSUPPORTED_ENCODING = "unsupported-content-encoding"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    CROSS_SITE = "cross-site-request"
    NOT_FOUND = "not-found"
    METHOD = "method-not-allowed"
    MISDIRECTED = "misdirected-request"
    CONFLICT = "conflict"
    KEY_REUSED = "idempotency-key-reused"
    IN_PROGRESS = "request-in-progress"
    BUSY = "bus-unavailable"
    STORE_AWAY = "store-unavailable"
    TIMEOUT = "request-timeout"
    LIMIT = "limit-reached"
    THROTTLED = "too-many-requests"
    NOT_CONFIGURED = "not-configured"
    INTERNAL = "internal-error"


class Problem(msgspec.Struct, omit_defaults=True):
    """`message` repeats `detail`, because the clients of the systems that Vigie replaces read it."""

    type: str
    title: str
    status: int
    detail: str
    message: str
    instance: str | None = None
    errors: list[ItemProblem] = msgspec.field(default_factory=list[ItemProblem])
    retry_after: int | None = None
    """Seconds, the same number as in the header Retry-After."""


def problem(
    kind: ProblemKind,
    status: int,
    detail: str,
    *,
    errors: list[ItemProblem] | None = None,
    retry_after: int | None = None,
    instance: str | None = None,
) -> Problem:
    """A problem of `kind` with the standard title of its HTTP status; what is long is cut. A reason that begins with
    its field, as details do, loses it: clients show the two side by side."""
    detail = shortened(detail, MAX_DETAIL_CHARS)
    for item in errors or ():
        item.reason = shortened(item.reason.removeprefix(f"{item.field}: "), MAX_DETAIL_CHARS)
        item.field = shortened(item.field)
    return Problem(
        type=f"/problems/{kind.value}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        message=detail,
        instance=None if instance is None else instance[:MAX_DETAIL_CHARS],
        errors=errors or [],
        retry_after=retry_after,
    )
