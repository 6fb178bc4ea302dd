"""Every error as RFC 9457 problem details."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts.problems import ItemProblem, Kind, problem
from vigie_identity.errors import IdentityError
from vigie_runtime import problems

from vigie_api.errors import ApiError


def install(app: FastAPI) -> None:
    """Answer every error of the app as a problem."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(IdentityError, _identity_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    problems.install(app, problems.Words(_refused, bug="the request failed unexpectedly; the log of the api says why"))


async def _api_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return problems.response(error.problem(request.url.path))


async def _identity_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, IdentityError):
        raise error
    return problems.response(error.problem(request.url.path), error.headers())


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [_item(entry) for entry in error.errors()]
    detail = "; ".join(f"{item.field}: {item.reason}" for item in errors)
    return problems.response(problem(Kind.INVALID, 422, detail, errors=errors, instance=request.url.path))


def _item(entry: dict[str, Any]) -> ItemProblem:
    place = [str(part) for part in entry["loc"] if part not in ("query", "path", "header", "body")]
    return ItemProblem(0, ".".join(place) or str(entry["loc"][0]), str(entry["msg"]))


def _refused(request: Request, error: HTTPException) -> str:
    details = {
        404: f"there is nothing at {request.url.path}; /docs lists what there is",
        405: f"{request.method} is not allowed here",
    }
    return details.get(error.status_code, str(error.detail))
