"""The AsyncAPI document of what browsers and applications are told live: from the messages and the registry of push."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from typing import Any, Final, get_args

import msgspec
from vigie_push import messages
from vigie_push.channels import registry
from vigie_push.channels.base import Channel
from vigie_push.channels.resources import ChannelResources
from vigie_push.messages import type_of
from vigie_push.settings import PushSettings
from vigie_push.socketio.events import EVENTS
from vigie_runtime.clock import SystemClock

Schema = dict[str, Any]

_SCHEMAS: Final = "#/components/schemas/{name}"
_INCOMING: Final = get_args(messages.Incoming)
_ANSWERS: Final = get_args(messages.Answer)
_WEBSOCKET: Final = (
    "What clients send, and what answers them. The messages of channels are those of the other channels."
)
_STREAM: Final = "Server-sent events: one channel, whose parameters stand in the query. `event` is a message's type."
_SOCKET_IO: Final = "Socket.IO 4 (Engine.IO 4), by polling or WebSocket, in the namespace `/`. `name` is the event."


def document() -> dict[str, Any]:
    """Every message of every transport and channel."""
    served = _channels()
    told = list(dict.fromkeys(type_ for channel in served for type_ in channel.messages))
    types = [*_INCOMING, *_ANSWERS, messages.Envelope, *told, *dict.fromkeys(channel.parameters for channel in served)]
    _, schemas = msgspec.json.schema_components([_describable(one) for one in types], ref_template=_SCHEMAS)
    schemas |= {f"SocketIO-{event.event}": dict(event.schema) for event in EVENTS}
    sent, answered = [_message(one, _ref(one)) for one in _INCOMING], [_message(one, _ref(one)) for one in _ANSWERS]
    channels = {
        "websocket": _channel("/ws", _WEBSOCKET, [*sent, *answered]),
        **{channel.name: _of_hub(channel) for channel in served},
        "stream": _channel("/api/stream", _STREAM, [_message(one, _whole(one)) for one in told]),
        "socketio": _channel("/socket.io/", _SOCKET_IO, [_event(event.event, event.meaning) for event in EVENTS]),
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
        "channels": channels,
        "operations": dict(_operations(channels, {name for name, _ in sent})),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _channels() -> list[Channel[Any]]:
    """Unconnected: they are only asked what they are."""
    nowhere: Any = _Nowhere()
    settings = PushSettings(
        kafka_bootstrap_servers="nowhere:1", mongodb_uri="mongodb://nowhere", redis_url="redis://nowhere"
    )
    resources = ChannelResources(settings, nowhere, nowhere, SystemClock(), nowhere)
    return sorted(registry.channels(resources).values(), key=lambda channel: channel.name)


class _Nowhere:
    """Whatever is asked of it."""

    def __getattr__(self, _name: str) -> Any:
        return self

    def __getitem__(self, _name: str) -> Any:
        return self

    def __call__(self, *_arguments: Any, **_named: Any) -> Any:
        return self


def _describable(type_: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """msgspec cannot describe a default that is raw JSON."""
    fields = msgspec.structs.fields(type_)
    if not any(isinstance(field.default, msgspec.Raw) for field in fields):
        return type_
    defined: list[Any] = []
    for field in fields:
        if field.required or isinstance(field.default, msgspec.Raw):
            defined.append((field.name, field.type))
        else:
            defined.append((field.name, field.type, field.default))
    made = msgspec.defstruct(
        type_.__name__, defined, tag_field="type", tag=type_of(type_), rename="camel", kw_only=True
    )
    made.__doc__ = type_.__doc__
    return made


def _of_hub(channel: Channel[Any]) -> dict[str, Any]:
    """What its module says of it, its parameters, and its messages."""
    about = cleandoc(sys.modules[type(channel).__module__].__doc__ or "")
    told = [_message(one, _whole(one)) for one in channel.messages]
    return {
        **_channel("/ws", about, told),
        "title": channel.name,
        "x-parameters": {"$ref": _SCHEMAS.format(name=channel.parameters.__name__)},
        "x-permission": str(channel.permission),
    }


def _channel(address: str, about: str, told: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return {"address": address, "description": about, "messages": dict(told)}


def _message(type_: type[msgspec.Struct], payload: Schema) -> tuple[str, dict[str, Any]]:
    """Its key in the channel, and the message."""
    name = type_of(type_)
    return type_.__name__, {
        "name": name,
        "title": type_.__name__,
        "description": cleandoc(type_.__doc__ or ""),
        "payload": payload,
    }


def _event(name: str, about: str) -> tuple[str, dict[str, Any]]:
    payload = {"$ref": _SCHEMAS.format(name=f"SocketIO-{name}")}
    return name, {"name": name, "title": name, "description": about, "payload": payload}


def _ref(type_: type[msgspec.Struct]) -> Schema:
    return {"$ref": _SCHEMAS.format(name=type_.__name__)}


def _whole(type_: type[msgspec.Struct]) -> Schema:
    """A message of a channel, as it is sent."""
    return {"allOf": [_ref(type_), _ref(messages.Envelope)]}


def _operations(channels: dict[str, Any], sent: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Said from where push stands: it receives what clients send."""
    for name, channel in channels.items():
        own = channel["messages"]
        for action, keys in (
            ("receive", [key for key in own if name == "websocket" and key in sent]),
            ("send", [key for key in own if not (name == "websocket" and key in sent)]),
        ):
            if keys:
                yield (
                    f"push_{action}_{name}",
                    {
                        "action": action,
                        "title": "push",
                        "channel": {"$ref": f"#/channels/{name}"},
                        "messages": [{"$ref": f"#/channels/{name}/messages/{key}"} for key in keys],
                    },
                )
