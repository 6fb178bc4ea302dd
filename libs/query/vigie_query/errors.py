"""Errors of queries over series. `vigie_web` maps them to HTTP statuses."""

from __future__ import annotations

from typing import Self


class QueryError(Exception):
    """Base error. `field` names the parameter that is wrong, when there is one."""

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field

    def advise(self, advice: str) -> Self:
        """The same error, which ends with what to do instead."""
        self.detail = f"{self.detail}: {advice}"
        self.args = (self.detail,)
        return self


class InvalidParameter(QueryError):  # noqa: N818 - named after what is wrong
    """A parameter has an invalid value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", field)


class QueryLimitExceeded(QueryError):  # noqa: N818
    """The answer would be larger, or cost more, than one question may. The detail says how to ask for less."""


class FunctionNotApplicable(QueryError):  # noqa: N818
    """The function has no meaning for a series of this kind."""

    def __init__(self, function: str, metric: str, kind: str, reason: str) -> None:
        super().__init__(
            f"function: {function} cannot be taken of {metric}, which has {kind} series: {reason}", "function"
        )


class MixedKinds(QueryError):  # noqa: N818
    """Series of several kinds have the name, and a number of all of them together would mean nothing."""


class RetentionExceeded(QueryError):  # noqa: N818
    """The resolution asked for is no longer kept for that time."""
