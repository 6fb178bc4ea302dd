"""What is to be told of transitions, and to whom: the notifications that are stored with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final

import msgspec
from vigie_contracts.alerts import AlertState, Channel, Transition
from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.document import Address, Notification, Together, order
from vigie_storage.alerts.groups import Group

NAMED: Final = "channel"
"""The type of a rule's channel that names one of the tenant's: its destination is the name."""
MAX_LISTED: Final = 100
"""Alerts in one notification about many; the others are counted."""
MAX_LISTED_BYTES: Final = 4_000_000
"""Of these alerts, as they are stored: MongoDB takes documents of 16 MB. One alert alone is never that large."""
_TOLD: Final = frozenset({AlertState.FIRING, AlertState.RESOLVED})


def tells(transition: Transition) -> bool:
    """Whether people are told of it: that it fires, in whatever way it came to that, and that it is over."""
    return transition.to_state in _TOLD


def address(tenant: str, channel: Channel) -> Address:
    """The address of a channel that a rule has inline. Its key says nothing of the destination, which may be secret."""
    return Address(
        f"{channel.type}:{_digest(tenant, channel.type, channel.destination)}", channel.type, channel.destination
    )


def notification(transitions: Sequence[Transition], to: Address, now_ms: int, queue: str = "") -> Notification:
    """One about all of these, of one tenant, oldest first. The same transitions and channel give the same id, so
    storing it again changes nothing. `queue`: what must be told in order; the alert when it is empty."""
    last = transitions[-1]
    about = queue or last.fingerprint
    return Notification(
        id=_digest(last.tenant, to.key, *(transition.id for transition in transitions)),
        tenant=TenantId(last.tenant),
        address=to,
        queue=f"{last.tenant}/{to.key}/{about}",
        order=order(last),
        transitions=tuple(transitions),
        created=datetime.fromtimestamp(now_ms / 1000, UTC),
    )


def notifications(transitions: Iterable[Transition], channels: Iterable[Address], now_ms: int) -> list[Notification]:
    """One per transition that people are told of and channel, each channel once."""
    unique = {one.key: one for one in channels}
    return [
        notification([transition], to, now_ms)
        for transition in transitions
        if tells(transition)
        for to in unique.values()
    ]


def of_group(group: Group, steps: Sequence[Transition], to: Address, now_ms: int) -> Notification:
    """One about these steps of alerts of the group, worst first. Its id is made of the group and its sequence."""
    shown, more = listed(steps)
    return Notification(
        id=_digest(group.tenant, to.key, group.id, group.born, str(group.sequence)),
        tenant=TenantId(group.tenant),
        address=to,
        queue=f"{group.tenant}/{to.key}/{group.id}",
        order=f"{group.told_ms:015d}.{group.sequence:09d}",
        transitions=shown,
        created=datetime.fromtimestamp(now_ms / 1000, UTC),
        group=Together(group.id, group.key, group.receiver, group.labels, more),
    )


def listed(steps: Sequence[Transition]) -> tuple[tuple[Transition, ...], int]:
    """The first of these steps, which one notification lists, at least one; and how many others it counts."""
    sizes = accumulate(len(msgspec.json.encode(step)) for step in steps[:MAX_LISTED])
    shown = max(1, sum(size <= MAX_LISTED_BYTES for size in sizes))
    return tuple(steps[:shown]), len(steps[shown:])


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
