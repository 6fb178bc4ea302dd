"""The answer of intakes whose items are judged one by one, as JSON."""

from __future__ import annotations

from msgspec import Struct

from vigie_ingest import responses
from vigie_ingest.errors import InvalidRequestError, ItemProblems, NothingAcceptedError, item_problems
from vigie_ingest.ignored import Warnings
from vigie_ingest.intake import Verdict
from vigie_ingest.responses import Response


class BatchAnswer(Struct, omit_defaults=True):
    """201: `accepted` items are on the bus, acknowledged. `errors` lists the first 100 of the `rejected` others,
    `warnings` what was ignored of those that were taken, if anything was."""

    success: bool
    accepted: int
    rejected: int
    message: str
    errors: ItemProblems
    warnings: Warnings = []


def response(verdict: Verdict, what: str, *, may_be_empty: bool = False) -> Response:
    """201 when at least one item was taken, or the list is empty and may be. Raises NothingAcceptedError,
    InvalidRequestError for an empty list."""
    if verdict.rejected or not may_be_empty:
        require_accepted(verdict, what, "the list is empty")
    rejected = len(verdict.rejected)
    message = f"{verdict.accepted} {what} recorded" + (f", {rejected} refused" if rejected else "")
    errors, warnings = item_problems(verdict.rejected), list(verdict.warnings)
    return responses.created(BatchAnswer(True, verdict.accepted, rejected, message, errors, warnings))


def require_accepted(verdict: Verdict, what: str, empty: str) -> None:
    """Raises NothingAcceptedError when all items were refused, InvalidRequestError when there was none."""
    if verdict.rejected and not verdict.accepted:
        raise NothingAcceptedError(verdict.rejected, what)
    if not verdict.accepted:
        raise InvalidRequestError(f"{what}: {empty}")
