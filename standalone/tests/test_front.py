"""The front door: who answers which path, both lifespans, one readiness, one OpenAPI document."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.routing import BaseRoute
from vigie_api.app import create_app as create_api
from vigie_api.settings import ApiSettings
from vigie_contracts.paths import Service, service_of
from vigie_ingest.app import create_app as create_ingest
from vigie_ingest.settings import IngestSettings
from vigie_push.app import create_app as create_push
from vigie_push.settings import PushSettings
from vigie_standalone.forward import Forwarded
from vigie_standalone.front import FrontDoor
from vigie_standalone.inbox import messages
from vigie_standalone.inbox.mailbox import Mailbox
from vigie_standalone.openapi import front_door, merge
from vigie_web.problems import methods_at


class App:
    """An ASGI app that says who it is and remembers its lifespan."""

    routes: Sequence[BaseRoute] = ()

    def __init__(self, name: str, log: list[str], *, ready: int = 200, fail: str = "") -> None:
        self.name, self.log, self.ready, self.fail = name, log, ready, fail

    def openapi(self) -> dict[str, Any]:
        method = "post" if self.name == "ingest" else "get"
        return {"openapi": "3.1.0", "info": {"version": "1"}, "paths": {f"/{self.name}": {method: {}}}}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
            return
        body = json.dumps({"app": self.name, "path": scope["path"]}).encode()
        status = self.ready if scope["path"] == "/health/ready" else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body})

    async def lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        if self.fail:
            if self.fail == "raise":
                raise RuntimeError("no Kafka")
            await send({"type": "lifespan.startup.failed", "message": self.fail})
            return
        self.log.append(f"{self.name} up")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.log.append(f"{self.name} down")
        await send({"type": "lifespan.shutdown.complete"})


def door(**of_api: Any) -> FrontDoor:
    return FrontDoor(App("ingest", []), App("api", [], **of_api))


async def ask(front: FrontDoor, method: str, path: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=front)
    async with httpx2.AsyncClient(transport=transport, base_url="http://vigie.test:3000") as client:
        return await client.request(method, path, headers=headers)


@pytest.mark.parametrize(
    ("method", "path", "app"),
    [
        ("POST", "/telemetry", "ingest"),
        ("POST", "/api/metrics/custom", "ingest"),
        ("POST", "/api/metrics/batch", "ingest"),
        ("POST", "/api/events", "ingest"),
        ("POST", "/v1/metrics", "ingest"),
        ("POST", "/api/v1/write", "ingest"),
        ("OPTIONS", "/api/events", "ingest"),
        ("GET", "/api/events", "ingest"),
        ("POST", "/api/metrics/summary", "api"),
        ("GET", "/api/metrics/summary", "api"),
        ("GET", "/api/dashboard/summary", "api"),
        ("POST", "/api/alerts/rules", "api"),
        ("GET", "/metrics", "api"),
        ("GET", "/docs", "api"),
        ("GET", "/nowhere", "api"),
    ],
)
async def test_request_reaches_the_service_that_owns_the_path(method: str, path: str, app: str) -> None:
    answer = await ask(door(), method, path)
    assert answer.json() == {"app": app, "path": path}


async def test_each_services_own_metrics_have_an_address() -> None:
    assert (await ask(door(), "GET", "/internal/metrics/ingest")).json()["app"] == "ingest"
    assert (await ask(door(), "GET", "/internal/metrics/api")).json()["app"] == "api"


@pytest.mark.parametrize(
    ("client", "status"),
    [("127.0.0.1", 200), ("::1", 200), ("::ffff:127.0.0.1", 200), ("192.0.2.7", 404), ("2001:db8::7", 404), ("", 404)],
)
async def test_internal_paths_are_there_for_this_machine_only(client: str, status: int) -> None:
    transport = httpx2.ASGITransport(app=door(), client=(client, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://vigie.test:3000") as other:
        for path in ("/internal/metrics", "/internal/metrics/ingest", "/internal/metrics/api"):
            answer = await other.get(path)
            assert answer.status_code == status
            if status == 404:
                assert answer.headers["content-type"] == "application/problem+json"
        assert (await other.get("/metrics")).status_code == 200


async def test_ready_only_when_both_are() -> None:
    good = await ask(door(), "GET", "/health/ready")
    assert good.status_code == 200
    bad = await ask(door(ready=503), "GET", "/health/ready")
    assert bad.status_code == 503
    assert bad.json()["services"]["ingest"]["code"] == 200
    assert bad.json()["services"]["api"]["code"] == 503
    assert (await ask(door(ready=503), "GET", "/health/live")).status_code == 200


async def test_each_service_of_this_process_says_whether_it_is_ready() -> None:
    front = FrontDoor(App("ingest", []), App("api", [], ready=503), push=App("push", []))
    answers = {name: await ask(front, "GET", f"/internal/ready/{name}") for name in ("ingest", "api", "push")}
    assert {name: answer.status_code for name, answer in answers.items()} == {"ingest": 200, "api": 503, "push": 200}
    assert answers["push"].json() == {"app": "push", "path": "/health/ready"}


class Elsewhere(httpx2.AsyncBaseTransport):
    """A service, as another process; what it was asked."""

    def __init__(self, service: Service = Service.ALERTING, path: str = "/api/alerts/{id}") -> None:
        self.service, self.path = service, path
        self.asked: list[httpx2.Request] = []
        self.away = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.away:
            raise httpx2.ConnectError("refused")
        self.asked.append(request)
        if request.url.path == "/openapi.json":
            return httpx2.Response(200, json={"paths": {self.path: {"get": {}}, "/metrics": {"get": {}}}})
        body = {"app": self.service, "path": request.url.path, "sent": (await request.aread()).decode()}
        whole = json.dumps(body).encode()

        async def pieces() -> AsyncIterator[bytes]:
            yield whole[:5]
            yield whole[5:]

        headers = {"x-frame-options": "DENY", "ratelimit-limit": "5", "date": "now"}
        return httpx2.Response(201, content=pieces(), headers=headers)

    def door(self, *others: "Elsewhere") -> FrontDoor:
        forwarded = {
            one.service: Forwarded("http://127.0.0.1:25000", httpx2.AsyncClient(transport=one))
            for one in (self, *others)
        }
        return FrontDoor(App("ingest", []), App("api", []), forwarded=forwarded)


async def test_alerts_are_asked_of_alerting_with_everything_that_was_said() -> None:
    alerting = Elsewhere()
    transport = httpx2.ASGITransport(app=alerting.door(), client=("192.0.2.7", 1234))
    headers = {"authorization": "Bearer t", "accept-encoding": "identity", "x-forwarded-for": "198.51.100.1"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://vigie.test:3000", headers=headers) as client:
        answer = await client.post("/api/alerts/rules?dry=a%20b", json={"name": "x"})
        assert (await client.get("/api/v1/rules")).json()["app"] == "alerting"
        assert (await client.get("/api/alerting")).json()["app"] == "api"
    assert (answer.status_code, answer.json()["path"]) == (201, "/api/alerts/rules")
    assert answer.json()["sent"] == '{"name":"x"}'
    assert answer.headers["ratelimit-limit"] == "5"
    assert not {"x-frame-options", "date"} & set(answer.headers)  # the front door's own are written by its server
    asked, read = alerting.asked
    assert asked.url.raw_path == b"/api/alerts/rules?dry=a%20b"
    assert asked.headers["x-forwarded-for"] == "198.51.100.1, 192.0.2.7"
    assert asked.headers["authorization"] == "Bearer t"
    assert asked.headers["host"] == "127.0.0.1:25000"
    assert "transfer-encoding" not in asked.headers
    assert read.headers["accept-encoding"] == "identity"
    assert not {"content-length", "transfer-encoding"} & set(read.headers)


async def test_alerting_that_is_away_is_said_and_takes_nothing_else_along() -> None:
    alerting = Elsewhere()
    alerting.away = True
    front = alerting.door()
    answer = await ask(front, "GET", "/api/alerts")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.headers["retry-after"] == "5"
    assert (await ask(front, "GET", "/api/series")).json()["app"] == "api"
    assert (await ask(front, "GET", "/health/ready")).json()["services"]["alerting"]["code"] == 503
    assert "/api" in (await ask(front, "GET", "/openapi.json")).json()["paths"]
    alerting.away = False
    assert set((await ask(front, "GET", "/openapi.json")).json()["paths"]) >= {"/api", "/api/alerts/{id}"}
    assert (await ask(front, "GET", "/health/ready")).status_code == 200
    assert (await ask(front, "GET", "/internal/metrics/alerting")).json()["path"] == "/internal/metrics"


async def test_each_forwarded_service_has_its_paths_and_is_away_alone() -> None:
    alerting, health = Elsewhere(), Elsewhere(Service.HEALTHCHECK, "/api/health/services/{name}")
    front = alerting.door(health)
    for path in ("/api/health", "/api/health/services/a%2Fb", "/status/acme.json"):
        answer = await ask(front, "GET", path)
        assert (answer.status_code, answer.json()["app"]) == (201, "healthcheck"), path
    assert health.asked[1].url.raw_path == b"/api/health/services/a%2Fb"
    assert (await ask(front, "GET", "/api/alerts")).json()["app"] == "alerting"
    assert (await ask(front, "GET", "/internal/metrics/healthcheck")).json()["app"] == "healthcheck"
    assert (await ask(front, "GET", "/health")).json()["app"] == "api"
    for path in ("/health/live", "/health/ready"):
        assert (await ask(front, "GET", path)).status_code == 200
    alerting.away = True
    services = (await ask(front, "GET", "/health/ready")).json()["services"]
    assert (services["alerting"]["code"], services["healthcheck"]["code"]) == (503, 201)
    both, told = {"/api/alerts/{id}", "/api/health/services/{name}"}, {"/api/health/services/{name}"}
    assert both & set((await ask(front, "GET", "/openapi.json")).json()["paths"]) == told
    alerting.away = False
    assert both <= set((await ask(front, "GET", "/openapi.json")).json()["paths"])
    assert "/metrics" not in (await ask(front, "GET", "/openapi.json")).json()["paths"]


async def test_connections_to_forwarded_services_are_closed_at_the_end() -> None:
    alerting, health = Elsewhere(), Elsewhere(Service.HEALTHCHECK)
    front = alerting.door(health)
    await lifespan(front)
    assert all(elsewhere._client.is_closed for elsewhere in front._forwarded.values())


async def test_page_of_the_inbox_is_there_where_it_runs_for_this_machine_only(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.add(messages.call("/hook", {}, b'{"a": "<b>"}', 1_795_255_651_805))
    front = FrontDoor(App("ingest", []), App("api", []), inbox=mailbox)
    listed = await ask(front, "GET", "/inbox")
    assert listed.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in listed.headers["content-security-policy"]
    assert 'href="/inbox?message=1"' in listed.text
    shown = await ask(front, "GET", "/inbox?message=1")
    assert "&lt;b&gt;" in shown.text
    for wrong in ("2", "x", "9" * 30, "-1", ""):
        assert (await ask(front, "GET", f"/inbox?message={wrong}")).status_code in (200 if not wrong else 404,)
    transport = httpx2.ASGITransport(app=front, client=("192.0.2.7", 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://vigie.test:3000") as other:
        assert (await other.get("/inbox")).status_code == 404
    assert (await ask(door(), "GET", "/inbox")).json()["app"] == "api"


async def test_a_browser_gets_the_dashboard_and_what_it_loads() -> None:
    page = await ask(door(), "GET", "/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "unsafe" not in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="(assets/[^"]+)"', page.text)
    assert len(loaded) > 5
    for path in loaded:
        answer = await ask(door(), "GET", f"/{path}")
        assert answer.status_code == 200, path
        again = await ask(door(), "GET", f"/{path}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert (await ask(door(), "HEAD", "/")).content == b""
    for wrong in ("/assets/nothing.js", "/assets/", "/assets/vendor/SHA256SUMS"):
        answer = await ask(door(), "GET", wrong)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found"), wrong


@pytest.fixture(scope="module")
def whole() -> FrontDoor:
    """Both services, not connected: what needs their stores answers 503."""
    servers = {"kafka_bootstrap_servers": "nowhere:1", "mongodb_uri": "mongodb://m:1", "redis_url": "redis://r:1"}
    push = create_push(PushSettings(**servers))
    return FrontDoor(create_ingest(IngestSettings(**servers)), create_api(ApiSettings(**servers)), push=push)


async def visit(front: FrontDoor, method: str, path: str, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client_of(front).request(method, path, headers=named)


@cache
def client_of(front: FrontDoor) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=front), base_url="http://localhost:3000")


def addresses(front: FrontDoor) -> list[str]:
    """Every path of both services, with something in the place of what it names."""
    assert front._push is not None
    apps = (front._ingest, front._api, front._push)
    found = {path for app in apps for path in app.openapi()["paths"]} | {"/", "/docs", "/redoc", "/openapi.json"}
    return sorted({re.sub(r"{\w+}", "x", path) for path in found} - {"/internal/metrics"})


def refusal(answer: httpx2.Response, path: str) -> tuple[str, str]:
    """Type and sentence, in the shape that clients of the path know."""
    prometheus = path.startswith("/api/v1/") and path != "/api/v1/write"
    kind, sentence = ("errorType", "error") if prometheus else ("type", "detail")
    return answer.json()[kind], answer.json()[sentence]


async def test_a_method_is_refused_by_who_has_the_path(whole: FrontDoor) -> None:
    """Also where another process takes what is written below the same path, as the proxy does it."""
    apps = {Service.INGEST: whole._ingest, Service.API: whole._api}
    for path in {path for app in apps.values() for path in app.openapi()["paths"]}:
        for method in ("GET", "POST", "PUT", "DELETE"):
            if (method, path.endswith("/metrics/aggregated")) == ("POST", True):
                continue  # an app's name may hold slashes: ingest has all writes below, and says 404 here
            assert methods_at(apps[service_of(method, path)].routes, path), f"{method} {path}"


async def test_every_path_says_what_it_takes_and_takes_it(whole: FrontDoor) -> None:
    for path in [*addresses(whole), "/internal/metrics/api"]:
        options = await visit(whole, "OPTIONS", path)
        assert (options.status_code, options.content) == (204, b""), path
        allow = set(options.headers["allow"].split(", "))
        assert {"OPTIONS"} < allow
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            answer = await visit(whole, method, path)
            assert (answer.status_code == 405) == (method not in allow), f"{method} {path}"
            assert answer.status_code != 404, f"{method} {path}"
            if answer.status_code == 405:
                assert set(answer.headers["allow"].split(", ")) == allow, f"{method} {path}"
                assert method == "HEAD" or refusal(answer, path)[0] in ("/problems/method-not-allowed", "bad_data")


async def test_head_is_get_without_its_body(whole: FrontDoor) -> None:
    asset = "/static-offline-docs/swagger-ui.css"
    for path in [*addresses(whole), asset, "/internal/metrics/ingest", "/nowhere"]:
        get, head = await visit(whole, "GET", path), await visit(whole, "HEAD", path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        if "/metrics" in path and get.status_code == 200:
            continue  # it is longer each time
        assert head.headers == get.headers, path
    assert (await visit(whole, "HEAD", asset)).headers["etag"]


async def test_what_the_front_door_and_the_services_answer_is_compressed_when_asked(whole: FrontDoor) -> None:
    long = ("/", "/openapi.json", "/static-offline-docs/swagger-ui.css", "/internal/metrics/api")
    for path in long:
        for coding in ("gzip", "zstd"):
            answer = await visit(whole, "GET", path, accept_encoding=coding)
            assert (answer.headers["content-encoding"], answer.headers["vary"]) == (coding, "Accept-Encoding"), path
        assert "content-encoding" not in (await visit(whole, "GET", path, accept_encoding="identity")).headers


async def test_no_path_sends_a_caller_elsewhere_for_a_slash(whole: FrontDoor) -> None:
    for path in addresses(whole)[1:]:
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            answer = await visit(whole, method, f"{path}/")
            assert answer.status_code == 404, f"{method} {path}/"
            assert "location" not in answer.headers
            if method != "HEAD":
                assert refusal(answer, path)[1].endswith("without the slash at its end there is"), path


async def test_a_browser_that_opens_a_path_for_writes_reads_what_it_takes(whole: FrontDoor) -> None:
    for path in ("/telemetry", "/api/events", "/api/metrics/custom", "/auth/login"):
        page = await visit(whole, "GET", path, accept="text/html,application/xhtml+xml,*/*;q=0.8")
        assert (page.status_code, page.headers["allow"]) == (405, "OPTIONS, POST")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert f"<code>{path}</code> takes POST" in page.text
        assert 'href="/docs"' in page.text
    shared = await visit(whole, "DELETE", "/api/metrics/business")
    assert shared.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_openapi_document_has_the_paths_of_both() -> None:
    document = (await ask(door(), "GET", "/openapi.json")).json()
    assert set(document["paths"]) == {"/ingest", "/api", "/health/live", "/health/ready"}


def own_metrics(tag: str) -> dict[str, Any]:
    return {"get": {"tags": [tag], "responses": {"200": {"description": tag}}, "security": []}}


def test_openapi_document_says_who_answers_at_the_front_door() -> None:
    ingest = {
        "paths": {
            "/metrics": own_metrics("operations"),
            "/health/ready": {"get": {"tags": ["operations"]}},
            "/telemetry": {"post": {"tags": ["intake"]}},
        }
    }
    api = {
        "tags": [{"name": "exposition", "description": "For Prometheus"}, {"name": "health", "description": "Watch"}],
        "paths": {
            "/metrics": {"get": {"tags": ["exposition"], "security": [{"apiKey": []}]}},
            "/internal/metrics": own_metrics("health"),
            "/health/ready": {"get": {"tags": ["health"]}},
        },
    }
    document = front_door(ingest, api, ingest_metrics="/metrics", api_metrics="/internal/metrics")
    paths = document["paths"]
    assert paths["/metrics"]["get"] == {"tags": ["exposition"], "security": [{"apiKey": []}]}
    assert paths["/internal/metrics/ingest"]["get"]["responses"]["200"] == {"description": "operations"}
    assert paths["/internal/metrics/api"]["get"]["responses"]["200"] == {"description": "health"}
    assert "/internal/metrics" not in paths
    assert set(paths["/health/ready"]["get"]["responses"]) == {"200", "503"}
    used = {tag for item in paths.values() for operation in item.values() for tag in operation["tags"]}
    assert used == {"intake", "exposition", "health"}
    assert used == {tag["name"] for tag in document["tags"] if tag["description"]}


async def lifespan(front: FrontDoor) -> list[str]:
    to_app = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    said: list[str] = []

    async def receive() -> dict[str, Any]:
        return next(to_app)

    async def send(message: Any) -> None:
        said.append(f"{message['type']} {message.get('message', '')}".strip())

    await front({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return said


async def test_both_lifespans_run_in_order_and_end_in_reverse() -> None:
    log: list[str] = []
    said = await lifespan(FrontDoor(App("ingest", log), App("api", log)))
    assert log == ["ingest up", "api up", "api down", "ingest down"]
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(("fail", "reason"), [("no MongoDB", "no MongoDB"), ("raise", "RuntimeError: no Kafka")])
async def test_failed_start_of_one_stops_the_other_and_says_why(fail: str, reason: str) -> None:
    log: list[str] = []
    said = await lifespan(FrontDoor(App("ingest", log), App("api", log, fail=fail)))
    assert log == ["ingest up", "ingest down"]
    assert said == [f"lifespan.startup.failed {reason}"]


def test_component_of_same_name_and_other_content_is_renamed_with_its_references() -> None:
    ref = {"$ref": "#/components/schemas/Problem"}
    first = {"paths": {"/w": {"post": ref}}, "components": {"schemas": {"Problem": {"a": 1}, "Same": {"s": 1}}}}
    second = {"paths": {"/r": {"get": ref}}, "components": {"schemas": {"Problem": {"b": 2}, "Same": {"s": 1}}}}
    merged = merge(first, second)
    assert merged["paths"]["/w"]["post"]["$ref"] == "#/components/schemas/Problem"
    assert merged["paths"]["/r"]["get"]["$ref"] == "#/components/schemas/Problem2"
    assert set(merged["components"]["schemas"]) == {"Problem", "Problem2", "Same"}


def test_components_of_one_name_in_three_documents_stay_three() -> None:
    def document(path: str, content: int) -> dict[str, Any]:
        schemas = {"Page": {"a": content}}
        return {"paths": {path: {"get": {"$ref": "#/components/schemas/Page"}}}, "components": {"schemas": schemas}}

    merged = merge(merge(document("/1", 1), document("/2", 2)), document("/3", 3))
    named = [merged["paths"][path]["get"]["$ref"].rpartition("/")[2] for path in ("/1", "/2", "/3")]
    assert [merged["components"]["schemas"][name] for name in named] == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_path_of_both_keeps_the_methods_of_both() -> None:
    merged = merge({"paths": {"/x": {"post": {"w": 1}}}}, {"paths": {"/x": {"get": {"r": 1}, "post": {"no": 1}}}})
    assert merged["paths"]["/x"] == {"get": {"r": 1}, "post": {"w": 1}}
