"""The front door of `vigie up`: one origin for all HTTP services.

The ASGI apps of ingest, api and push run in this process, so that nothing which comes often is proxied; alerting and
healthcheck are processes of their own. A request is handed to one of them by the table that the proxy of the other
deployments is made from, `vigie_contracts.paths`; the few paths that speak for all (readiness, OpenAPI), the
files of the dashboard and the page of the inbox are answered here.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from vigie_contracts.paths import FALLBACK, Service, service_of
from vigie_contracts.problems import ProblemKind, problem
from vigie_dashboard.site import READING, Site
from vigie_web.compression import Compression
from vigie_web.middleware import HeadAsGet
from vigie_web.problems import methods_at, nothing_at, response, wrong_method

from vigie_standalone.forward import Forwarded
from vigie_standalone.inbox import page
from vigie_standalone.inbox.mailbox import Mailbox
from vigie_standalone.loopback import from_this_machine
from vigie_standalone.openapi import INTERNAL, front_door

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# What Vigie says about itself, and what it sent to others, is for who runs it. A proxy on this machine has to keep it
# from its own clients.
INTERNAL_PREFIX = "/internal/"
SERVICE_METRICS = "/internal/metrics"
"""Where push and the forwarded services show their own."""
READY = "/internal/ready/"
"""Under it the readiness of each service in this process, by its name: what targets of Vigie's own ask for."""
_HTML = "text/html; charset=utf-8"
_INGEST = Service.INGEST  # a member of an enum is looked up through its class, which takes longer than the split
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Of the inbox: the few lines of style inside it."""
SUBREQUEST_BODY_LIMIT = 4 * 1024 * 1024


class Application(Protocol):
    """What ingest and api give: an ASGI application that knows its routes and its OpenAPI document."""

    @property
    def routes(self) -> Sequence[Any]: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def openapi(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Response:
    """A whole HTTP answer."""

    status: int
    content_type: str
    body: bytes


Own = Callable[[Scope], Awaitable[Response]]


class FrontDoor:
    """An ASGI application over others. Hot routes cost one set look-up more than without it."""

    def __init__(
        self,
        ingest: Application,
        api: Application,
        *,
        push: Application | None = None,
        forwarded: Mapping[Service, Forwarded] = MappingProxyType({}),
        inbox: Mailbox | None = None,
        ingest_metrics: str = "/metrics",
        api_metrics: str = "/internal/metrics",
    ) -> None:
        """Without push, inbox or a service in `forwarded` there is nothing at its paths. The two paths are where each
        app shows its own metrics."""
        self._ingest = ingest
        self._api = api
        self._push = push
        self._forwarded = dict(forwarded)
        self._site = Site()
        self._openapi: bytes | None = None
        self._own: dict[str, Own] = {
            "/health/live": self._live,
            "/health/ready": self._ready,
            "/openapi.json": self._openapi_document,
            f"{INTERNAL}ingest": lambda _scope: _ask(self._ingest, ingest_metrics),
            f"{INTERNAL}api": lambda _scope: _ask(self._api, api_metrics),
            **({f"{INTERNAL}push": lambda _scope: _ask(push, SERVICE_METRICS)} if push else {}),
            **{
                f"{READY}{name}": partial(_ready_here, app)
                for name, app in (("ingest", ingest), ("api", api), ("push", push))
                if app is not None
            },
            **{
                f"{INTERNAL}{service}": partial(_metrics_elsewhere, elsewhere)
                for service, elsewhere in self._forwarded.items()
            },
            **({page.PATH: partial(self._inbox_page, inbox)} if inbox else {}),
        }
        self._metrics_paths = {"ingest_metrics": ingest_metrics, "api_metrics": api_metrics}
        self._own_app = HeadAsGet(Compression(self._answer_own))
        routes = (route for route in ingest.routes if "POST" in (getattr(route, "methods", None) or ()))
        paths = {str(getattr(route, "path", "")) for route in routes}
        self._written = frozenset(path for path in paths if service_of("POST", path) is _INGEST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            if scope["method"] == "POST" and scope["path"] in self._written:
                await self._ingest(scope, receive, send)
            else:
                await self._other(scope, receive, send)
        elif kind == "websocket":
            live = service_of("GET", scope["path"]) is Service.PUSH
            await (self._push if self._push is not None and live else self._api)(scope, receive, send)
        elif kind == "lifespan":
            apps = [app for app in (self._ingest, self._api, self._push) if app is not None]
            await _lifespans(apps, scope, receive, send)
            await asyncio.gather(*(elsewhere.close() for elsewhere in self._forwarded.values()))

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        owner = service_of(method, path)
        if owner is _INGEST:
            await self._ingest(scope, receive, self._refusing_for_both(scope, receive, send, self._api))
        elif owner in self._forwarded:
            await self._forwarded[owner](scope, receive, send)
        elif owner is Service.PUSH and self._push is not None:
            await self._push(scope, receive, send)
        elif owner is Service.DASHBOARD:
            await self._site(scope, receive, send)
        elif path.startswith((INTERNAL_PREFIX, page.PATH)) and not from_this_machine(scope):
            found = problem(ProblemKind.NOT_FOUND, 404, f"There is nothing at {path}.", instance=path)
            await response(found)(scope, receive, send)
        elif path in self._own and method in READING:
            await self._own_app(scope, receive, send)
        else:
            await self._api(scope, receive, self._refusing_for_both(scope, receive, send, self._ingest))

    def _refusing_for_both(self, scope: Scope, receive: Receive, send: Send, other: Application) -> Send:
        """`send`; where a service says that it has nothing at the path, or not for this method, and `other` has
        something there, the answer is about what both have."""
        method, path = scope["method"], scope["path"]
        refused = False

        async def checked(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and (message["status"] in (404, 405) or method == "OPTIONS"):
                methods, bare = self._methods_at(path), path.rstrip("/")
                if methods and method not in methods and (self._is_own(path) or methods_at(other.routes, path)):
                    refused = True
                    await wrong_method(scope, methods)(scope, receive, send)
                elif not methods and bare != path and (bare in self._own or _served(bare, other, self._push)):
                    refused = True
                    detail = nothing_at(path, self._methods_at)
                    found = problem(ProblemKind.NOT_FOUND, 404, detail, instance=path)
                    await response(found)(scope, receive, send)
            if not refused:
                await send(message)

        return checked

    def _methods_at(self, path: str) -> set[str]:
        own = set(READING) if self._is_own(path) else set[str]()
        served = [(Service.INGEST, self._ingest), (FALLBACK, self._api)]
        served += [(Service.PUSH, self._push)] if self._push is not None else []
        return own | {
            method
            for service, app in served
            for method in methods_at(app.routes, path)
            if service_of(method, path) is service
        }

    def _is_own(self, path: str) -> bool:
        return path in self._own or self._site.has(path)

    async def _answer_own(self, scope: Scope, _receive: Receive, send: Send) -> None:
        answer = await self._own[scope["path"]](scope)
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if answer.content_type.startswith("text/html"):
            headers.append((b"content-security-policy", _PAGE_POLICY.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _inbox_page(self, inbox: Mailbox, scope: Scope) -> Response:
        shown = await asyncio.to_thread(page.answer, inbox, scope["query_string"])
        if shown is None:
            return Response(404, "text/plain; charset=utf-8", b"There is no such message, or not any more.")
        return Response(200, _HTML, shown.encode())

    async def _live(self, _scope: Scope) -> Response:
        return _json(200, {"status": "live"})

    async def _ready(self, _scope: Scope) -> Response:
        here = {"ingest": self._ingest, "api": self._api, **({"push": self._push} if self._push is not None else {})}
        asked = {name: _ask(app, "/health/ready") for name, app in here.items()}
        asked |= {
            str(service): _ask_elsewhere(elsewhere, "/health/ready") for service, elsewhere in self._forwarded.items()
        }
        answers = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
        ready = all(answer.status < 300 for answer in answers.values())
        services = {name: _content(answer) for name, answer in answers.items()}
        return _json(200 if ready else 503, {"status": "ready" if ready else "not ready", "services": services})

    async def _openapi_document(self, _scope: Scope) -> Response:
        if self._openapi is not None:
            return Response(200, "application/json", self._openapi)
        others = {Service.PUSH: self._push.openapi()} if self._push is not None else {}
        answers = await asyncio.gather(*(_ask_elsewhere(one, "/openapi.json") for one in self._forwarded.values()))
        told = {
            service: answer for service, answer in zip(self._forwarded, answers, strict=True) if answer.status < 300
        }
        others |= {service: json.loads(answer.body) for service, answer in told.items()}
        whole = front_door(self._ingest.openapi(), self._api.openapi(), others, **self._metrics_paths)
        document = json.dumps(whole).encode()
        if len(told) == len(self._forwarded):  # else it is asked again
            self._openapi = document
        return Response(200, "application/json", document)


def _json(status: int, content: dict[str, Any]) -> Response:
    return Response(status, "application/json", json.dumps(content).encode())


def _content(answer: Response) -> dict[str, Any]:
    try:
        content = json.loads(answer.body) if answer.body else {}
    except ValueError:
        content = {}
    return {"code": answer.status, **(content if isinstance(content, dict) else {})}


async def _ask_elsewhere(service: Forwarded, path: str) -> Response:
    """One GET of another process."""
    return Response(*await service.get(path))


async def _metrics_elsewhere(service: Forwarded, _scope: Scope) -> Response:
    return await _ask_elsewhere(service, SERVICE_METRICS)


async def _ready_here(app: Application, _scope: Scope) -> Response:
    return await _ask(app, "/health/ready")


async def _ask(app: Application, path: str) -> Response:
    """One GET inside the process."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"vigie.internal"), (b"accept", b"*/*")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
    status, content_type = 500, "application/octet-stream"
    body = bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, content_type
        if message["type"] == "http.response.start":
            status = message["status"]
            names = {bytes(k).lower(): bytes(v) for k, v in message.get("headers", ())}
            content_type = names.get(b"content-type", b"application/octet-stream").decode("latin-1")
        elif message["type"] == "http.response.body" and len(body) < SUBREQUEST_BODY_LIMIT:
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return Response(status, content_type, bytes(body))


async def _lifespans(apps: list[Application], scope: Scope, receive: Receive, send: Send) -> None:
    """Start the apps in order, stop them in reverse; one that fails stops those that were started."""
    await receive()  # lifespan.startup
    running: list[_Lifespan] = []
    for app in apps:
        lifespan = _Lifespan(app, scope)
        if (failure := await lifespan.start()) is not None:
            await _stop_all(running)
            await send({"type": "lifespan.startup.failed", "message": failure})
            return
        running.append(lifespan)
    await send({"type": "lifespan.startup.complete"})
    await receive()  # lifespan.shutdown
    failures = await _stop_all(running)
    if failures:
        await send({"type": "lifespan.shutdown.failed", "message": "; ".join(failures)})
    else:
        await send({"type": "lifespan.shutdown.complete"})


async def _stop_all(running: "list[_Lifespan]") -> list[str]:
    return [failure for lifespan in reversed(running) if (failure := await lifespan.stop()) is not None]


class _Lifespan:
    """The lifespan conversation with one application."""

    def __init__(self, app: Application, scope: Scope) -> None:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue(2)
        self._from_app: asyncio.Queue[Message] = asyncio.Queue(2)
        # Ours keep their state on themselves; a scope of its own keeps one app's state from the other.
        own_scope = {**scope, "state": {}}
        self._task = asyncio.create_task(self._run(app, own_scope))

    async def start(self) -> str | None:
        """None when it started, else why not."""
        await self._to_app.put({"type": "lifespan.startup"})
        return self._failure(await self._from_app.get())

    async def stop(self) -> str | None:
        """None when it stopped, else why not."""
        await self._to_app.put({"type": "lifespan.shutdown"})
        failure = self._failure(await self._from_app.get())
        await self._task
        return failure

    async def _run(self, app: Application, scope: Scope) -> None:
        try:
            await app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:  # noqa: BLE001 - ASGI: an exception here is the answer "failed"
            await self._from_app.put({"type": "failed", "message": f"{type(error).__name__}: {error}"})

    @staticmethod
    def _failure(message: Message) -> str | None:
        return None if message["type"].endswith(".complete") else str(message.get("message", "no reason given"))


def _served(path: str, *apps: Application | None) -> bool:
    return any(methods_at(app.routes, path) for app in apps if app is not None)
