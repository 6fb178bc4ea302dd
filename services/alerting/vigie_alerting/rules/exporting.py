"""Rules as a Prometheus rule file: what it cannot say is told, and left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import yaml
from msgspec.structs import replace
from vigie_contracts.alerts import NoData, Rule, RuleKind, Severity
from vigie_query.promql import calls

from vigie_alerting.rules.compiling import compiled
from vigie_alerting.rules.durations import duration
from vigie_alerting.rules.problems import RuleProblem
from vigie_alerting.templates import golang
from vigie_alerting.templates.filters import PROMETHEUS

DEFAULT_GROUP: Final = "vigie"
_EXPRESSION: Final = re.compile(
    r"\{\{(-?)\s*(labels(?:\.(\w+)|\[['\"](\w+)['\"]\])|value)\s*((?:\|\s*\w+\s*)*)(-?)\}\}"
)
_CALL: Final = re.compile(r"\b(\w+)\s*\(")
_ROUND: Final = re.compile(r"\{\{\s*value\s*\|\s*round\((\d)\)\s*\}\}")


def written(rules: Iterable[Rule]) -> tuple[str, list[RuleProblem]]:
    """The text of a rule file, groups in the order of their first rules, and what it does not say; fields are
    `rule name: field`."""
    groups: dict[tuple[str, int, int], list[dict[str, Any]]] = {}
    lost: list[RuleProblem] = []
    for rule in rules:
        if not rule.enabled:
            lost.append(RuleProblem(rule.name, "is switched off: it was left out"))
            continue
        if own := _ours(rule):
            lost.append(RuleProblem(rule.name, f"uses {own}, which Prometheus does not have: it was left out"))
            continue
        key = (rule.group or DEFAULT_GROUP, rule.interval_ms, rule.limit)
        groups.setdefault(key, []).extend(_entries(rule, lost))
    return _document(groups), lost


def _ours(rule: Rule) -> str:
    """The function in its expression that only Vigie has; empty: there is none."""
    return next((one[1] for one in _CALL.finditer(compiled(rule).text) if one[1] in calls.OWN), "")


def _document(groups: dict[tuple[str, int, int], list[dict[str, Any]]]) -> str:
    taken: dict[str, int] = {}
    made: list[dict[str, Any]] = []
    for (name, interval, limit), entries in groups.items():
        taken[name] = taken.get(name, 0) + 1
        group: dict[str, Any] = {"name": name if taken[name] == 1 else f"{name} {taken[name]}"}
        if interval:
            group["interval"] = duration(interval)
        if limit:
            group["limit"] = limit
        made.append({**group, "rules": entries})
    return yaml.safe_dump({"groups": made}, sort_keys=False, allow_unicode=True, width=120)


def _entries(rule: Rule, lost: list[RuleProblem]) -> list[dict[str, Any]]:
    """One rule of the file for each severity."""
    if rule.kind is RuleKind.RECORDING:
        return [_without_empty({"record": rule.record, "expr": rule.expression, "labels": rule.labels})]
    for field, differs in (
        ("recoveryThreshold", rule.recovery_threshold is not None),
        ("noData", rule.no_data is not NoData.OK),
        ("notificationChannels", bool(rule.notification_channels)),
    ):
        if differs:
            lost.append(RuleProblem(f"{rule.name}: {field}", "cannot be said in a rule file: it was left out"))
    steps = [(rule.threshold, rule.severity), *((level.threshold, level.severity) for level in rule.levels)]
    return [_alert(rule, threshold, severity, lost) for threshold, severity in steps]


def _alert(rule: Rule, threshold: float | None, severity: Severity, lost: list[RuleProblem]) -> dict[str, Any]:
    labels = dict(rule.labels)
    if rule.kind is not RuleKind.EXPRESSION or severity is not Severity.WARNING:
        labels.setdefault("severity", severity.value)
    annotations = dict(rule.annotations)
    if rule.runbook:
        annotations.setdefault("runbook_url", rule.runbook)
    texts = {
        field: {name: _go(rule, f"{field}.{name}", text, lost) for name, text in given.items()}
        for field, given in (("labels", labels), ("annotations", annotations))
    }
    return _without_empty(
        {
            "alert": rule.name,
            "expr": compiled(replace(rule, threshold=threshold)).text,
            "for": duration(rule.for_ms) if rule.for_ms else "",
            "keep_firing_for": duration(rule.keep_firing_for_ms) if rule.keep_firing_for_ms else "",
            **texts,
        }
    )


def _without_empty(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value}


def _go(rule: Rule, field: str, template: str, lost: list[RuleProblem]) -> str:
    """The template in Go's language; one that only Jinja can say becomes its text, unrendered."""
    if golang.is_go(template) or "{" not in template:
        return template
    made = _ROUND.sub(lambda found: f'{{{{ $value | printf "%.{found[1]}f" }}}}', template)
    made = _EXPRESSION.sub(_action, made)
    if re.search(r"\{%|\{#|\{\{(?!-?\s*\$)", made):
        lost.append(RuleProblem(f"{rule.name}: {field}", "this template cannot be said in Go's language"))
        return re.sub(r"\{(?=[{%#])", "{ ", template)
    return made


def _action(found: re.Match[str]) -> str:
    name = found[3] or found[4]
    filters = [one.strip() for one in found[5].split("|") if one.strip()]
    filters = [{"upper": "toUpper", "lower": "toLower"}.get(one, one) for one in filters]
    if not all(one in PROMETHEUS for one in filters):
        return found[0]
    pipe = "".join(f" | {one}" for one in filters)
    left, right = found[1], (" " + found[6]) if found[6] else ""
    return f"{{{{{left} {'$labels.' + name if name else '$value'}{pipe}{right} }}}}"
