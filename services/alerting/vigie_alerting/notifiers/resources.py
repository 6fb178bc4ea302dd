"""What notifiers share."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import Clock

from vigie_alerting.channels.settings import ChannelSettings
from vigie_alerting.notifiers.http import Http
from vigie_alerting.slack.bot import Keeping

Publish: TypeAlias = Callable[[TenantId, bytes], Awaitable[None]]
"""Hands a record to those who watch the alerts of a tenant live. Raises OSError when it cannot be handed over now."""


@dataclass(frozen=True, slots=True)
class Resources:
    settings: ChannelSettings
    http: Http
    publish: Publish
    clock: Clock
    tls: ssl.SSLContext
    """Of mail servers."""
    keeping: Keeping | None = None
    """Of messages that are edited; None: nothing is sent there."""
