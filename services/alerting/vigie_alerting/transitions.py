"""A step of an alert, written down: with its rendered texts, and its reason as a sentence."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Reason, Severity, Transition
from vigie_query.times import duration, iso

from vigie_alerting import templates
from vigie_alerting.alert import Alert
from vigie_alerting.rules.compiling import CompiledRule

FORM: Final = 2
ALERTNAME: Final = "alertname"


def moved(
    alert: Alert,
    rule: CompiledRule,
    to: AlertState,
    reason: Reason,
    *,
    actor: str = "",
    note: str = "",
    previous_severity: Severity | None = None,
    traceparent: str = "",
) -> tuple[Alert, Transition]:
    """The alert in its next state and the record of the step. `alert` is complete but for state and sequence."""
    after = replace(alert, state=to, sequence=alert.sequence + 1)
    labels = labels_of(rule, alert)
    acknowledged = alert.acknowledgement
    until = acknowledged.until if acknowledged and to is AlertState.ACKNOWLEDGED else None
    return after, Transition(
        id=f"{alert.episode}-{after.sequence}",
        fingerprint=alert.fingerprint,
        tenant=alert.tenant,
        rule_id=alert.rule_id,
        rule_name=rule.rule.name,
        rule_version=rule.rule.version,
        episode=alert.episode,
        sequence=after.sequence,
        from_state=alert.state if alert.sequence else None,
        to_state=to,
        timestamp=alert.seen_at,
        reason=reason,
        detail=_sentence(alert, rule, reason, actor, previous_severity),
        severity=alert.severity,
        previous_severity=previous_severity,
        labels=labels,
        annotations=templates.render_all(rule.rule.annotations, labels, alert.value),
        value=alert.value,
        expression=rule.text,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at if to is AlertState.RESOLVED else None,
        actor=actor,
        note=note,
        acknowledged_until=until,
        channels=list(rule.rule.notification_channels),
        runbook=rule.rule.runbook,
        owner=rule.rule.owner,
        traceparent=traceparent,
        version=FORM,
    )


def labels_of(rule: CompiledRule, alert: Alert) -> dict[str, str]:
    """Of the series, then the rule's own, then the name of the alert, as Prometheus has them; sorted, none empty."""
    series = dict(alert.series)
    own = templates.render_all(rule.rule.labels, series, alert.value)
    together = {**series, **own, ALERTNAME: rule.rule.name}
    return {name: together[name] for name in sorted(together) if together[name]}


def _sentence(alert: Alert, rule: CompiledRule, reason: Reason, actor: str, before: Severity | None) -> str:
    """Why, with its numbers."""
    value = "" if alert.value is None else f", the value is {templates.number(alert.value)}"
    match reason:
        case Reason.CONDITION_MET if rule.rule.for_ms:
            return f"{rule.text} holds{value}; fires when it has held for {duration(rule.rule.for_ms)}"
        case Reason.CONDITION_MET:
            return f"{rule.text} holds{value}"
        case Reason.HELD:
            return f"{rule.text} has held for {duration(rule.rule.for_ms)}{value}"
        case Reason.NOT_HELD:
            return f"{rule.text} ceased to hold before {duration(rule.rule.for_ms)} were over{value}"
        case Reason.RECOVERED:
            return f"{rule.text} holds no more{value}"
        case Reason.NO_DATA:
            return "no data comes"
        case Reason.SEVERITY_CHANGED:
            return f"from {before} to {alert.severity}{value}"
        case Reason.CONTINUED:
            return f"{rule.text} holds again{value}: the same episode goes on"
        case Reason.FLAPPING:
            return f"fired {len(alert.fired_ages)} times in a short while: goes on firing until it is calm{value}"
        case Reason.CALMED:
            return f"it has been calm for long enough{value}"
        case Reason.AMENDED:
            return "late data took back the reason of this alert"
        case Reason.ACKNOWLEDGED:
            until = alert.acknowledgement.until if alert.acknowledgement else None
            return f"{actor} has it" + ("" if until is None else f" until {iso(until)}")
        case Reason.UNACKNOWLEDGED:
            return f"{actor} gave it back" if actor else f"nobody has it any more: from {before} to {alert.severity}"
        case Reason.ACKNOWLEDGEMENT_EXPIRED:
            return "the acknowledgement expired and it still fires"
        case Reason.RESOLVED_BY_HAND:
            return f"resolved by {actor}"
        case Reason.RULE_CHANGED:
            return "the rule was changed"
        case Reason.RULE_REMOVED:
            return "the rule was removed or switched off"
        case Reason.UNKNOWN:
            return ""
