"""Where a step of an alert goes: the groups that it belongs to, as they would begin with it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from vigie_contracts.alerts import Transition
from vigie_storage.alerts.groups import Group

from vigie_alerting.notifiers.message import group_key
from vigie_alerting.notifying.item import Item
from vigie_alerting.routing.model import Receiver
from vigie_alerting.routing.timings import Timings
from vigie_alerting.routing.tree import Leg

_ALONE: Final = Timings(0, 0, 0)
DEFAULT: Final = "default"
"""The route of the default receiver: what no route takes."""


@dataclass(frozen=True, slots=True)
class Place:
    """`group` as it is when there is none yet: the one that there is has the same id."""

    group: Group
    timings: Timings


def alone(step: Transition) -> Place:
    """The channels of its rule: a group of one, in which it is held while it is muted."""
    id_ = alone_id(step.tenant, step.fingerprint)
    return Place(Group(id=id_, tenant=step.tenant, born=step.id), _ALONE)


def alone_id(tenant: str, fingerprint: str) -> str:
    """The id of that group."""
    return _digest(tenant, "", fingerprint)


def place(step: Transition, leg: Leg, receiver: Receiver) -> Place | None:
    """By a route; None where the receiver is nobody."""
    if not receiver.channels and not receiver.escalation:
        return None
    labels = dict(sorted(leg.group_labels.items()))
    pairs = (part for pair in labels.items() for part in pair)
    group = Group(
        id=_digest(step.tenant, leg.route, leg.receiver, *pairs),
        tenant=step.tenant,
        route=leg.route,
        receiver=leg.receiver,
        labels=labels,
        key=group_key(labels, leg.route),
        channels=receiver.channels,
        chain=receiver.escalation,
        mute_times=leg.mute_times,
        active_times=leg.active_times,
        interval_ms=leg.timings.group_interval_ms,
        born=step.id,
    )
    # A chain tells again by itself.
    return Place(group, leg.timings if receiver.channels else replace(leg.timings, repeat_interval_ms=0))


def item(step: Transition, labels: Mapping[str, str], group: Group) -> Item:
    """What stages judge."""
    return Item(
        step, labels, group.receiver, group.route, group.key if group.route else "", group.mute_times,
        group.active_times,
    )  # fmt: skip


def _digest(*parts: str) -> str:
    h = hashlib.sha256()
    for part in parts:
        data = part.encode()
        h.update(len(data).to_bytes(4, "little"))
        h.update(data)
    return h.hexdigest()[:32]
