"""What a channel is. Channels know nothing of transports and of who is subscribed; the hub asks them.

A *topic* is a channel with a tenant and parameters. While somebody is subscribed to it, its *feed* is open: it tells
what stands (`snapshot`) and turns the records of the channel's sources into *updates*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import msgspec
from msgspec import structs
from vigie_contracts.tenants import TenantId
from vigie_identity.principal import Principal

Cursor: TypeAlias = str
"""Where a client stands in a topic; opaque to it, and good on every replica: made of the data (times, ids, offsets)."""


class Parameters(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """What a subscription says beside the channel; hashable, because it is part of the topic. A channel inherits its
    own."""


def fits(parameters: Parameters, fields: Mapping[str, Any]) -> bool:
    """Whether every parameter that is among the fields has that value."""
    said = [one for one in structs.fields(parameters) if one.encode_name in fields]
    try:
        asked = msgspec.convert(fields, type(parameters), strict=False) if said else parameters
    except msgspec.ValidationError:
        return False
    return all(getattr(asked, one.name) == getattr(parameters, one.name) for one in said)


class ChannelMessage(msgspec.Struct, rename="camel", tag_field="type", kw_only=True):
    """A message of a channel; each type has a tag:
    `class AlertMessage(ChannelMessage, tag="alert", kw_only=True)`. The names of `Envelope` are taken."""


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Topic(Generic[P]):
    """What can be subscribed to."""

    tenant: TenantId
    channel: str
    parameters: P


@dataclass(frozen=True, slots=True)
class Update:
    """Something new in a topic. A later update with the same `key` takes the place of one that is not sent yet."""

    key: str
    cursor: Cursor
    message: ChannelMessage


def holds_nothing(_update: Update) -> bool:
    """`Snapshot.holds` of a snapshot that live updates cannot overlap with."""
    return False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What stands, or what came since a cursor. `holds` tells whether a live update is in it already, or was seen
    before the cursor: it is then not sent a second time. The hub asks it of updates that arrive while the snapshot is
    made and for `hub.OVERLAP_S` after that."""

    updates: Sequence[Update] = ()
    holds: Callable[[Update], bool] = field(default=holds_nothing)


class Feed(Protocol):
    """An open topic."""

    async def snapshot(self, after: Cursor | None) -> Snapshot:
        """What stands; what came after the cursor when there is one. Raises InvalidCursor for one that nobody here
        made, other ProblemErrors, StoreUnavailable among them."""
        ...

    def updates(self, record: Any) -> Sequence[Update]:
        """What a record of one of the channel's sources, and of the topic's tenant, means for the topic: nothing for
        most. Must not wait."""
        ...

    async def poll(self) -> Sequence[Update]:
        """What is new since the last update or poll, read from the store: asked every few seconds while a source is
        away, and now and then while it is there, for what it lost. Raises ProblemError."""
        ...

    async def close(self) -> None:
        """Nobody is subscribed any more."""
        ...


class Channel(Protocol[P]):
    """A channel. To add one: its file, and its line in the registry."""

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> type[Parameters]:
        """The type of the parameters; unknown fields are ignored, wrong values refused with the field's name."""
        ...

    @property
    def messages(self) -> Sequence[type[ChannelMessage]]:
        """The types of its messages."""
        ...

    @property
    def sources(self) -> Sequence[str]:
        """Names of the sources whose records its feeds are given."""
        ...

    def authorise(self, principal: Principal, tenant: TenantId, parameters: P) -> P:
        """The parameters of the topic that the caller is given: those asked for, narrowed to what they may see; so
        those who may see the same share a topic. Asked again and again with the parameters of the topic: when the
        answer is another, the subscription has to end. Raises NotFound, Forbidden, CredentialMissing: what
        `Principal.require` raises."""
        ...

    @property
    def permission(self) -> Any:
        """The permission by which the tenant of a subscription is chosen (`Principal.tenant`)."""
        ...

    async def open(self, topic: Topic[Any]) -> Feed:
        """Begin a topic: the first subscription to it. Raises ProblemError for parameters that mean nothing."""
        ...
