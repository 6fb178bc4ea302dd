"""What somebody says of a channel, and what is shown of one. Secrets go in and do not come out."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.channels import StoredChannel

from vigie_alerting.channels.errors import InvalidChannel
from vigie_alerting.channels.model import SECRET, masked
from vigie_alerting.notifiers.errors import Permanent
from vigie_alerting.notifiers.registry import KINDS
from vigie_alerting.notifiers.resources import Resources

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")
MAX_SECRET_CHARS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Draft:
    """A channel as somebody wants it. In a change, what is not said (None), or said as it is shown, stays; a secret
    that is said to be None goes."""

    name: str
    type: str
    destination: str | None = field(default=None, repr=False)
    secrets: dict[str, str | None] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """A channel as anybody may see it."""

    id: str
    name: str
    type: str
    destination: str
    """Its secret parts masked."""
    secrets: dict[str, str]
    """Name and mask."""
    version: int
    updated: datetime | None
    by: str
    default: bool = False
    """From the settings: cannot be changed here."""


def shown(channel: StoredChannel) -> ShownChannel:
    """What may be seen of it."""
    return ShownChannel(
        channel.id,
        channel.name,
        channel.type,
        _shown_destination(channel),
        {name: masked(value) for name, value in sorted(channel.secrets.items())},
        channel.version,
        channel.updated,
        channel.by,
    )


def checked(
    draft: Draft, tenant: TenantId, by: str, resources: Resources, before: StoredChannel | None = None
) -> StoredChannel:
    """The channel to store in the place of `before`. Raises InvalidChannel."""
    kind = KINDS.get(draft.type)
    if kind is None:
        raise InvalidChannel("type", f"must be one of {', '.join(KINDS)}")
    if not _NAME.fullmatch(draft.name):
        raise InvalidChannel("name", "must have 1 to 64 letters, digits, spaces and _ . -, a letter or digit first")
    same = before if before is not None and before.readable and before.type == draft.type else None
    destination = draft.destination
    if same is not None and (destination is None or destination == _shown_destination(same)):
        destination = same.destination
    try:
        usable = kind.check(destination or "", resources)
    except Permanent as e:
        raise InvalidChannel("destination", str(e)) from None
    kept = _secrets(draft, same)
    for name, value in kept.items():
        if name not in kind.secrets:
            known = ", ".join(sorted(kind.secrets)) or "none"
            raise InvalidChannel("secrets", f"a channel of type {draft.type} has these secrets: {known}")
        try:
            kind.check_secret(name, value)
        except Permanent as e:
            raise InvalidChannel(f"secrets.{name}", str(e)) from None
    try:
        kind.check_together(usable, kept)
    except Permanent as e:
        raise InvalidChannel("destination", str(e)) from None
    return StoredChannel(
        id=before.id if before else secrets.token_hex(10),
        tenant=tenant,
        name=draft.name,
        type=draft.type,
        destination=usable,
        secrets=kept,
        version=before.version if before else 1,
        updated=datetime.fromtimestamp(resources.clock.now_ms() / 1000, UTC),
        by=by,
    )


def _secrets(draft: Draft, same: StoredChannel | None) -> dict[str, str]:
    kept = dict(same.secrets) if same is not None else {}
    said: dict[str, Any] = draft.secrets or {}
    for name, value in said.items():
        if value is None:
            kept.pop(name, None)
        elif not 0 < len(value) <= MAX_SECRET_CHARS:
            raise InvalidChannel("secrets", f"a secret has 1 to {MAX_SECRET_CHARS} characters")
        elif name not in kept or value != masked(kept[name]):
            kept[name] = value
    return kept


def _shown_destination(channel: StoredChannel) -> str:
    if not channel.readable:
        return SECRET
    kind = KINDS.get(channel.type)
    return kind.show(channel.destination) if kind else masked(channel.destination)
