"""What an app answers to what it does not take, and to its own bugs: to requests, and to WebSockets."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI, Query, WebSocket
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from vigie_contracts.problems import Problem, ProblemKind, problem
from vigie_identity.errors import BadCredential, Conflict, InvalidField, RefusalReason
from vigie_query.errors import InvalidParameter
from vigie_runtime.errors import Busy, StoreUnavailable
from vigie_web import problems

refusals: list[RefusalReason] = []


def of_other_shape(found: Problem, error: Exception, headers: Mapping[str, str]) -> Response:
    return Response(f"{type(error).__name__}: {found.detail}", 418, dict(headers))


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    problems.install(app, "service", refusals.append, {"/other/{name}": of_other_shape})

    @app.get("/boom")
    async def boom() -> None:
        raise RuntimeError("secret")

    @app.get("/refused/{status}")
    async def refused(request: Request) -> None:
        raise HTTPException(int(request.path_params["status"]), "told", {"x-why": "so"})

    @app.get("/other/{name}")
    @app.get("/errors/{name}")
    async def errors(name: str, limit: Annotated[int, Query(le=10)] = 1) -> None:
        raise {
            "store": StoreUnavailable(),
            "query": InvalidParameter("step", "is none"),
            "field": InvalidField("home_tenant", "is none"),
            "conflict": Conflict("there is one of that name", field="name"),
            "credential": BadCredential(RefusalReason.EXPIRED),
            "bug": RuntimeError("secret"),
        }[name]

    @app.websocket("/refuses")
    async def refuses(_socket: WebSocket) -> None:
        raise BadCredential(RefusalReason.EXPIRED)

    @app.websocket("/closes/{which}")
    async def closes(socket: WebSocket, which: str) -> None:
        await socket.accept()
        raise Busy("sockets \u00e9" * 100) if which == "busy" else InvalidParameter("topic", "is none")

    return app


@pytest_asyncio.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "detail"),
    [
        ("GET", "/nothing", 404, "not-found", "there is nothing at /nothing; /docs lists what there is"),
        ("DELETE", "/boom", 405, "method-not-allowed", "DELETE is not allowed here; /boom takes GET"),
        ("GET", "/refused/413", 413, "too-large", "told"),
        ("GET", "/refused/415", 415, "unsupported-media-type", "told"),
        ("GET", "/refused/400", 400, "malformed-body", "the body is not JSON"),
        ("GET", "/refused/409", 409, "invalid-request", "told"),
        ("GET", "/boom", 500, "internal-error", "the request failed unexpectedly; the log of the service says why"),
        ("GET", "/errors/query", 422, "invalid-request", "step: is none"),
        (
            "GET", "/errors/store?limit=11", 422, "invalid-request",
            "limit: must be at most 10",
        ),
    ],
)  # fmt: skip
async def test_every_error_is_a_problem(  # noqa: PLR0917
    http: httpx2.AsyncClient, method: str, path: str, status: int, kind: str, detail: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    body = answer.json()
    assert (body["type"], body["status"], body["detail"], body["message"]) == (
        f"/problems/{kind}", status, detail, detail,
    )  # fmt: skip
    assert body["instance"] == path.partition("?")[0]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("name", "detail", "field", "reason"),
    [
        ("query", "step: is none", "step", "is none"),
        ("field", "homeTenant: is none", "homeTenant", "is none"),
        ("conflict", "there is one of that name", "name", "there is one of that name"),
    ],
)
async def test_a_reason_does_not_repeat_its_field(
    http: httpx2.AsyncClient, name: str, detail: str, field: str, reason: str
) -> None:
    body = (await http.get(f"/errors/{name}")).json()
    assert (body["detail"], body["message"]) == (detail, detail)
    assert body["errors"] == [{"index": 0, "field": field, "reason": reason}]


async def test_headers_of_a_refusal_are_kept(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/refused/404")).headers["x-why"] == "so"
    assert (await http.delete("/boom")).headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await http.get("/errors/store")).headers["retry-after"] == "2"


async def test_why_a_credential_is_not_good_is_counted_and_not_told(http: httpx2.AsyncClient) -> None:
    refusals.clear()
    answer = await http.get("/errors/credential")
    assert answer.headers["www-authenticate"] == 'Bearer realm="vigie", error="invalid_token"'
    assert refusals == [RefusalReason.EXPIRED]


def test_a_websocket_is_refused_with_the_answer_of_a_request(app: FastAPI) -> None:
    with pytest.raises(WebSocketDenialResponse) as refused, TestClient(app).websocket_connect("/refuses"):
        pass
    answer: Any = refused.value
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.json()["type"] == "/problems/unauthenticated"


@pytest.mark.parametrize(("which", "code"), [("busy", 1013), ("topic", 1008)])
def test_a_websocket_that_is_open_is_closed_and_told_why(app: FastAPI, which: str, code: int) -> None:
    with TestClient(app).websocket_connect(f"/closes/{which}") as socket, pytest.raises(WebSocketDisconnect) as end:
        socket.receive_text()
    assert end.value.code == code
    assert 0 < len(end.value.reason.encode()) <= 123


def test_seconds_to_wait_are_a_header_too() -> None:
    answer = problems.response(problem(ProblemKind.STORE_AWAY, 503, "later", retry_after=2), {"x-why": "so"})
    assert (answer.headers["retry-after"], answer.headers["x-why"]) == ("2", "so")
    assert "retry-after" not in problems.response(problem(ProblemKind.INVALID, 422, "no")).headers


async def test_the_log_of_a_bug_has_no_part_of_the_path_that_may_be_a_credential(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(problems.log, "error", lambda _what, *, path, exc_info: told.append(path))
    await http.get("/errors/bug")
    assert told == ["/errors/{name}"]


async def test_routes_whose_clients_know_another_shape_get_it_for_every_error(http: httpx2.AsyncClient) -> None:
    refusals.clear()
    bodies = {
        "store": "StoreUnavailable: the store does not answer at the moment; try again in a few seconds",
        "query": "InvalidParameter: step: is none",
        "credential": "BadCredential: the credential is not valid: unknown, malformed, expired or revoked",
        "store?limit=11": "RequestValidationError: limit: must be at most 10",
        "bug": "RuntimeError: the request failed unexpectedly; the log of the service says why",
    }
    answers = {path: await http.get(f"/other/{path}") for path in bodies}
    assert {path: answer.text for path, answer in answers.items()} == bodies
    assert {answer.status_code for answer in answers.values()} == {418}
    assert answers["store"].headers["retry-after"] == "2"
    assert "www-authenticate" in answers["credential"].headers
    assert refusals == [RefusalReason.EXPIRED]
    refused = await http.delete("/other/bug")
    assert refused.text == "HTTPException: DELETE is not allowed here; /other/bug takes GET"
    assert refused.headers["allow"] == "GET, HEAD, OPTIONS"
