"""Middleware on real FastAPI, Starlette and Flask applications: templates as labels, and nothing else changes."""

import asyncio
from collections import Counter

import flask
import httpx2
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from vigie_client import Client, VigieASGI, VigieWSGI
from vigie_client.requests import DURATION, ERRORS, MAX_ENDPOINTS, REQUESTS, Requests


class Recorded:
    """What the middleware recorded, and how often it made sure that sending is on."""

    def __init__(self) -> None:
        self.started = 0
        self.flushed: list[tuple[float, bool]] = []
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.errors: Counter[tuple[str, str, str]] = Counter()
        self.durations: dict[str, list[float]] = {}

    exit_timeout = 3.0

    def start(self) -> None:
        self.started += 1

    def flush(self, timeout=10.0, *, hurry=False) -> bool:
        self.flushed.append((timeout, hurry))
        return True

    def counter(self, name, value=1, labels=None) -> None:
        if name == REQUESTS:
            self.requests[labels["method"], labels["endpoint"], labels["status"]] += value
        else:
            assert name == ERRORS
            self.errors[labels["method"], labels["endpoint"], labels["error"]] += value

    def histogram(self, name, value, labels=None) -> None:
        assert name == DURATION
        self.durations.setdefault(labels["endpoint"], []).append(value)


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def fastapi_app(recorded: Recorded, tmp_path) -> FastAPI:
    inner = APIRouter(prefix="/orders/{order}")
    outer = APIRouter(prefix="/shops/{shop}")
    sub = FastAPI()
    app = FastAPI()

    @inner.get("/lines/{line}")
    async def line(shop: str, order: str, line: str) -> str:
        return "ok"

    @sub.get("/deep/{key}")
    async def deep(key: str) -> str:
        return "ok"

    @app.get("/users/{user}")
    async def user(user: int) -> str:
        if user == 13:
            raise ZeroDivisionError
        if user == 404:
            raise HTTPException(404)
        if user == 503:
            raise HTTPException(503)
        return "ok"

    @app.post("/")
    async def home(after: BackgroundTasks) -> str:
        after.add_task(asyncio.sleep, 0.3)
        return "ok"

    outer.include_router(inner)
    app.include_router(outer)
    app.mount("/sub/{which}", sub)
    (tmp_path / "a.txt").write_text("a")
    app.mount("/static", StaticFiles(directory=tmp_path))
    app.add_middleware(VigieASGI, client=recorded)
    return app


async def ask(app, *requests: tuple[str, str]) -> list[int]:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as http:
        return [(await http.request(method, path)).status_code for method, path in requests]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/users/7", ("GET", "/users/{user}", "200")),
        ("GET", "/users/404", ("GET", "/users/{user}", "404")),
        ("GET", "/users/word", ("GET", "/users/{user}", "422")),
        ("DELETE", "/users/7", ("DELETE", "/users/{user}", "405")),
        ("POST", "/", ("POST", "/", "200")),
        ("GET", "/shops/4/orders/5/lines/6", ("GET", "/shops/{shop}/orders/{order}/lines/{line}", "200")),
        ("GET", "/sub/9/deep/8", ("GET", "/sub/{which}/deep/{key}", "200")),
        ("GET", "/sub/9/nothing/8", ("GET", "/sub/{which}/*", "404")),
        ("GET", "/static/a.txt", ("GET", "/static/*", "200")),
        ("GET", "/static/b.txt", ("GET", "/static/*", "404")),
        ("GET", "/docs", ("GET", "/docs", "200")),
        ("GET", "/wp-admin/8231", ("GET", "unmatched", "404")),
        ("BREW", "/users/7", ("other", "/users/{user}", "405")),
    ],
)
async def test_fastapi_request_has_the_template_of_its_route(recorded, tmp_path, method, path, expected) -> None:
    await ask(fastapi_app(recorded, tmp_path), (method, path))
    assert recorded.requests == {expected: 1}
    assert len(recorded.durations[expected[1]]) == 1
    assert recorded.errors == {}
    assert recorded.started == 1


async def test_fastapi_error_is_counted_and_goes_on(recorded, tmp_path) -> None:
    app = fastapi_app(recorded, tmp_path)
    assert await ask(app, ("GET", "/users/13"), ("GET", "/users/503")) == [500, 503]
    assert recorded.requests == {("GET", "/users/{user}", "500"): 1, ("GET", "/users/{user}", "503"): 1}
    assert recorded.errors == {("GET", "/users/{user}", "ZeroDivisionError"): 1, ("GET", "/users/{user}", "503"): 1}
    with pytest.raises(ZeroDivisionError):
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://app") as http:
            await http.get("/users/13")


async def test_background_tasks_are_no_waiting_time(recorded, tmp_path) -> None:
    await ask(fastapi_app(recorded, tmp_path), ("POST", "/"))
    assert recorded.durations["/"][0] < 0.3


async def test_starlette_mounts_and_streams(recorded) -> None:
    async def answer(request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def stream(request) -> StreamingResponse:
        async def parts():
            for _ in range(3):
                await asyncio.sleep(0.02)  # a stream takes its time, and that time is measured
                yield b"x"

        return StreamingResponse(parts())

    routes = [
        Route("/plain", answer),
        Route("/stream", stream),
        Mount("/v1", routes=[Mount("/t/{tenant}", routes=[Route("/items/{item:int}", answer), Route("/", answer)])]),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(VigieASGI, client=recorded)
    paths = ["/plain", "/stream", "/v1/t/acme/items/7", "/v1/t/acme/", "/v1/t/acme/other", "/v1/none"]
    assert await ask(app, *[("GET", path) for path in paths]) == [200, 200, 200, 200, 404, 404]
    assert set(recorded.requests) == {
        ("GET", "/plain", "200"),
        ("GET", "/stream", "200"),
        ("GET", "/v1/t/{tenant}/items/{item:int}", "200"),
        ("GET", "/v1/t/{tenant}/", "200"),
        ("GET", "/v1/t/{tenant}/*", "404"),
        ("GET", "/v1/*", "404"),
    }
    assert recorded.durations["/stream"][0] >= 0.06


async def test_request_that_is_given_up_is_no_error_of_the_application(recorded) -> None:
    async def slow(scope, receive, send) -> None:
        await asyncio.Event().wait()

    asked = asyncio.create_task(VigieASGI(slow, recorded)({"type": "http", "method": "GET", "path": "/"}, None, None))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert recorded.requests == {("GET", "unmatched", "499"): 1}
    assert recorded.errors == {}


async def test_own_function_names_the_endpoint_and_its_failure_harms_nobody(recorded) -> None:
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert await ask(VigieASGI(app, recorded, endpoint=lambda scope: "/mine"), ("GET", "/1")) == [204]
    assert await ask(VigieASGI(app, recorded, endpoint=lambda scope: scope["nothing"]), ("GET", "/2")) == [204]
    assert set(recorded.requests) == {("GET", "/mine", "204"), ("GET", "unmatched", "204")}


async def test_websockets_pass_untouched(recorded) -> None:
    seen = []

    async def app(scope, receive, send) -> None:
        seen.append((scope["type"], receive, send))

    await VigieASGI(app, recorded)({"type": "websocket"}, 1, 2)
    assert seen == [("websocket", 1, 2)]
    assert recorded.requests == {}


async def test_what_was_recorded_is_sent_before_the_shutdown_is_complete(recorded) -> None:
    app, told = Starlette(), iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    app.add_middleware(VigieASGI, client=recorded)
    sent = []

    async def receive():
        return next(told)

    async def send(message) -> None:
        sent.append((message["type"], list(recorded.flushed)))

    await app({"type": "lifespan", "app": app, "state": {}}, receive, send)
    assert sent == [("lifespan.startup.complete", []), ("lifespan.shutdown.complete", [(3.0, True)])]
    assert recorded.started == 1


def flask_app(recorded) -> flask.Flask:
    app = flask.Flask("shop")
    blueprint = flask.Blueprint("orders", "orders", url_prefix="/shops/<shop>")

    @blueprint.get("/orders/<int:order>")
    def order(shop: str, order: int) -> str:
        if order == 13:
            raise ZeroDivisionError
        return "ok"

    @app.get("/stream")
    def stream() -> flask.Response:
        def parts():
            yield b"x"
            yield b"y"

        return flask.Response(parts())

    @app.get("/breaks")
    def breaks() -> flask.Response:
        def parts():
            yield b"x"
            raise ConnectionError

        return flask.Response(parts())

    app.register_blueprint(blueprint)
    app.wsgi_app = VigieWSGI(app.wsgi_app, recorded)
    return app


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/shops/a/orders/7", ("GET", "/shops/<shop>/orders/<int:order>", "200")),
        ("POST", "/shops/a/orders/7", ("POST", "unmatched", "405")),
        ("GET", "/shops/a/orders/word", ("GET", "unmatched", "404")),
        ("GET", "/wp-admin/8231", ("GET", "unmatched", "404")),
        ("GET", "/stream", ("GET", "/stream", "200")),
        ("BREW", "/stream", ("other", "unmatched", "405")),
    ],
)
def test_flask_request_has_the_rule_of_its_route(recorded, method, path, expected) -> None:
    response = flask_app(recorded).test_client().open(path, method=method)
    response.get_data()
    response.close()
    assert recorded.requests == {expected: 1}
    assert recorded.started == 1


def test_flask_error_is_counted(recorded) -> None:
    with flask_app(recorded).test_client().get("/shops/a/orders/13") as response:
        assert response.status_code == 500
    endpoint = "/shops/<shop>/orders/<int:order>"
    assert recorded.errors == {("GET", endpoint, "500"): 1}
    app = flask_app(recorded)
    app.testing = True
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/shops/a/orders/13")
    assert recorded.errors["GET", endpoint, "ZeroDivisionError"] == 1
    with pytest.raises(ConnectionError):
        app.test_client().get("/breaks").get_data()
    assert recorded.errors["GET", "/breaks", "ConnectionError"] == 1


def test_series_are_bounded_whatever_an_application_calls_its_routes(recorded) -> None:
    requests = Requests(recorded)
    for i in range(MAX_ENDPOINTS + 500):
        requests.record(f"M{i}", f"/made/up/{i}", 1000 + i, 0.1, type(f"Error{i}", (Exception,), {})())
    assert len(recorded.requests) == MAX_ENDPOINTS + 1
    assert {method for method, _, _ in recorded.requests} == {"other"}
    assert {status for _, _, status in recorded.requests} == {"other"}
    assert len({error for _, _, error in recorded.errors}) == 101
    assert ("other", "other", "other") in recorded.requests


async def test_middleware_with_a_real_client_sends_by_itself(server) -> None:
    client = Client(server.url, service="shop", handle_sigterm=False)
    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: int) -> int:
        return item

    app.add_middleware(VigieASGI, client=client)
    await ask(app, *[("GET", f"/items/{i}") for i in range(20)])
    assert await asyncio.to_thread(client.flush)
    client.stop()
    assert server.sums()[REQUESTS, "/items/{item}", "GET", "shop", "200"] == 20
    assert sum(item["name"] == DURATION for item in server.counted) == 20
