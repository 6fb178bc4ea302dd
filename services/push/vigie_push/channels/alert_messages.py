"""The messages of the channel `alerts`: an alert as `/api/alerts` shows it, and what happened to it."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Severity, Transition
from vigie_query.times import iso
from vigie_storage.alerts.states import StoredAlert

from vigie_push.channels.base import ChannelMessage

ALERTNAME: Final = "alertname"
FIRING: Final = "firing"
"""The status of a notification and of an alert in it, until it is "resolved"."""
STATUSES: Final = {
    AlertState.PENDING: "pending",
    AlertState.FIRING: "active",
    AlertState.ACKNOWLEDGED: "acknowledged",
    AlertState.RESOLVED: "resolved",
    AlertState.INACTIVE: "resolved",
}
"""In the words of `/api/alerts`."""


class Alert(msgspec.Struct, rename="camel", kw_only=True):
    """An alert after its last step. Fields as those of `/api/alerts`; times are UTC, ISO 8601."""

    id: str
    """16 hex digits: always the same for rule and labels."""
    type: str
    """The name of its rule."""
    severity: Severity
    message: str
    data: dict[str, Any]
    """value, labels and expression."""
    site: str | None
    service: str | None
    status: str
    """pending, active, acknowledged or resolved."""
    acknowledged_by: str | None
    acknowledged_at: str | None
    acknowledged_until: str | None
    note: str
    created_at: str | None
    resolved_at: str | None
    rule_id: str
    episode: str
    """This life of the alert."""
    labels: dict[str, str]
    annotations: dict[str, str]
    value: float | None
    expression: str
    runbook: str
    owner: str


class Change(msgspec.Struct, rename="camel", kw_only=True):
    """A step in the life of an alert."""

    id: str
    """Always the same for the same step."""
    sequence: int
    """Of the step in this life of the alert, from 1."""
    at: str
    previous_status: str | None
    previous_severity: Severity | None
    """When it changed."""
    reason: str
    """A word: condition_met, severity_changed, acknowledged, recovered, ..."""
    detail: str
    """The reason as a sentence, with its numbers."""
    actor: str
    """Who acknowledged it, gave it back or resolved it by hand."""


class AlertMessage(ChannelMessage, tag="alert", kw_only=True):
    """Something happened to an alert: it fires, is acknowledged, resolved, or has another severity."""

    data: Alert
    change: Change


class AlertsMessage(ChannelMessage, tag="alerts", kw_only=True):
    """Every alert that is open now: takes the place of all that was known before. It comes first, unless a cursor told
    where to go on; and later when too much happened to be told one by one."""

    data: list[Alert]
    """The last begun first."""
    truncated: bool
    """Whether there are more than are listed."""


class NotifiedAlert(msgspec.Struct, rename="camel", kw_only=True):
    """An alert as a notification shows it; times are milliseconds."""

    fingerprint: str
    status: str
    acknowledged: bool = False
    severity: Severity
    rule_id: str
    rule_name: str
    reason: str = ""
    summary: str = ""
    value: float | None = None
    labels: dict[str, str] = {}
    starts_at: int | None = None
    ends_at: int | None = None


class Notification(msgspec.Struct, rename="camel", kw_only=True):
    """What a channel of the type `live` was told, as other channels are told by mail."""

    id: str
    status: str
    title: str
    alerts: list[NotifiedAlert]


class NotificationMessage(ChannelMessage, tag="notification", kw_only=True):
    """People are to be told of alerts: a rule has a live channel, or somebody tries one. It comes beside the `alert`
    messages of the same alerts, is never repeated, and names only alerts that the subscription is about."""

    data: Notification


def alone(sent: Notification, alerts: list[NotifiedAlert]) -> Notification:
    """Of these alerts alone: title and status of the one that was sent are about all of its alerts."""
    first, firing = alerts[0], sum(alert.status == FIRING for alert in alerts)
    status = FIRING if firing else first.status
    count = f":{firing or len(alerts)}" if len(alerts) > 1 else ""
    more = len({alert.rule_name for alert in alerts}) - 1
    title = f"[{status.upper()}{count}] {first.rule_name}{f' and {more} more' if more else ''} ({first.severity})"
    return replace(sent, status=status, title=title, alerts=alerts)


def message(transition: Transition) -> AlertMessage:
    """A step that is told."""
    previous = transition.from_state
    return AlertMessage(
        data=alert(transition),
        change=Change(
            id=transition.id,
            sequence=transition.sequence,
            at=iso(transition.timestamp),
            previous_status=None if previous is None else STATUSES[previous],
            previous_severity=transition.previous_severity,
            reason=transition.reason,
            detail=transition.detail,
            actor=transition.actor,
        ),
    )


def alert(last: Transition) -> Alert:
    """The alert after this step."""
    value = last.value if last.value is not None and math.isfinite(last.value) else None
    resolved = last.to_state is AlertState.RESOLVED
    return Alert(
        id=last.fingerprint,
        type=last.rule_name,
        severity=last.severity,
        message=_told(last.annotations) or last.detail,
        data={"value": value, "labels": last.labels, "expression": last.expression},
        site=last.labels.get("site"),
        service=last.labels.get("service"),
        status=STATUSES[last.to_state],
        acknowledged_by=last.acknowledged_by or None,
        acknowledged_at=_time(last.acknowledged_at),
        acknowledged_until=_time(last.acknowledged_until),
        note=last.note,
        created_at=_time(last.starts_at),
        resolved_at=_time(last.ends_at) if resolved else None,
        rule_id=last.rule_id,
        episode=last.episode,
        labels=last.labels,
        annotations=last.annotations,
        value=value,
        expression=last.expression,
        runbook=last.runbook,
        owner=last.owner,
    )


def stored_alert(one: StoredAlert) -> Alert:
    """Of an alert that is open for longer than the ledger keeps its steps."""
    labels = dict(one.labels)
    last = Transition(
        fingerprint=one.fingerprint,
        tenant=one.tenant,
        rule_id=one.rule_id,
        rule_name=labels.get(ALERTNAME, ""),
        episode=f"{one.fingerprint}-{one.starts_at}",
        sequence=one.sequence,
        from_state=None,
        to_state=AlertState(one.state),
        timestamp=one.starts_at,
        reason="",
        severity=Severity(one.severity),
        labels=labels,
        starts_at=one.starts_at,
    )
    return alert(last)


def _told(annotations: dict[str, str]) -> str:
    return next((annotations[name] for name in ("summary", "message", "description") if annotations.get(name)), "")


def _time(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
