"""Every error of a FastAPI app as RFC 9457 problem details: an answer to a request, a refusal to a WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from html import escape
from typing import Any, Final, TypeAlias

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketState
from vigie_contracts.problems import (
    CONTENT_TYPE,
    MAX_DETAIL_CHARS,
    ItemProblem,
    Problem,
    ProblemKind,
    problem,
    shortened,
)
from vigie_identity.errors import RefusalReason, Unauthenticated
from vigie_query.errors import QueryError, QueryLimitExceeded, RetentionExceeded
from vigie_runtime import logging
from vigie_runtime.errors import ProblemError

from vigie_web.errors import Malformed
from vigie_web.reasons import reason
from vigie_web.security import CONTENT_SECURITY_POLICY

log = logging.get(__name__)

MAX_LISTED: Final = 100
_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN_LATER: Final = 1013
_MAX_REASON_BYTES: Final = 123
"""Of the frame that closes a WebSocket (RFC 6455)."""

_KINDS: Final[Mapping[int, ProblemKind]] = {
    400: ProblemKind.MALFORMED,
    404: ProblemKind.NOT_FOUND,
    405: ProblemKind.METHOD,
    413: ProblemKind.TOO_LARGE,
    415: ProblemKind.UNSUPPORTED_MEDIA,
}
"""By status, of what the framework itself refuses; every other one is an invalid request."""

_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Vigie</title></head><body>'
    "<p><code>{path}</code> takes {others}, and a browser that opens an address asks with GET.</p>"
    '<p>What to send is in the <a href="/docs">API reference</a>.</p></body></html>'
)

Answer = Response | None
"""None for a WebSocket: the handler has refused or closed it."""
ErrorShape: TypeAlias = Callable[[Problem, Exception, Mapping[str, str]], Response]
"""Writes an error for the clients of some routes: what is told, the error behind it, and the headers it has to have."""


def install(
    app: FastAPI,
    service: str,
    refused_credential: Callable[[RefusalReason], object],
    shapes: Mapping[str, ErrorShape] | None = None,
) -> None:
    """Answer every error of the app as a problem: what routes refuse, what no route takes, and bugs. Tokens, keys and
    passwords that are not good are told to `refused_credential`, with the reason that the answer does not say.
    `shapes` are of the routes, by their path, whose clients know errors of another shape; a path that ends in a slash
    stands for all below it that no route takes."""
    app.state.error_shapes = shapes or {}

    async def problem_error(connection: HTTPConnection, error: Exception) -> Answer:
        assert isinstance(error, ProblemError)  # noqa: S101 - the framework goes by the class
        if isinstance(error, Unauthenticated) and error.reason is not None:
            refused_credential(error.reason)
        return await _answer(connection, error, _told(error, connection.url.path), error.headers())

    async def bug(connection: HTTPConnection, error: Exception) -> Answer:
        # Of its route: a part of the path may be a credential, as that of a heartbeat is.
        route = getattr(connection.scope.get("route"), "path", "")
        log.error("a request failed unexpectedly", path=route, exc_info=error)
        # Not what the exception says: that may be what the client must not see.
        detail = f"the request failed unexpectedly; the log of the {service} says why"
        found = problem(ProblemKind.INTERNAL, 500, detail, instance=connection.url.path)
        return await _answer(connection, error, found)

    handlers: dict[type[Exception], Any] = {
        ProblemError: problem_error,
        QueryError: _query_error,
        RequestValidationError: _invalid,
        WebSocketRequestValidationError: _invalid,
        HTTPException: _refused,
        Exception: bug,
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)


def response(found: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer, with `Retry-After` when the problem has one."""
    return Response(msgspec.json.encode(found), found.status, _complete(found, headers), CONTENT_TYPE)


def _complete(found: Problem, headers: Mapping[str, str] | None) -> dict[str, str]:
    extra = dict(headers or {})
    if found.retry_after is not None:
        extra["retry-after"] = str(found.retry_after)
    return extra


async def _answer(
    connection: HTTPConnection, error: Exception, found: Problem, headers: Mapping[str, str] | None = None
) -> Answer:
    """A WebSocket that is not accepted yet is refused with the same answer as a request; later it is closed, with the
    detail as the reason."""
    if not isinstance(connection, WebSocket):
        return _written(connection, error, found, headers)
    if connection.application_state is WebSocketState.CONNECTING and _denials(connection):
        await connection.send_denial_response(response(found, headers))
    elif connection.application_state is not WebSocketState.DISCONNECTED:
        code = _POLICY_VIOLATION if found.status < 500 else _TRY_AGAIN_LATER
        reason = (found.detail or "").encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
        await connection.close(code, reason)
    return None


def _written(
    connection: HTTPConnection, error: Exception, found: Problem, headers: Mapping[str, str] | None = None
) -> Response:
    shapes: Mapping[str, ErrorShape] = connection.app.state.error_shapes
    shape = shapes.get(getattr(connection.scope.get("route"), "path", ""))
    if shape is None:
        path = _below_root(connection)
        shape = next((shapes[below] for below in shapes if below.endswith("/") and path.startswith(below)), None)
    return response(found, headers) if shape is None else shape(found, error, _complete(found, headers))


def _denials(connection: WebSocket) -> bool:
    return "websocket.http.response" in connection.scope.get("extensions", {})


async def _query_error(connection: HTTPConnection, error: QueryError) -> Answer:
    kind = ProblemKind.LIMIT if isinstance(error, QueryLimitExceeded | RetentionExceeded) else ProblemKind.INVALID
    errors = [ItemProblem(0, error.field, error.detail)] if error.field else None
    found = problem(kind, 422, error.detail, errors=errors, instance=connection.url.path)
    return await _answer(connection, error, found)


def _told(error: ProblemError, path: str) -> Problem:
    found = error.problem(path)
    return found if error.names_as_sent else _as_sent(found)


def _as_sent(found: Problem) -> Problem:
    """With the names that fields have in JSON, instead of Python's."""
    for item in found.errors:
        name, item.field = item.field, ".".join(map(to_camel, item.field.split(".")))
        found.detail = found.message = found.detail.replace(f"{name}:", f"{item.field}:", 1)
    return found


async def _invalid(
    connection: HTTPConnection, error: RequestValidationError | WebSocketRequestValidationError
) -> Answer:
    found = error.errors()[:MAX_LISTED]
    path = connection.url.path
    if unread := [entry["loc"][-1] for entry in found if entry["type"] == "json_invalid"]:
        malformed = Malformed(f"the body is not JSON: it cannot be read from its character {unread[0]} on")
        return await _answer(connection, malformed, malformed.problem(path))
    errors = [_item(entry) for entry in found]
    detail = "; ".join(f"{item.field}: {item.reason}" for item in errors)
    return await _answer(connection, error, problem(ProblemKind.INVALID, 422, detail, errors=errors, instance=path))


def _item(entry: dict[str, Any]) -> ItemProblem:
    """Names of fields and words of the client may be long, and may be half of a surrogate pair."""
    source, *place = (str(part) for part in entry["loc"])
    field = ".".join(place) or source
    return ItemProblem(0, _writable(shortened(field)), _writable(reason(entry["type"], entry.get("ctx", {}))))


def _writable(text: str) -> str:
    return shortened(text, MAX_DETAIL_CHARS).encode("utf-8", "replace").decode()


async def _refused(connection: HTTPConnection, error: HTTPException) -> Answer:
    status, path = error.status_code, connection.url.path
    if status == 405 and isinstance(connection, Request):
        methods = methods_at(connection.app.routes, _below_root(connection))
        return wrong_method(connection.scope, methods, partial(_written, connection, error))
    details = {
        400: "the body is not JSON",
        404: nothing_at(_below_root(connection), lambda bare: methods_at(connection.app.routes, bare)),
    }
    detail = details.get(status, str(error.detail))
    found = problem(_KINDS.get(status, ProblemKind.INVALID), status, detail, instance=path)
    return await _answer(connection, error, found, error.headers)


def nothing_at(path: str, methods: Callable[[str], Set[str]]) -> str:
    """The detail of 404 for a path; `methods` tells what another path may be asked with. There are no redirects: a
    credential would be sent again, behind TLS in the clear."""
    bare = path.rstrip("/")
    if bare != path and methods(bare):
        return f"there is nothing at {shortened(path)}; without the slash at its end there is"
    return f"there is nothing at {shortened(path)}; /docs lists what there is"


def _below_root(connection: HTTPConnection) -> str:
    return connection.url.path.removeprefix(connection.scope.get("root_path", ""))


def wrong_method(
    scope: Scope, methods: Set[str], write: Callable[[Problem, Mapping[str, str]], Response] = response
) -> Response:
    """The answer to a method that a path is not asked with: to OPTIONS those that it is, to others 405 with `Allow`, as
    `write` writes it. Who opens an address in a browser that takes no GET reads a page."""
    request = Request(scope)
    method, path = request.method.replace("HEAD", "GET"), request.url.path  # HEAD is answered as GET
    allow = {"allow": ", ".join(sorted({*methods, "OPTIONS"}))}
    if method == "OPTIONS":
        return Response(status_code=204, headers=allow)
    others = " or ".join(sorted(methods - {"HEAD"}))
    if method == "GET" and "text/html" in request.headers.get("accept", ""):
        page = _PAGE.format(path=escape(shortened(path)), others=others)
        return HTMLResponse(page, 405, {**allow, CONTENT_SECURITY_POLICY: "default-src 'none'"})
    detail = f"{method} is not allowed here; {shortened(path)} takes {others}"
    return write(problem(ProblemKind.METHOD, 405, detail, instance=path), allow)


def methods_at(routes: Sequence[BaseRoute], path: str) -> set[str]:
    """All that a path may be asked with, but for OPTIONS; nothing when there is nothing at it. The framework lists in
    `Allow` those of one route, and a path may have several routes."""
    found: set[str] = set()
    for route in iter_route_contexts(routes):
        if isinstance(route.original_route, Mount):
            found |= {"GET"} if path.startswith(f"{route.path}/") else set()
        elif route.methods and route.path_regex.match(path):
            found |= route.methods
    return found | {"HEAD"} if "GET" in found else found
