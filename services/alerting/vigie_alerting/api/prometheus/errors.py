"""Errors as clients of Prometheus know them: a type, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response
from vigie_contracts.problems import Problem

_TYPES: Final[Mapping[int, str]] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    429: "too_many_requests",
    500: "internal",
    503: "unavailable",
}
"""By status; what is not listed is bad_data."""


def written(found: Problem, _error: Exception, headers: Mapping[str, str]) -> Response:
    """The answer to an error: an `ErrorShape`."""
    status = 400 if found.status == 422 else found.status
    body = {"status": "error", "errorType": _TYPES.get(status, "bad_data"), "error": _sentence(found)}
    return Response(msgspec.json.encode(body), status, dict(headers), "application/json")


def _sentence(found: Problem) -> str:
    """Prometheus names the parameter first, where it is wrong."""
    if not found.errors:
        return found.detail
    field = found.errors[0].field
    return f'invalid parameter "{field}": {found.detail.removeprefix(f"{field}: ")}'
