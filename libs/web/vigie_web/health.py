"""/health/live, /health/ready and /metrics of a worker, served by uvicorn."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Protocol

import uvicorn
from prometheus_client import CollectorRegistry
from vigie_runtime.metrics import exposition

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON: Final = "application/json"
_START_POLL_S: Final = 0.01
_START_TIMEOUT_S: Final = 10.0


class Readiness(Protocol):
    """`checks()` gives the state of every part by name; the service is ready when all are True."""

    def checks(self) -> dict[str, bool]: ...


class HealthApp:
    """An ASGI app; live means that the loop answers."""

    def __init__(self, readiness: Readiness, registry: CollectorRegistry) -> None:
        self._readiness = readiness
        self._registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, b"", "text/plain")
            return
        match scope["path"]:
            case "/health/live":
                await _answer(send, 200, b'{"status":"live"}', JSON)
            case "/health/ready":
                checks = self._readiness.checks()
                ready = all(checks.values())
                body = json.dumps({"status": "ready" if ready else "not ready", "checks": checks}).encode()
                await _answer(send, 200 if ready else 503, body, JSON)
            case "/metrics":
                accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
                body, content_type = exposition(self._registry, accept)
                await _answer(send, 200, body, content_type)
            case _:
                await _answer(send, 404, b"", "text/plain")


async def _answer(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the worker has its own."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serve(
    port: int, readiness: Readiness, registry: CollectorRegistry, *, host: str = "0.0.0.0"
) -> AsyncGenerator[int]:
    """Serve while the context is entered; gives the port (useful with 0). Raises OSError when it is taken."""
    config = uvicorn.Config(
        HealthApp(readiness, registry),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        limit_concurrency=64,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=16 * 1024,
        http="h11",
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
