"""Documents of the ledger and the outbox.

alert_transitions  {_id: the transition's, tenant, fingerprint, order, at, stored, data}
alert_outbox       {_id, tenant, channel: {key, type, destination}, queue, order, fingerprints, data: [...], state,
                    due, owner, attempts, created, remaining, last: {failure, detail, at}, settled, expires,
                    group: {id, key, receiver, labels: [[name, value], ...], more}}

`data` is a transition as on the topic, JSON: labels may have names that MongoDB does not take. `order` sorts the
transitions of an alert. `stored` is when it was written; others can read it a transaction later. `due` is when a
pending notification may be claimed: for one that is claimed, the end of the lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Document

_DECODER: Final = msgspec.json.Decoder(Transition)


class State(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"
    """Given up: a dead letter. It can be replayed."""


@dataclass(frozen=True, slots=True)
class Address:
    """The channel of a notification. `key` is what circuit and concurrency go by; a named channel is looked up by it
    when the notification is sent, another has its type and destination here."""

    key: str
    type: str = ""
    destination: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How the last one ended. `detail` is a sentence without secrets."""

    failure: str
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Together:
    """The group of alerts that a notification is about."""

    id: str
    key: str
    """As messages have it."""
    receiver: str
    labels: Mapping[str, str]
    """Which all of its alerts have."""
    more: int = 0
    """Alerts that it is about beside those of its transitions: they are counted, and not listed."""


@dataclass(frozen=True, slots=True)
class Notification:
    """Transitions of one tenant for one channel: of one alert oldest first, of a group worst first."""

    id: str
    tenant: TenantId
    address: Address
    queue: str
    """Notifications of one queue are sent one after the other, by `order`."""
    order: str
    transitions: tuple[Transition, ...]
    created: datetime
    state: State = State.PENDING
    attempts: int = 0
    """Those that were begun."""
    remaining: str = ""
    """The destination that has not got it yet, when a part of it has."""
    last: Attempt | None = None
    settled: datetime | None = None
    owner: str = ""
    """The claim that it is sent under."""
    group: Together | None = None
    """None: the channels of a rule, which are told of each alert by itself."""


def order(transition: Transition) -> str:
    """Sorts the transitions of an alert: by episode, and within it by sequence."""
    start = transition.timestamp if transition.starts_at is None else transition.starts_at
    return f"{max(start, 0):015d}.{max(transition.sequence, 0):09d}"


def ledger_document(transition: Transition, stored: datetime) -> Document:
    """As it is stored in the ledger then. Raises ValueError for one without an id, which no repetition could be
    told by."""
    if not transition.id:
        raise ValueError("a transition without an id cannot be stored")
    return {
        "_id": transition.id,
        "tenant": transition.tenant,
        "fingerprint": transition.fingerprint,
        "order": order(transition),
        "at": datetime.fromtimestamp(transition.timestamp / 1000, UTC),
        "stored": stored,
        "data": _encode(transition),
    }


def outbox_document(notification: Notification) -> Document:
    """As it is stored when it is new."""
    address, group = notification.address, notification.group
    together = {} if group is None else {"group": {
        "id": group.id, "key": group.key, "receiver": group.receiver, "more": group.more,
        "labels": [[name, value] for name, value in group.labels.items()],
    }}  # fmt: skip
    return {
        **together,
        "_id": notification.id,
        "tenant": notification.tenant,
        "channel": {"key": address.key, "type": address.type, "destination": address.destination},
        "queue": notification.queue,
        "order": notification.order,
        "fingerprints": sorted({transition.fingerprint for transition in notification.transitions}),
        "data": [_encode(transition) for transition in notification.transitions],
        "state": State.PENDING.value,
        "due": notification.created,
        "attempts": 0,
        "created": notification.created,
    }


def transition(document: Mapping[str, Any]) -> Transition:
    """What `ledger_document` made."""
    return _DECODER.decode(document["data"])


def notification(document: Mapping[str, Any]) -> Notification:
    """What `outbox_document` made, as it is now."""
    channel, last, group = document["channel"], document.get("last"), document.get("group")
    return Notification(
        id=document["_id"],
        tenant=TenantId(document["tenant"]),
        address=Address(channel["key"], channel["type"], channel["destination"]),
        queue=document["queue"],
        order=document["order"],
        transitions=tuple(_DECODER.decode(data) for data in document["data"]),
        created=document["created"],
        state=State(document["state"]),
        attempts=document["attempts"],
        remaining=document.get("remaining", ""),
        last=Attempt(last["failure"], last["detail"], last["at"]) if last else None,
        settled=document.get("settled"),
        owner=document.get("owner", ""),
        group=Together(group["id"], group["key"], group["receiver"], dict(group["labels"]), group["more"])
        if group
        else None,
    )


def _encode(transition: Transition) -> str:
    return msgspec.json.encode(transition).decode()
