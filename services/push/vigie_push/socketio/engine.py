"""python-socketio's server, with bounds that it has not: on sessions that say nothing, floods, and binary packets."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import socketio
from vigie_web.close_codes import CloseCode, Closing

if TYPE_CHECKING:
    from vigie_push.socketio.transport import SocketTransport

PING_S: Final = 25
PONG_S: Final = 20
_BINARY: Final = ("5", "6")
"""Begin the packets of Socket.IO that announce attachments."""


class Engine(socketio.AsyncServer):
    """For one event loop. Events are handled in their order, one at a time for each client. What is refused, its owner
    decides."""

    def __init__(self, owner: SocketTransport, message_bytes: int) -> None:
        quiet = logging.getLogger("vigie_push.socketio")
        quiet.setLevel(logging.ERROR)  # it warns of whatever a client does wrong
        super().__init__(
            async_mode="asgi",
            async_handlers=False,
            cors_allowed_origins=[],  # vigie_web judges origins, for all routes alike
            max_http_buffer_size=message_bytes,
            http_compression=False,  # of what is asked for with a credential in the address, no length tells anything
            ping_interval=PING_S,
            ping_timeout=PONG_S,
            logger=quiet,  # pyright: ignore[reportArgumentType] - its documentation allows it
            engineio_logger=quiet,
        )
        self._owner = owner

    async def _handle_eio_connect(  # pyright: ignore[reportIncompatibleMethodOverride] - a sentence refuses
        self, eio_sid: str, environ: Mapping[str, Any]
    ) -> str | None:
        if (refused := self._owner.opened(eio_sid, environ["asgi.scope"])) is not None:
            return refused
        return await super()._handle_eio_connect(eio_sid, environ)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        await super()._handle_connect(eio_sid, namespace, data)
        self._owner.joined(eio_sid)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        await super()._handle_eio_disconnect(eio_sid, reason)
        self._owner.closed(eio_sid)

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        if not isinstance(data, str) or data.startswith(_BINARY):
            await self._owner.expel(eio_sid, Closing(CloseCode.BINARY, "packets are text, without attachments"))
            return
        if not self._owner.admits(eio_sid):
            await self._owner.expel(eio_sid, Closing(CloseCode.TOO_MANY, "more packets in a second than are taken"))
            return
        try:
            await super()._handle_eio_message(eio_sid, data)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError):  # a packet that is none
            await self._owner.expel(eio_sid, Closing(CloseCode.NOT_TEXT, "this is no packet of Socket.IO"))
