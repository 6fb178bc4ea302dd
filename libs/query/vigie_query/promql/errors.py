"""What can be wrong with an expression, or with evaluating one."""

from __future__ import annotations

from typing import NamedTuple

from vigie_query.errors import QueryError


class Place(NamedTuple):
    """Where in the text of an expression something begins, both counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


START = Place(1, 1)


class InvalidExpression(QueryError):  # noqa: N818 - named after what is wrong
    """The text is no PromQL, mixes types, or asks for what this engine does not have.

    The detail is written as Prometheus writes it, `1:8: parse error: unexpected ")"`, and ends with the hint.
    """

    def __init__(self, reason: str, place: Place | None = None, hint: str | None = None) -> None:
        where = f"{place}: parse error: " if place else "invalid expression: "
        super().__init__(f"{where}{reason}{f' ({hint})' if hint else ''}", "query")
        self.reason = reason
        self.place = place
        self.hint = hint


class TooManySteps(QueryError):  # noqa: N818
    """A range query with more steps than one series may have points."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"exceeded maximum resolution of {most:,} points per timeseries. Try decreasing the query resolution "
            "(?step=XX)"
        )


class ExecutionError(QueryError):
    """The expression is right, but not for the series that it meets: two of them would become one, for example."""
