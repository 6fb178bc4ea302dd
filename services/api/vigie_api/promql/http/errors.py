"""Errors as clients of Prometheus know them: a type, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response
from vigie_contracts.problems import Problem
from vigie_query.errors import FunctionNotApplicable, MixedKinds, QueryError, QueryLimitExceeded, RetentionExceeded
from vigie_query.promql.errors import ExecutionError
from vigie_runtime.expressions import ExpressionTooSlow
from vigie_storage.mongo import TooSlow

from vigie_api.promql.errors import QueryTimedOut

_BAD_DATA: Final = ("bad_data", 400)
_EXECUTION: Final = ("execution", 422)
_TIMEOUT: Final = ("timeout", 503)
_BY_CLASS: Final[Mapping[type[Exception], tuple[str, int]]] = {
    ExecutionError: _EXECUTION,
    FunctionNotApplicable: _EXECUTION,
    MixedKinds: _EXECUTION,
    QueryLimitExceeded: _EXECUTION,
    RetentionExceeded: _EXECUTION,
    ExpressionTooSlow: _TIMEOUT,
    QueryTimedOut: _TIMEOUT,
    TooSlow: _TIMEOUT,
}
"""Type and status of what an evaluation ends with."""
_BY_STATUS: Final[Mapping[int, str]] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    429: "too_many_requests",
    500: "internal",
    503: "unavailable",
}
"""Type of everything else; what is not listed is bad_data."""


class ErrorAnswer(msgspec.Struct, rename="camel"):
    """The body of every answer that is none."""

    status: str
    error_type: str
    error: str


def written(found: Problem, error: Exception, headers: Mapping[str, str]) -> Response:
    """The answer to an error: an `ErrorShape`."""
    known = next((_BY_CLASS[kind] for kind in type(error).__mro__ if kind in _BY_CLASS), None)
    if known is None and isinstance(error, QueryError):
        known = _BAD_DATA
    if known is None:
        known = _of_status(found.status)
    error_type, status = known
    body = msgspec.json.encode(ErrorAnswer("error", error_type, _sentence(found, error_type)))
    return Response(body, status, dict(headers), "application/json")


def _of_status(status: int) -> tuple[str, int]:
    if status == 422:  # there only for what an evaluation ends with
        return _BAD_DATA
    return _BY_STATUS.get(status, _BAD_DATA[0]), status


def _sentence(found: Problem, error_type: str) -> str:
    """Prometheus names the parameter first, where it is wrong."""
    if not found.errors:
        return found.detail
    field = found.errors[0].field
    sentence = found.detail.removeprefix(f"{field}: ")
    return f'invalid parameter "{field}": {sentence}' if error_type == _BAD_DATA[0] else sentence
