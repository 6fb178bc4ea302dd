"""What a notification says: the alerts of one or more transitions, for one channel."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from vigie_contracts.alerts import AlertState, Reason, Severity, Transition
from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.document import Together

ALERT_NAME: Final = "alertname"
SEVERITY: Final = "severity"
_TRACEPARENT_PARTS: Final = 4


class Status(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it is after its newest transition."""

    fingerprint: str
    episode: str
    status: Status
    acknowledged: bool
    labels: Mapping[str, str]
    """Those of the alert, with `alertname` and `severity` where it has none of its own."""
    identity: Mapping[str, str]
    """The labels without what changes during an episode."""
    annotations: Mapping[str, str]
    severity: Severity
    value: float | None
    reason: Reason
    detail: str
    rule_id: str
    rule_name: str
    expression: str
    runbook: str
    owner: str
    starts_at: datetime
    ends_at: datetime | None
    link: str
    """Where its history is shown; empty when nobody said where Vigie is reached."""


@dataclass(frozen=True, slots=True)
class Message:
    """What every notifier renders."""

    id: str
    """Of the notification: the same at every attempt, so that a receiver can tell repeats."""
    tenant: TenantId
    channel: str
    """Its name."""
    receiver: str
    """The name of who is told: a receiver of the routes, else the channel."""
    status: Status
    alerts: tuple[Alert, ...]
    """At least one, each alert once."""
    more: int
    """Alerts of the group that it is about too, and does not list."""
    thread: str
    """What its messages have in common, so that programs show them together: an episode, or a group."""
    group_key: str
    """Of what belongs together, the same in all messages about it."""
    group_labels: Mapping[str, str]
    external_url: str
    traceparent: str
    """W3C trace context of what made the newest transition happen; empty when there is none."""
    steps: tuple[Transition, ...] = ()
    """What it is about, for those who tell it again in another way."""
    together: Together | None = None
    """The group that it is about."""
    queue: str = ""
    """Messages of one queue are told one after the other; empty: it is told once, and belongs to no other."""

    @property
    def trace_id(self) -> str:
        """32 hex digits, or empty."""
        parts = self.traceparent.split("-")
        return parts[1] if len(parts) == _TRACEPARENT_PARTS else ""

    @property
    def severity(self) -> Severity:
        """The worst of the alerts'."""
        order = list(Severity)
        return max((alert.severity for alert in self.alerts), key=order.index)


def message(
    id: str,  # noqa: A002 - what it is called
    channel: str,
    transitions: Sequence[Transition],
    external_url: str = "",
    together: Together | None = None,
    *,
    queue: str = "",
) -> Message:
    """The message about these transitions, of one tenant; of each alert the last one counts. `together`: the group that
    they are of."""
    newest = {transition.fingerprint: transition for transition in transitions}
    alerts = tuple(_alert(transition, external_url.rstrip("/")) for transition in newest.values())
    group = common([alert.identity for alert in alerts]) if together is None else together.labels
    firing = any(alert.status is Status.FIRING for alert in alerts)
    last = transitions[-1] if together is None else max(transitions, key=lambda one: one.timestamp)
    return Message(
        id=id,
        tenant=TenantId(last.tenant),
        channel=channel,
        receiver=together.receiver if together else channel,
        status=Status.FIRING if firing else Status.RESOLVED,
        alerts=alerts,
        more=together.more if together else 0,
        thread=f"group.{together.id}" if together else f"episode.{alerts[0].episode}",
        group_key=together.key if together else group_key(group),
        group_labels=group,
        external_url=external_url.rstrip("/"),
        traceparent=last.traceparent,
        steps=tuple(newest.values()),
        together=together,
        queue=queue,
    )


def common(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What all of them have, with the same value."""
    first, *others = mappings
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def number(value: float | None) -> str:
    """As people write it: without a needless fraction."""
    if value is None:
        return ""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.6g}"


def _alert(transition: Transition, external_url: str) -> Alert:
    resolved = transition.to_state is AlertState.RESOLVED
    identity = {ALERT_NAME: transition.rule_name or transition.rule_id, **transition.labels}
    return Alert(
        fingerprint=transition.fingerprint,
        episode=transition.episode or transition.fingerprint,
        status=Status.RESOLVED if resolved else Status.FIRING,
        acknowledged=transition.to_state is AlertState.ACKNOWLEDGED,
        labels={SEVERITY: transition.severity.value, **identity},
        identity=identity,
        annotations=transition.annotations,
        severity=transition.severity,
        value=transition.value,
        reason=Reason(transition.reason),
        detail=transition.detail,
        rule_id=transition.rule_id,
        rule_name=transition.rule_name or transition.rule_id,
        expression=transition.expression,
        runbook=transition.runbook or transition.annotations.get("runbook_url", ""),
        owner=transition.owner,
        starts_at=_time(transition.timestamp if transition.starts_at is None else transition.starts_at),
        ends_at=_time(transition.timestamp if transition.ends_at is None else transition.ends_at) if resolved else None,
        link=f"{external_url}/api/alerts/{transition.fingerprint}/history" if external_url else "",
    )


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


def group_key(labels: Mapping[str, str], route: str = "/") -> str:
    """As Alertmanager writes it; `route` is a path in the tree."""
    pairs = ", ".join(f"{name}={json.dumps(labels[name], ensure_ascii=False)}" for name in sorted(labels))
    return "{}" + route.rstrip("/") + ":{" + pairs + "}"
