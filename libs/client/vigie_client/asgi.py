"""Middleware for Starlette, FastAPI and other ASGI applications: `app.add_middleware(VigieASGI, client=client)`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from vigie_client.client import Client
from vigie_client.requests import GONE, UNMATCHED, Requests
from vigie_client.templates import asgi_template

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class VigieASGI:
    """Counts requests, times them until their last byte is handed over, and counts errors. Exceptions go on as before.

    Requests are labelled with the template of their route (`/users/{id}`). What was recorded is sent before the
    application's shutdown is complete: servers like uvicorn end their process by SIGTERM then, without a normal exit.
    """

    def __init__(self, app: ASGIApp, client: Client, *, endpoint: Callable[[Scope], str | None] | None = None) -> None:
        """`endpoint`: for frameworks that do not put their route into the scope: gives a template for a scope after
        the request, None for no route. Sending starts with the first request, if it was not started before."""
        self._app = app
        self._requests = Requests(client)
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, connection or lifespan."""
        if scope["type"] == "lifespan":
            self._requests.start()
            await self._app(scope, receive, partial(self._send_lifespan, send))
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._requests.start()
        watched = _Watched(send)
        application, root_path = scope.get("app"), str(scope.get("root_path", ""))
        error: BaseException | None = None
        try:
            await self._app(scope, receive, watched)
        except BaseException as raised:
            error = raised
            raise
        finally:
            gone = isinstance(error, asyncio.CancelledError)
            status = watched.status or (GONE if gone else 500)
            template = self._template(scope, application, root_path)
            self._requests.record(str(scope["method"]), template, status, watched.seconds(), None if gone else error)

    async def _send_lifespan(self, send: Send, message: Message) -> None:
        if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
            await asyncio.to_thread(self._requests.finish)
        await send(message)

    def _template(self, scope: Scope, application: Any, root_path: str) -> str:
        try:
            found = self._endpoint(scope) if self._endpoint else asgi_template(scope, application, root_path)
        except Exception:  # noqa: BLE001  # the application's own function, or a framework unlike those we know
            return UNMATCHED
        return found or UNMATCHED


class _Watched:
    """`send`, with an eye on the status and on the last byte: background tasks that run later are no waiting time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._began = time.perf_counter()
        self._ended: float | None = None
        self.status = 0

    def seconds(self) -> float:
        return (self._ended or time.perf_counter()) - self._began

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._ended = time.perf_counter()
