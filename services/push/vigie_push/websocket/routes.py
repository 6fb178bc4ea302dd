"""`/ws`."""

from __future__ import annotations

from functools import partial
from typing import Final, TypeAlias

from fastapi import APIRouter
from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from vigie_identity.errors import Unauthenticated
from vigie_runtime.addresses import Origin
from vigie_web.access import PUBLIC, WEBSOCKET
from vigie_web.close_codes import CloseCode, Closing
from vigie_web.context import origin_of
from vigie_web.feature import Feature
from vigie_web.state import AppState, app_state
from vigie_web.websocket import WebSocket, wire_of

from vigie_push.credentials import SUBPROTOCOL, of_request
from vigie_push.errors import Ended, UpgradeRequired
from vigie_push.metrics import Transport
from vigie_push.resources import Resources
from vigie_push.settings import PushSettings
from vigie_push.websocket.connection import LiveSocket

PATH: Final = "/ws"
State: TypeAlias = AppState[PushSettings, Resources]


class Live:
    """An ASGI app, and no function: what the framework puts around one would stay for as long as the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection. Whatever is wrong with it is said after it is accepted: browsers show no other reason."""
        connection = HTTPConnection(scope)
        state: State = app_state(connection)
        resources = state.connected()
        subprotocols: list[str] = scope["subprotocols"]
        chosen = SUBPROTOCOL if SUBPROTOCOL in subprotocols else None
        origin = origin_of(connection)
        await receive()  # websocket.connect
        await send({"type": "websocket.accept", "subprotocol": chosen})
        wire = wire_of(scope)
        try:
            credential = of_request(scope["query_string"], scope["headers"], subprotocols)
        except Unauthenticated as e:
            resources.sessions.refuse(Closing(CloseCode.UNAUTHENTICATED, e.detail), wire.end)
            return
        wire.then(partial(_live, wire, receive, state=state, resources=resources, origin=origin, credential=credential))


async def _live(
    wire: WebSocket, receive: Receive, *, state: State, resources: Resources, origin: Origin, credential: bytes | None
) -> None:
    settings = state.settings
    try:
        async with resources.sessions.opened(origin, Transport.WEBSOCKET) as session:
            live = LiveSocket(
                wire,
                receive,
                session,
                app_metrics=resources.app_metrics,
                results=resources.results,
                now_ms=state.clock.now_ms,
                heartbeat_s=settings.push_heartbeat_s,
            )
            await live.run(credential, settings.push_auth_timeout_s)
    except Ended as e:
        resources.sessions.refuse(e.closing, wire.end)


router = APIRouter(tags=["live"])
router.routes.append(WebSocketRoute(PATH, Live()))


@router.get(PATH, status_code=426, response_model=None, responses={426: {"description": "Ask with `Upgrade`"}})
async def live() -> None:
    """A WebSocket: what can be subscribed to, and all messages, are in the AsyncAPI document."""
    raise UpgradeRequired


FEATURE: Final = Feature(
    router, {(WEBSOCKET, PATH): PUBLIC, ("GET", PATH): PUBLIC}, "What changes, as it changes, for whoever may see it"
)
"""Who asks is found out by the connection itself: the credential may come in its first message."""
