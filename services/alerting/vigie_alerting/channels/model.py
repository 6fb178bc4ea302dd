"""A channel: where notifications go, and what is needed to send there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from vigie_contracts.tenants import TenantId

SECRET: Final = "***"  # noqa: S105 - what is shown in place of one
_SHOWN_CHARS: Final = 4
_LEAST_SECRET_CHARS: Final = 12
"""Of a shorter secret four characters would be too much of it."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Ready to send to. Nothing of it but `shown` may be told to anybody: a destination can be a secret as a whole."""

    key: str
    """What order, circuit and concurrency are kept by: the id of a named one; type and destination of others."""
    tenant: TenantId
    name: str
    type: str
    """The name of its notifier."""
    destination: str = field(default="", repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    trusted: bool = False
    """Its destination is the operator's, from the settings, and not a tenant's."""


def masked(secret: str) -> str:
    """The only form in which a secret is shown: its last four characters, to tell it from others."""
    return SECRET + secret[-_SHOWN_CHARS:] if len(secret) >= _LEAST_SECRET_CHARS else SECRET if secret else ""


def masked_url(url: str) -> str:
    """A URL without what it may keep secret: user, path, query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return SECRET
    if not re.fullmatch(r"[A-Za-z0-9.:_-]*", host):
        return SECRET
    hidden = parts.path.strip("/") + parts.query + parts.fragment + (parts.username or "")
    if ":" in host:
        host = f"[{host}]"
    place = host if port is None else f"{host}:{port}"
    return f"{parts.scheme}://{place}" + (f"/{masked(hidden)}" if hidden else "")
