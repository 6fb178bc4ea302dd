"""Runs a service without an HTTP API, and serves its /health/live, /health/ready and /metrics."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import msgspec
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send
from vigie_contracts.problems import CONTENT_TYPE, ProblemKind, problem
from vigie_runtime.errors import RETRY_AFTER_S
from vigie_runtime.lifespan import Worker, run_worker
from vigie_runtime.metrics import exposition
from vigie_runtime.settings import Settings

from vigie_web.connection import Connection
from vigie_web.health import Check, Live, readiness
from vigie_web.process import connections, tune_garbage_collection
from vigie_web.request_guard import RequestGuard, trusted_hosts

JSON: Final = "application/json"
MAX_CONNECTIONS: Final = 1_000
"""More than anybody needs: those that send nothing must not keep out who asks for its health."""
_METHODS: Final = b"GET, HEAD, OPTIONS"
_START_POLL_S: Final = 0.01
_START_TIMEOUT_S: Final = 10.0


def work(worker: Worker, settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT, or until a part fails; ends the process, with 1 after a failure."""
    tune_garbage_collection()
    raise SystemExit(run_worker(worker, shutdown_timeout_s=settings.shutdown_timeout_s))


class HealthApp:
    """An ASGI app; live means that the loop answers."""

    def __init__(self, checks: Sequence[Check], registry: CollectorRegistry) -> None:
        self._checks = checks
        self._registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        known = path in ("/health/live", "/health/ready", "/metrics")
        if known and method == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", _METHODS)]})
            await send({"type": "http.response.body", "body": b""})
            return
        if known and method not in ("GET", "HEAD"):
            await _refuse(send, ProblemKind.METHOD, 405, f"{method} is not allowed here", path)
            return
        match path:
            case "/health/live":
                await _answer(send, 200, Live().model_dump_json().encode(), JSON)
            case "/health/ready":
                found = await readiness(self._checks)
                await _answer(send, 200 if found.ready else 503, found.model_dump_json().encode(), JSON)
            case "/metrics":
                accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
                body, content_type = exposition(self._registry, accept)
                await _answer(send, 200, body, content_type)
            case _:
                await _refuse(send, ProblemKind.NOT_FOUND, 404, f"there is nothing at {path[:500]}", path)


async def _refuse(send: Send, kind: ProblemKind, status: int, detail: str, path: str) -> None:
    body = msgspec.json.encode(problem(kind, status, detail, instance=path[:500]))
    await _answer(send, status, body, CONTENT_TYPE)


async def _answer(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    if status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    if status == 405:
        headers.append((b"allow", _METHODS))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the worker has its own."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serve_health(
    port: int, checks: Sequence[Check], registry: CollectorRegistry, *, host: str = "0.0.0.0"
) -> AsyncGenerator[int]:
    """Serve while the context is entered; gives the port (useful with 0). Raises OSError when it is taken."""
    guarded = type("HealthConnection", (Connection,), {"guard": RequestGuard(hosts=trusted_hosts((), host))})
    config = uvicorn.Config(
        HealthApp(checks, registry),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        limit_concurrency=connections(MAX_CONNECTIONS),
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
        http=guarded,
        server_header=False,
    )
    server = _Server(config)
    listening = socket.create_server((host, port), backlog=64)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="health")
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            while not server.started:
                if task.done():
                    await task
                    raise OSError(f"the health server did not start on port {port}")
                await asyncio.sleep(_START_POLL_S)
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.wait([task], timeout=5)
        listening.close()
