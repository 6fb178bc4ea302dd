"""What can be wrong with an expression, or with evaluating one."""

from __future__ import annotations

from vigie_query.errors import QueryError


class InvalidExpression(QueryError):  # noqa: N818 - named after what is wrong
    """The text is no PromQL, mixes types, or asks for what this engine does not have."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid expression: {reason}", "query")


class ExecutionError(QueryError):
    """The expression is right, but not for the series that it meets: two of them would become one, for example."""
