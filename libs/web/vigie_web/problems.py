"""Every error of a FastAPI app as RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts.problems import CONTENT_TYPE, Kind, Problem, problem
from vigie_runtime import logging

log = logging.get(__name__)

KINDS: Final[Mapping[int, Kind]] = {
    400: Kind.MALFORMED,
    404: Kind.NOT_FOUND,
    405: Kind.METHOD,
    413: Kind.TOO_LARGE,
    415: Kind.UNSUPPORTED_MEDIA,
}
"""By status, of what the framework itself refuses; every other one is an invalid request."""


@dataclass(frozen=True, slots=True)
class Words:
    """How an app says what went wrong. `refused` gives the detail of what the framework refuses; `bug` is the detail
    of a 500, which must not tell what the exception says: that may be what the client must not see."""

    refused: Callable[[Request, HTTPException], str]
    bug: str
    instance: bool = True
    """Whether the problem repeats the path in `instance`."""
    methods: Callable[[Request], Iterable[str]] | None = None
    """All that the path has. The framework lists those of one route in `Allow`, and a path may have several routes."""


def install(app: Starlette, words: Words) -> None:
    """Answer what no route takes, and every exception that leaves a route unhandled, as a problem."""

    async def refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        kind = KINDS.get(error.status_code, Kind.INVALID)
        detail = words.refused(request, error)
        headers = dict(error.headers or {})
        if error.status_code == 405 and words.methods is not None:
            headers["Allow"] = ", ".join(sorted(words.methods(request)))
        return response(problem(kind, error.status_code, detail, instance=instance(request)), headers)

    async def bug(request: Request, error: Exception) -> Response:
        log.error("a request failed unexpectedly", path=request.url.path, exc_info=error)
        return response(problem(Kind.INTERNAL, 500, words.bug, instance=instance(request)))

    def instance(request: Request) -> str | None:
        return request.url.path if words.instance else None

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, bug)


def response(found: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer, with `Retry-After` when the problem has one."""
    extra = dict(headers or {})
    if found.retry_after is not None:
        extra["retry-after"] = str(found.retry_after)
    return Response(msgspec.json.encode(found), found.status, extra, CONTENT_TYPE)
