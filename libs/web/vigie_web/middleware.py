"""ASGI middleware: HEAD, request timing, RateLimit and Cache-Control headers, and the limit of the body size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from prometheus_client import Gauge
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vigie_web.errors import BodyTooLarge

QUOTA: Final = "vigie.quota"
"""Where in the scope of a request its `vigie_limits.quotas.RequestQuota` is."""
HEAD: Final = "vigie.head"
"""True in the scope of a request that was HEAD: an answer without an end need not begin."""
STATIC: Final = "/static-offline-docs"
"""Where the reference pages find their scripts and styles."""


class HeadAsGet:
    """Answers HEAD wherever there is GET: with the same headers, and without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET", HEAD: True}, receive, without_body)


class ResponseHeaders:
    """Adds the RateLimit headers of what the request was charged, and Cache-Control: no-store where the answer says
    nothing itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        static = scope["path"].startswith(f"{STATIC}/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                if not static:
                    MutableHeaders(scope=message).setdefault("cache-control", "no-store")
                if (quota := scope.get(QUOTA)) is not None:
                    message["headers"] = [*message["headers"], *quota.headers()]
            await send(message)

        await self._app(scope, receive, with_headers)


class RequestTimer:
    """Tells of every request its path, the status of its answer, and the seconds until its answer ended."""

    def __init__(self, app: ASGIApp, observe: Callable[[str, int, float], None], in_flight: Gauge) -> None:
        self._app, self._observe, self._in_flight = app, observe, in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = asyncio.get_running_loop().time()
        self._in_flight.inc()
        try:
            await self._app(scope, receive, noting)
        finally:
            self._in_flight.dec()
            self._observe(scope["path"], status, asyncio.get_running_loop().time() - began)


class BodyLimit:
    """Lets nobody read more than `limit` bytes of a body: reading raises BodyTooLarge."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit, size = self._limit, 0
        announced = Headers(scope=scope).get("content-length", "")
        too_long = announced.isdecimal() and (len(announced) > 18 or int(announced) > limit)

        async def bounded() -> Message:
            nonlocal size
            if too_long:
                raise BodyTooLarge(limit)
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise BodyTooLarge(limit)
            return message

        await self._app(scope, bounded, send)
