"""Rules and alerts in Prometheus' words. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from vigie_contracts.alerts import AlertState, Rule, RuleKind
from vigie_query.times import iso

from vigie_alerting.alerts.desk import Known
from vigie_alerting.lifecycle import DEFAULT_INTERVAL_MS
from vigie_alerting.resources import RuleHealth
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.rules.exporting import DEFAULT_GROUP
from vigie_alerting.transitions import annotations_of, labels_of

FILE: Final = "vigie"
"""Prometheus says from which file a group was read: ours stand in none."""
_NEVER: Final = "0001-01-01T00:00:00Z"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    rules: list[Json]
    interval_s: float
    limit: int

    @property
    def token(self) -> str:
        return hashlib.sha1(f"{FILE};{self.name}".encode(), usedforsecurity=False).hexdigest()

    @property
    def answer(self) -> Json:
        evaluated = [one["lastEvaluation"] for one in self.rules]
        return {
            "name": self.name,
            "file": FILE,
            "rules": self.rules,
            "interval": self.interval_s,
            "limit": self.limit,
            "evaluationTime": round(sum(one["evaluationTime"] for one in self.rules), 9),
            "lastEvaluation": max(evaluated, default=_NEVER),
        }


def groups(
    rules: Iterable[CompiledRule], alerts: Mapping[str, Sequence[Known]], health: Callable[[str], RuleHealth | None],
    *, with_alerts: bool,
) -> list[Group]:  # fmt: skip
    """Groups by name, their rules in the order given. `alerts` by the id of their rule."""
    found: dict[str, Group] = {}
    for made in rules:
        rule = made.rule
        name = rule.group or DEFAULT_GROUP
        group = found.get(name)
        if group is None:
            interval_s = (rule.interval_ms or DEFAULT_INTERVAL_MS) / 1000
            group = found[name] = Group(name, [], interval_s, rule.limit)
        group.rules.append(_rule(made, alerts.get(rule.id, ()), health(rule.id), with_alerts=with_alerts))
    return [found[name] for name in sorted(found)]


def _rule(made: CompiledRule, alerts: Sequence[Known], health: RuleHealth | None, *, with_alerts: bool) -> Json:
    rule = made.rule
    shared: Json = {
        "name": rule.record or rule.name,
        "query": made.text,
        "labels": labels(rule),
        "health": "unknown" if health is None else "err" if health.error else "ok",
        **({"lastError": health.error} if health and health.error else {}),
        "evaluationTime": 0.0 if health is None else round(health.took_ms / 1000, 9),
        "lastEvaluation": iso(health.evaluated_ms) if health and health.evaluated_ms else _NEVER,
    }
    if rule.kind is RuleKind.RECORDING:
        return {**shared, "type": "recording"}
    return {
        **shared,
        "type": "alerting",
        "duration": rule.for_ms / 1000,
        "keepFiringFor": rule.keep_firing_for_ms / 1000,
        "annotations": dict(rule.annotations),
        "alerts": [alert(one) for one in alerts] if with_alerts else [],
        "state": _state(alerts),
    }


def labels(rule: Rule) -> dict[str, str]:
    """The rule's own, and its severity where they do not say it."""
    own = dict(rule.labels)
    if rule.kind is not RuleKind.RECORDING:
        own.setdefault("severity", rule.severity.value)
    return own


def _state(alerts: Sequence[Known]) -> str:
    if any(one.alert.open for one in alerts):
        return "firing"
    return "pending" if alerts else "inactive"


def alert(known: Known) -> Json:
    """One that is pending or fires."""
    one, rule = known.alert, known.rule
    found = labels_of(rule, one)
    return {
        "labels": {"severity": one.severity.value, **found},
        "annotations": annotations_of(rule, found, one.value),
        "state": "pending" if one.state is AlertState.PENDING else "firing",
        "activeAt": iso(one.starts_at),
        "value": number(math.nan if one.value is None else one.value),
    }


def number(value: float) -> str:
    """As Go writes a float with an exponent: 1e+00."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    power = 0 if value == 0 else int(exponent) + len(text) - 1
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{'-' if sign else ''}{text[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"
