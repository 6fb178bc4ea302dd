"""Every error as RFC 9457 problem details."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts.problems import ItemProblem, Kind, Problem, problem
from vigie_identity.errors import Unauthenticated
from vigie_query.errors import LimitReached, NotKept, QueryError
from vigie_runtime.errors import ProblemError
from vigie_web import problems

from vigie_api.errors import Malformed
from vigie_api.metrics import REFUSED_CREDENTIALS

MAX_LISTED: Final = 100
MAX_CHARS: Final = 500


def install(app: FastAPI) -> None:
    """Answer every error of the app as a problem."""
    app.add_exception_handler(ProblemError, _problem_error)
    app.add_exception_handler(QueryError, _query_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    bug = "the request failed unexpectedly; the log of the api says why"
    problems.install(app, problems.Words(_refused, bug=bug, methods=methods_at))


async def _query_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, QueryError):
        raise error
    kind = Kind.LIMIT if isinstance(error, LimitReached | NotKept) else Kind.INVALID
    errors = [ItemProblem(0, error.field, error.detail)] if error.field else None
    return problems.response(problem(kind, 422, error.detail, errors=errors, instance=request.url.path))


async def _problem_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ProblemError):
        raise error
    if isinstance(error, Unauthenticated) and error.reason is not None:
        request.app.state.state.metrics.counter(REFUSED_CREDENTIALS, reason=error.reason).inc()
    return problems.response(_as_sent(error.problem(request.url.path)), error.headers())


def _as_sent(found: Problem) -> Problem:
    """With the names that fields have in JSON, instead of Python's."""
    for item in found.errors:
        name, item.field = item.field, ".".join(map(to_camel, item.field.split(".")))
        item.reason = found.detail = found.message = found.detail.replace(f"{name}:", f"{item.field}:", 1)
    return found


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = error.errors()[:MAX_LISTED]
    if any(entry["type"] == "json_invalid" for entry in found):
        return await _problem_error(request, Malformed(f"the body is not JSON: {found[0]['ctx']['error']}"))
    errors = [_item(entry) for entry in found]
    detail = "; ".join(f"{item.field}: {item.reason}" for item in errors)
    return problems.response(problem(Kind.INVALID, 422, detail, errors=errors, instance=request.url.path))


def _item(entry: dict[str, Any]) -> ItemProblem:
    """Names of fields and words of the client may be long, and may be half of a surrogate pair."""
    source, *place = (str(part) for part in entry["loc"])
    field = ".".join(place) or source
    return ItemProblem(0, _writable(field), _writable(str(entry["msg"]).removeprefix("Value error, ")))


def _writable(text: str) -> str:
    return text[:MAX_CHARS].encode("utf-8", "replace").decode()


def methods_at(request: Request) -> set[str]:
    """What the path of the request may be asked with."""
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.methods and route.path_regex.match(path):
            found |= route.methods
    return found


def _refused(request: Request, error: HTTPException) -> str:
    details = {
        400: "the body is not JSON",
        404: f"there is nothing at {request.url.path}; /docs lists what there is",
        405: f"{request.method} is not allowed here",
    }
    return details.get(error.status_code, str(error.detail))
