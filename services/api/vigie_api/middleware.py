"""Around every request: what it cost, what its caller may still ask, that nobody in between keeps its answer, and how
long its body may be."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from vigie_runtime.metrics import MetricSet

from vigie_api.errors import BodyTooLarge
from vigie_api.metrics import DURATION, IN_FLIGHT, REQUESTS, area_of, outcome_of

CHARGES: Final = "vigie.charges"
"""Where in the scope of a request a route leaves what it charged: `vigie_limits.quotas.RequestQuota`."""


class Measured:
    """Counts and times requests, adds what the answer tells of limits, and Cache-Control: no-store where it says
    nothing itself."""

    def __init__(self, app: ASGIApp, metrics: MetricSet) -> None:
        self._app, self._metrics = app, metrics
        self._in_flight = metrics.gauge(IN_FLIGHT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        static = scope["path"].startswith("/static-offline-docs/")

        async def measured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not static:
                    MutableHeaders(scope=message).setdefault("cache-control", "no-store")
                if (quota := scope.get(CHARGES)) is not None:
                    message["headers"] = [*message["headers"], *quota.headers()]
            await send(message)

        area = area_of(scope["path"])
        began = asyncio.get_running_loop().time()
        self._in_flight.inc()
        try:
            await self._app(scope, receive, measured)
        finally:
            self._in_flight.dec()
            self._metrics.counter(REQUESTS, area=area, outcome=outcome_of(status)).inc()
            self._metrics.histogram(DURATION, area=area).observe(asyncio.get_running_loop().time() - began)


class Bounded:
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
