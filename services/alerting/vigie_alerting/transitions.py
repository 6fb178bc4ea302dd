"""A step of an alert, written down: with its rendered texts, and its reason as a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Reason, Rule, RuleKind, Severity, Transition, transition_id
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
    after = replace(alert, state=to, sequence=alert.sequence + 1, traceparent=traceparent or alert.traceparent)
    labels = labels_of(rule, alert)
    acknowledged = alert.acknowledgement if to is AlertState.ACKNOWLEDGED else None
    return after, Transition(
        id=transition_id(alert.fingerprint, alert.starts_at, after.sequence),
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
        annotations=annotations_of(rule, labels, alert.value),
        value=alert.value,
        expression=rule.text,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at if to is AlertState.RESOLVED else None,
        actor=actor,
        note=note,
        acknowledged_by=acknowledged.by if acknowledged else "",
        acknowledged_at=acknowledged.at if acknowledged else None,
        acknowledged_until=acknowledged.until if acknowledged else None,
        channels=list(rule.rule.notification_channels),
        runbook=rule.rule.runbook,
        owner=rule.rule.owner,
        traceparent=traceparent,
        version=FORM,
    )


def labels_of(rule: CompiledRule, alert: Alert, external_labels: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of the series, then the rule's own, then the name of the alert, as Prometheus has them; sorted, none empty."""
    series = dict(alert.series)
    own = templates.render_all(rule.rule.labels, series, alert.value, external_labels)
    together = {**series, **own, ALERTNAME: rule.rule.name}
    return {name: together[name] for name in sorted(together) if together[name]}


def annotations_of(rule: CompiledRule, labels: Mapping[str, str], value: float | None) -> dict[str, str]:
    """Rendered; of an alert that came from outside as they were sent."""
    texts = rule.rule.annotations
    return {name: texts[name] for name in sorted(texts)} if rule.plain else templates.render_all(texts, labels, value)


def rule_of(last: Transition, alert: Alert) -> Rule:
    """What an alert's last transition tells of its rule, where there is no other trace of that."""
    series = dict(alert.series)
    return Rule(
        id=last.rule_id,
        tenant=last.tenant,
        name=last.rule_name,
        version=last.rule_version,
        kind=RuleKind.EXPRESSION,
        expression=last.expression,
        severity=last.severity,
        labels={name: text for name, text in last.labels.items() if name != ALERTNAME and series.get(name) != text},
        annotations=last.annotations,
        notification_channels=last.channels,
        runbook=last.runbook,
        owner=last.owner,
    )


_PLAIN: Final = {
    Reason.NO_DATA: "no data comes",
    Reason.CALMED: "it has been calm for long enough",
    Reason.AMENDED: "late data took back the reason of this alert",
    Reason.ACKNOWLEDGEMENT_EXPIRED: "the acknowledgement expired and it still fires",
    Reason.EXPIRED: "it was not sent again in time",
    Reason.RULE_CHANGED: "the rule was changed",
    Reason.RULE_REMOVED: "the rule was removed or switched off",
}


def _sentence(alert: Alert, rule: CompiledRule, reason: Reason, actor: str, before: Severity | None) -> str:
    """Why, with its numbers."""
    if reason in _PLAIN:
        return _PLAIN[reason]
    value = "" if alert.value is None else f", the value is {templates.number(alert.value)}"
    text, lasting = rule.text or "what its sender watches", duration(rule.rule.for_ms)
    match reason:
        case Reason.CONDITION_MET:
            return f"{text} holds{value}" + (f"; fires when it has for {lasting}" if rule.rule.for_ms else "")
        case Reason.HELD:
            return f"{text} has held for {lasting}{value}"
        case Reason.NOT_HELD:
            return f"{text} ceased to hold before {lasting} were over{value}"
        case Reason.RECOVERED:
            return f"{text} holds no more{value}"
        case Reason.SEVERITY_CHANGED:
            return f"from {before} to {alert.severity}{value}"
        case Reason.CONTINUED:
            return f"{text} holds again{value}: the same episode goes on"
        case Reason.FLAPPING:
            return f"fired {len(alert.fired_ages)} times in a short while{value}: fires on until it is calm"
        case _:
            return _by_hand(alert, reason, actor)


def _by_hand(alert: Alert, reason: Reason, actor: str) -> str:
    match reason:
        case Reason.ACKNOWLEDGED:
            until = alert.acknowledgement.until if alert.acknowledgement else None
            return f"{actor} has it" + ("" if until is None else f" until {iso(until)}")
        case Reason.UNACKNOWLEDGED:
            return f"{actor} gave it back"
        case _:
            return f"resolved by {actor}"
