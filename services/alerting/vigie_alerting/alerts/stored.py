"""Alerts as they are stored, and back."""

from __future__ import annotations

from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.states import Move, StoredAlert

from vigie_alerting.alert import Alert, encode
from vigie_alerting.external.life import due
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.transitions import labels_of


def stored(alert: Alert, rule: CompiledRule) -> StoredAlert:
    """With the labels that people look for: those of the series, the rule's, and `alertname`."""
    return StoredAlert(
        fingerprint=alert.fingerprint,
        tenant=TenantId(alert.tenant),
        rule_id=alert.rule_id,
        state=alert.state.value,
        severity=alert.severity.value,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        sequence=alert.sequence,
        data=encode(alert),
        labels=tuple(labels_of(rule, alert).items()),
        due_at=due(alert, rule),
    )


def move(before: StoredAlert, after: Alert, rule: CompiledRule) -> Move:
    """From what was read to what it is now."""
    return Move(before, stored(after, rule))
