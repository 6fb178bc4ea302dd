"""What an app answers to what it does not take, and to its own bugs."""

from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from vigie_contracts.problems import Kind, problem
from vigie_web import problems
from vigie_web.problems import Words

INSTANCE = Words(lambda request, error: f"{request.method}: {error.detail}", bug="it was logged")
NO_INSTANCE = Words(INSTANCE.refused, INSTANCE.bug, instance=False)


async def boom(_request: Request) -> Response:
    raise RuntimeError("secret")


async def refused(request: Request) -> Response:
    raise HTTPException(int(request.path_params["status"]), "told", {"x-why": "so"})


@pytest_asyncio.fixture(params=[INSTANCE, NO_INSTANCE], ids=["instance", "no instance"])
async def http(request: pytest.FixtureRequest) -> AsyncIterator[httpx2.AsyncClient]:
    app = Starlette(routes=[Route("/boom", boom), Route("/refused/{status}", refused)])
    problems.install(app, request.param)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as client:
        client.headers["x-instance"] = str(request.param.instance)
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "detail"),
    [
        ("GET", "/nothing", 404, "not-found", "GET: Not Found"),
        ("DELETE", "/boom", 405, "method-not-allowed", "DELETE: Method Not Allowed"),
        ("GET", "/refused/413", 413, "too-large", "GET: told"),
        ("GET", "/refused/415", 415, "unsupported-media-type", "GET: told"),
        ("GET", "/refused/400", 400, "malformed-body", "GET: told"),
        ("GET", "/refused/409", 409, "invalid-request", "GET: told"),
        ("GET", "/boom", 500, "internal-error", "it was logged"),
    ],
)
async def test_every_error_is_a_problem(  # noqa: PLR0917
    http: httpx2.AsyncClient, method: str, path: str, status: int, kind: str, detail: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    body = answer.json()
    assert (body["type"], body["status"], body["detail"], body["message"]) == (
        f"/problems/{kind}", status, detail, detail,
    )  # fmt: skip
    assert body.get("instance") == (path if http.headers["x-instance"] == "True" else None)
    assert "secret" not in answer.text


async def test_headers_of_a_refusal_are_kept(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/refused/404")).headers["x-why"] == "so"
    assert "GET" in (await http.delete("/boom")).headers["allow"]


def test_seconds_to_wait_are_a_header_too() -> None:
    answer = problems.response(problem(Kind.STORE_AWAY, 503, "later", retry_after=2), {"x-why": "so"})
    assert (answer.headers["retry-after"], answer.headers["x-why"]) == ("2", "so")
    assert "retry-after" not in problems.response(problem(Kind.INVALID, 422, "no")).headers
