"""The messages of a connection, JSON text: what clients send (`Incoming`) and what answers them (`Answer`).

The messages of channels stand beside the channels. Each goes out with the fields of `Envelope` added. AsyncAPI is
generated from these types and those of the registry.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta
from vigie_contracts.commands import MAX_MESSAGE_CHARS, Outcome

Id: TypeAlias = str | int | None
"""Whatever a client gives a message, to find the answer by."""


class _In(msgspec.Struct, rename="camel", tag_field="type", kw_only=True):
    """Fields that are not known here are ignored: clients may be newer."""

    id: Id = None


class Subscribe(_In, tag="subscribe", kw_only=True):
    """Beside these fields stand the parameters of the channel: `{"type":"subscribe","channel":"app","appId":"a"}`."""

    channel: str
    after: str | None = None
    """The `cursor` of the last message that was seen: what came since is sent, and nothing twice."""
    tenant: str | None = None
    """Needed by those who see several."""


class Unsubscribe(_In, tag="unsubscribe", kw_only=True):
    """Without `subscription`: every one of the channel, with the parameters of it that stand beside; of all channels
    without `channel`."""

    subscription: str | None = None
    channel: str | None = None


class Auth(_In, tag="auth", kw_only=True):
    """The first message of those who send no credential with the request; later, a token in the place of one that
    expires."""

    token: str


class Ping(_In, tag="ping", kw_only=True):
    """Asks for a `pong`."""


class Metrics(_In, tag="metrics", kw_only=True):
    """Metrics of an app, which it measured itself."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    tenant: str | None = None


class CommandResult(_In, tag="commandResult", kw_only=True):
    """What an agent made of the command `id` for its host. It comes again until it is acknowledged."""

    host: str
    outcome: Outcome
    text: Annotated[str, Meta(max_length=MAX_MESSAGE_CHARS)] = ""
    tenant: str | None = None


Incoming: TypeAlias = Subscribe | Unsubscribe | Auth | Ping | Metrics | CommandResult


class _Out(msgspec.Struct, rename="camel", tag_field="type", omit_defaults=True, kw_only=True):
    """An answer. `id` is that of the message it answers."""

    id: Id = None


class Welcome(_Out, tag="welcome", kw_only=True):
    """The connection is authorised."""

    connection: str
    user: str = ""
    heartbeat_ms: int
    """So often something comes at least: after twice as long the connection is dead."""


class Subscribed(_Out, tag="subscribed", kw_only=True):
    """Comes before the first message of the subscription."""

    subscription: str
    """Names it in every message of it."""
    channel: str
    tenant: str = ""


class Unsubscribed(_Out, tag="unsubscribed", kw_only=True):
    """Nothing more comes of it."""

    subscription: str
    channel: str


class Error(_Out, tag="error", kw_only=True):
    """What was asked is refused; the connection stays. `code` is one of `docs/live.md`, `field` names what is wrong."""

    code: str
    message: str
    field: str | None = None
    subscription: str | None = None
    retry_after: int | None = None


class Pong(_Out, tag="pong", kw_only=True):
    """Answers `ping`."""

    timestamp: int
    """Unix milliseconds."""


class Ack(_Out, tag="ack", kw_only=True):
    """What was sent is stored durably."""

    rejected: list[str] = []
    """Parts that were not taken, and why."""


class Degraded(_Out, tag="degraded", kw_only=True):
    """The live feed of these subscriptions is away: news come every `every_ms` instead."""

    subscriptions: list[str]
    every_ms: int


class Restored(_Out, tag="restored", kw_only=True):
    """The live feed is back."""

    subscriptions: list[str]


class Dropped(_Out, tag="dropped", kw_only=True):
    """So many messages of the subscription were dropped because the client reads too slowly: subscribe anew for the
    whole state."""

    subscription: str
    count: int


class Closed(_Out, tag="closed", kw_only=True):
    """The last message on a transport without close codes."""

    code: int
    reason: str


Answer: TypeAlias = (
    Welcome | Subscribed | Unsubscribed | Error | Pong | Ack | Degraded | Restored | Dropped | Closed
)  # fmt: skip


class Envelope(msgspec.Struct, rename="camel"):
    """The fields that every message of a channel has beside its own."""

    channel: str
    cursor: str
    """Where the client stands when it has this message: for `after`, on any replica."""
    subscription: str
    seq: int
    """Counts the messages of the subscription; a gap means that newer ones took the place of older ones."""


_decoder: Final = msgspec.json.Decoder(Incoming)
_fields: Final = msgspec.json.Decoder(dict[str, Any])


def plain(value: object) -> int:
    """For encoders: what MongoDB keeps in 64 bits is read as a kind of int that msgspec does not know."""
    if isinstance(value, int):
        return int(value)
    raise NotImplementedError(f"there is no JSON of {type(value).__name__}")


_encoder: Final = msgspec.json.Encoder(enc_hook=plain)


def decode(text: bytes | str) -> Incoming:
    """Raises msgspec.DecodeError for what is no JSON, msgspec.ValidationError for what is no message."""
    return _decoder.decode(text)


def fields(text: bytes | str) -> dict[str, Any]:
    """All fields of a message that `decode` took: the parameters of a channel are among them."""
    return _fields.decode(text)


def encode(message: msgspec.Struct) -> bytes:
    """JSON."""
    return _encoder.encode(message)


def type_of(message: msgspec.Struct) -> str:
    """The `type` of a message."""
    return str(message.__struct_config__.tag)
