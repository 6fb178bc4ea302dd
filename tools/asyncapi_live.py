"""The AsyncAPI document of what browsers and applications are told live, from the messages and the registry of push."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec
from vigie_push import messages
from vigie_push.channels import registry
from vigie_push.socketio.events import EVENTS

_SCHEMAS: Final = "#/components/schemas/{name}"
_SOCKET: Final = "websocket"
_STREAM: Final = "stream"
_SOCKET_IO: Final = "socketio"
_ADDRESSES: Final = {
    _SOCKET: ("/ws", "A WebSocket. What clients send, and what answers them."),
    _STREAM: ("/api/stream", "Server-sent events: one channel, whose parameters stand in the query."),
    _SOCKET_IO: ("/socket.io/", "Socket.IO 4 (Engine.IO 4), by polling or WebSocket; the namespace is `/`."),
}


def document() -> dict[str, Any]:
    """Every message of every transport and channel."""
    channels = registry.channels()
    spoken = [*get_args(messages.Incoming), *get_args(messages.Answer), messages.Envelope]
    told = [type_ for channel in channels.values() for type_ in channel.messages]
    asked = [channel.parameters for channel in channels.values()]
    _, schemas = msgspec.json.schema_components([*spoken, *dict.fromkeys(told), *dict.fromkeys(asked)], _SCHEMAS)
    schemas |= {event.name: dict(event.schema) for event in EVENTS}
    found: dict[str, Any] = {_SOCKET: _channel(_SOCKET, [*get_args(messages.Incoming), *get_args(messages.Answer)])}
    for name, channel in sorted(channels.items()):
        found[name] = _of_hub(name, channel, channel.messages)
    found[_STREAM] = _channel(_STREAM, [])
    found[_STREAM]["messages"] = {_name(one): _told(one) for one in dict.fromkeys(told)}
    found[_SOCKET_IO] = _channel(_SOCKET_IO, [])
    found[_SOCKET_IO]["messages"] = {
        event.name: _message(event.event, event.meaning, {"$ref": _SCHEMAS.format(name=event.name)}) for event in EVENTS
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Vigie live",
            "version": "1",
            "description": "What browsers and applications are told as it happens: `docs/live.md`.",
        },
        "servers": {"front-door": {"host": "localhost:3000", "protocol": "ws", "description": "Vigie's one address."}},
        "defaultContentType": "application/json",
        "channels": found,
        "operations": dict(_operations(found)),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }
