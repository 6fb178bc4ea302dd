"""JSON of /api/alerts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field
from vigie_contracts.alerts import AlertState, Severity, Transition
from vigie_query.times import iso_of
from vigie_storage.alerts.document import Notification, State
from vigie_web.schemas import Body, Model, NextCursor, Time

from vigie_alerting import templates
from vigie_alerting.alerts.desk import Known
from vigie_alerting.api.schemas import time
from vigie_alerting.escalation.by_hand import Hastened
from vigie_alerting.transitions import annotations_of, labels_of
from vigie_alerting.why.explaining import By, Explanation, Outcome, channel_of

MAX_NOTE_CHARS: Final = 1_000
Note = Annotated[str, Field(max_length=MAX_NOTE_CHARS, description="shown beside the alert, and in its history")]


class Status(StrEnum):
    """How an alert is, in the words of the replaced systems."""

    PENDING = "pending"
    """The condition holds, not yet for long enough."""
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


STATES: Final = {
    Status.PENDING: AlertState.PENDING,
    Status.ACTIVE: AlertState.FIRING,
    Status.ACKNOWLEDGED: AlertState.ACKNOWLEDGED,
    Status.RESOLVED: AlertState.RESOLVED,
}
STATUSES: Final = {state: status for status, state in STATES.items()}


class Alert(Model):
    """An alert: what is wrong, where, since when, and who has it."""

    id: str = Field(description="16 hex digits: always the same for rule and labels")
    type: str = Field(description="the name of its rule", examples=["cpu_high"])
    severity: Severity
    message: str
    data: dict[str, Any] = Field(description="value, labels and expression")
    site: str | None
    service: str | None
    status: Status
    acknowledged_by: str | None
    acknowledged_at: Time | None
    acknowledged_until: Time | None = Field(description="null: as long as it fires")
    note: str
    created_at: Time | None = Field(description="when the condition began to hold")
    resolved_at: Time | None
    rule_id: str
    episode: str = Field(description="id and start: this life of the alert")
    labels: dict[str, str]
    annotations: dict[str, str]
    value: float | None = Field(description="null also where it is no finite number")
    expression: str = Field(description="PromQL")
    runbook: str
    owner: str
    flapping: bool = Field(description="it changed too often: it stays active until it is calm")

    @classmethod
    def of(cls, known: Known) -> Self:
        alert, rule = known.alert, known.rule
        labels = labels_of(rule, alert)
        annotations = annotations_of(rule, labels, alert.value)
        value = finite(alert.value)
        has = alert.acknowledgement
        resolved = alert.state is AlertState.RESOLVED
        return cls(
            id=alert.fingerprint,
            type=rule.rule.name,
            severity=alert.severity,
            message=message(annotations, rule.text, alert.value),
            data={"value": value, "labels": labels, "expression": rule.text},
            site=labels.get("site"),
            service=labels.get("service"),
            status=STATUSES.get(alert.state, Status.RESOLVED),
            acknowledged_by=has.by if has else None,
            acknowledged_at=time(has.at) if has else None,
            acknowledged_until=time(has.until) if has else None,
            note=has.note if has else "",
            created_at=time(alert.starts_at),
            resolved_at=time(alert.ends_at) if resolved else None,
            rule_id=alert.rule_id,
            episode=alert.episode,
            labels=labels,
            annotations=annotations,
            value=value,
            expression=rule.text,
            runbook=rule.rule.runbook,
            owner=rule.rule.owner,
            flapping=alert.flapping,
        )


def message(annotations: dict[str, str], expression: str, value: float | None) -> str:
    """What the alert says: its summary, else its expression and value."""
    told = next((annotations[name] for name in ("summary", "message", "description") if annotations.get(name)), "")
    return told or f"{expression}" + ("" if value is None else f", the value is {templates.number(value)}")


def finite(value: float | None) -> float | None:
    """JSON has no other numbers."""
    return None if value is None or not math.isfinite(value) else value


class Counts(Model):
    """How many there are of each status, each up to 10,000; whatever `status` was asked for."""

    pending: int
    active: int
    acknowledged: int
    resolved: int


class AlertPage(Model):
    timestamp: Time = Field(description="when the answer was made")
    alerts: list[Alert]
    counts: Counts
    next_cursor: NextCursor


class HistoryEntry(Model):
    """One step of an alert."""

    id: str
    episode: str
    sequence: int
    at: Time | None
    from_state: AlertState | None
    to_state: AlertState
    reason: str = Field(examples=["held"])
    detail: str = Field(description="the reason as a sentence")
    severity: Severity
    value: float | None
    actor: str = Field(description="who did it; empty: nobody, it was evaluated")
    note: str
    acknowledged_until: Time | None
    rule_version: int
    labels: dict[str, str]
    annotations: dict[str, str]
    trace_id: str = Field(description="of the sample that made it happen; empty when that is not known")

    @classmethod
    def of(cls, one: Transition) -> Self:
        parts = one.traceparent.split("-")
        return cls(
            id=one.id,
            episode=one.episode,
            sequence=one.sequence,
            at=time(one.timestamp),
            from_state=one.from_state,
            to_state=one.to_state,
            reason=one.reason,
            detail=one.detail,
            severity=one.severity,
            value=finite(one.value),
            actor=one.actor,
            note=one.note,
            acknowledged_until=time(one.acknowledged_until),
            rule_version=one.rule_version,
            labels=one.labels,
            annotations=one.annotations,
            trace_id=parts[1] if len(parts) > 1 else "",
        )


class Told(Model):
    """A notification about the alert."""

    id: str
    channel: str = Field(description="its type, and the destination without what is secret", examples=["slack #alerts"])
    state: State
    attempts: int
    created_at: Time
    settled_at: Time | None = Field(description="when it was delivered or given up")
    failure: str = Field(description="of the last attempt that failed; empty: none did")
    detail: str

    @classmethod
    def of(cls, one: Notification, names: Mapping[str, str]) -> Self:
        return cls(
            id=one.id,
            channel=channel_of(one, names),
            state=one.state,
            attempts=one.attempts,
            created_at=iso_of(one.created),
            settled_at=iso_of(one.settled) if one.settled else None,
            failure=one.last.failure if one.last else "",
            detail=one.last.detail if one.last else "",
        )


class Decided(Model):
    """What decided: a rule, route, silence, inhibition, maintenance window, time interval, chain or person."""

    kind: By
    name: str = Field(description="its id or name")


class Explained(Model):
    """Why somebody was told of one step of the alert, or not."""

    at: Time | None
    step: str = Field(description="id of the transition")
    outcome: Outcome = Field(
        description="told; later: it waits for its group, or its channel; held: something mutes it, and it is told "
        "when that ends, if it fires then; failed: given up"
    )
    why: str = Field(
        description="sent, grouped, repeated, silenced, inhibited, maintenance, inactive, unrouted, escalated, "
        "acknowledged, not_told, superseded, ...; empty: nothing had to be decided"
    )
    sentence: str
    receiver: str = Field(description="of the route; empty: the channels of the rule")
    channel: str = Field(description="of the notification; empty: this is about all channels of the receiver")
    route: str
    group: str
    decided_by: Decided
    rule_id: str
    rule_name: str
    rule_version: int
    until: Time | None = Field(description="when it is judged again, where that is known")
    notification: str = Field(description="its id; empty: this is about none")

    @classmethod
    def of(cls, one: Explanation) -> Self:
        return cls(
            at=time(one.at_ms),
            step=one.step.id,
            outcome=one.outcome,
            why=one.why,
            sentence=one.sentence,
            receiver=one.receiver,
            channel=one.channel,
            route=one.route,
            group=one.group,
            decided_by=Decided(kind=one.by, name=one.name),
            rule_id=one.step.rule_id,
            rule_name=one.step.rule_name,
            rule_version=one.step.rule_version,
            until=time(one.until_ms),
            notification=one.notification,
        )


class History(Model):
    transitions: list[HistoryEntry] = Field(description="newest first")
    notifications: list[Told] = Field(description="what was, will or could not be told, newest first")
    why: list[Explained] = Field(
        description="for each of these transitions, receiver and channel why it was told, or not; newest first"
    )


class EscalatedStep(Model):
    """A step of a chain that is told now."""

    chain: str
    step: int = Field(description="from 1")


class Escalated(Model):
    """What is told now; whom it reached stands in the history a moment later."""

    steps: list[EscalatedStep]

    @classmethod
    def of(cls, some: Sequence[Hastened]) -> Self:
        return cls(steps=[EscalatedStep(chain=one.chain, step=one.step) for one in some])


class Acknowledge(Body):
    """Nothing need be said."""

    note: Note = ""
    until: Annotated[
        str | None, Field(max_length=64, description="when it ends: RFC 3339, or now+2h; null: as long as it fires")
    ] = None


class Remark(Body):
    """Nothing need be said."""

    note: Note = ""
