"""What ends a query, besides what is wrong with its expression."""

from __future__ import annotations

from vigie_contracts.problems import ProblemKind
from vigie_query.times import duration
from vigie_runtime.errors import ProblemError


class QueryTimedOut(ProblemError):  # noqa: N818 - named after what is wrong
    """The query did not end in the time that it has."""

    kind = ProblemKind.TIMEOUT
    status = 503

    def __init__(self, timeout_ms: int) -> None:
        super().__init__(f"query timed out in query execution: it may take {duration(timeout_ms)}")
