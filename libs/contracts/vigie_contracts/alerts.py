"""Alert messages as far as known: a Rule on `vigie.rules.v1`, a Transition on `vigie.alerts.v1`, both JSON."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    INFO = "info"
    LOW = "low"
    WARNING = "warning"
    MEDIUM = "medium"
    HIGH = "high"
    ERROR = "error"
    CRITICAL = "critical"


class AlertState(StrEnum):
    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Channel(msgspec.Struct, omit_defaults=True):
    """Where a notification goes: `type` is `slack`, `email` or `webhook`."""

    type: str
    destination: str


class Rule(msgspec.Struct, rename="camel", omit_defaults=True):
    """The simple form of a rule, as the replaced metrics service takes it."""

    id: str
    tenant: str
    name: str
    metric_name: str
    condition: str
    """One of > >= < <= == !=."""
    threshold: float
    severity: Severity
    notification_channels: list[Channel] = msgspec.field(default_factory=list[Channel])
    for_ms: int = 0
    """How long the condition must hold before the alert fires, milliseconds."""
    enabled: bool = True
    version: int = 1


class Transition(msgspec.Struct, rename="camel", omit_defaults=True):
    """One step in the life of an alert."""

    fingerprint: str
    """Hash of rule and labels, 16 hex digits: the key of the record."""
    tenant: str
    rule_id: str
    from_state: AlertState | None
    to_state: AlertState
    timestamp: int
    """Milliseconds since the Unix epoch."""
    reason: str
    labels: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    value: float | None = None
    severity: Severity = Severity.WARNING
    version: int = 1
