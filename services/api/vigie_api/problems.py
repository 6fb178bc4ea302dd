"""Every error as RFC 9457 problem details."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts.problems import CONTENT_TYPE, ItemProblem, Kind, Problem, problem
from vigie_runtime import logging

from vigie_api.errors import ApiError

log = logging.get(__name__)

_KINDS = {404: Kind.NOT_FOUND, 405: Kind.METHOD, 413: Kind.TOO_LARGE, 415: Kind.UNSUPPORTED_MEDIA}


def install(app: FastAPI) -> None:
    """Answer every error of the app as a problem."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)


def response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The answer."""
    extra = dict(headers or {})
    if problem.retry_after is not None:
        extra["retry-after"] = str(problem.retry_after)
    return Response(msgspec.json.encode(problem), problem.status, extra, CONTENT_TYPE)


async def _api_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return response(error.problem(request.url.path))


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [_item(entry) for entry in error.errors()]
    detail = "; ".join(f"{item.field}: {item.reason}" for item in errors)
    return response(problem(Kind.INVALID, 422, detail, errors=errors, instance=request.url.path))


def _item(entry: dict[str, Any]) -> ItemProblem:
    place = [str(part) for part in entry["loc"] if part not in ("query", "path", "header", "body")]
    return ItemProblem(0, ".".join(place) or str(entry["loc"][0]), str(entry["msg"]))


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    kind = _KINDS.get(error.status_code, Kind.INVALID)
    details = {
        404: f"there is nothing at {request.url.path}; /docs lists what there is",
        405: f"{request.method} is not allowed here",
    }
    detail = details.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    return response(problem(kind, error.status_code, detail, instance=request.url.path), headers)


async def _bug(request: Request, error: Exception) -> Response:
    """The text of the error stays in the log: it may hold what the client must not see."""
    log.error("a request failed unexpectedly", path=request.url.path, exc_info=error)
    detail = "the request failed unexpectedly; the log of the api says why"
    return response(problem(Kind.INTERNAL, 500, detail, instance=request.url.path))
