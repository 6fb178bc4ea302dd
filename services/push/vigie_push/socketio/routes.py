"""`/socket.io/`, by polling and WebSocket."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import HTTPConnection
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from vigie_web.access import PUBLIC, WEBSOCKET
from vigie_web.feature import Feature
from vigie_web.state import app_state

PATH: Final = "/socket.io/"
_METHODS: Final = ("GET", "POST", "OPTIONS")


class _Endpoint:
    """An ASGI app: what comes here is the library's."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = app_state(HTTPConnection(scope)).connected().socket_io
        await transport(scope, receive, send)


router = APIRouter()
router.routes += [
    Route(PATH, _Endpoint(), methods=list(_METHODS), include_in_schema=False),
    WebSocketRoute(PATH, _Endpoint()),
]
FEATURE: Final = Feature(router, {(method, PATH): PUBLIC for method in (*_METHODS, WEBSOCKET)})
"""Who asks is found out by the connection itself: the credential may come in its first packet."""
