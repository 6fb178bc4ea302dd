"""`/ws`."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.websockets import WebSocket
from vigie_web.access import PUBLIC, WEBSOCKET
from vigie_web.context import origin_of
from vigie_web.feature import Feature
from vigie_web.state import app_state

PATH: Final = "/ws"
router = APIRouter()


@router.websocket(PATH)
async def live(websocket: WebSocket) -> None:
    """One connection."""
    app_state(websocket).connected()
    origin_of(websocket)
    await websocket.close()


FEATURE: Final = Feature(router, {(WEBSOCKET, PATH): PUBLIC})
"""Who asks is found out by the connection itself: the credential may come in its first message."""
