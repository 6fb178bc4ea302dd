"""Prometheus rule files: read into rules of Vigie, judged, and written.

A rule keeps its id when its file is imported again: it is made of tenant, group, name and the labels that tell it from
others of that name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import msgspec
from vigie_contracts.alerts import Rule, RuleKind, Severity
from vigie_runtime.yaml_nodes import InvalidYamlError, Mapping, Text, load

from vigie_alerting.rules.checking import checked
from vigie_alerting.rules.durations import parse_duration
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem

MAX_RULES: Final = 10_000
_GROUP_FIELDS: Final = frozenset({"name", "interval", "limit", "labels", "rules"})
_RULE_FIELDS: Final = frozenset({"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"})
_KNOWN_ELSEWHERE: Final = {
    "query_offset": "Vigie evaluates when data arrives, and needs no offset",
    "partial_response_strategy": "it is Thanos'",
}
_FIELDS: Final = {
    "name": "alert", "expression": "expr", "for": "for", "keepFiringFor": "keep_firing_for", "interval": "interval",
    "group": "name",
}  # fmt: skip
"""What a file calls the fields of a rule."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something about one line of a rule file."""

    line: int
    """From 1."""
    message: str
    error: bool = True
    """Whether the file is refused for it."""

    def __str__(self) -> str:
        return f"line {self.line}: {'' if self.error else 'warning: '}{self.message}"


class InvalidRuleFileError(ValueError):
    """The file is refused: every error with its line."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = findings


@dataclass(slots=True)
class _File:
    tenant: str
    rules: list[Rule] = field(default_factory=list[Rule])
    findings: list[Finding] = field(default_factory=list[Finding])

    def error(self, line: int, message: str) -> None:
        self.findings.append(Finding(line, message))

    def warning(self, line: int, message: str) -> None:
        self.findings.append(Finding(line, message, error=False))


def read(text: str, tenant: str) -> tuple[list[Rule], list[Finding]]:
    """The rules of a file in its order, and warnings. Raises InvalidRuleFileError with all errors."""
    file = _read(text, tenant)
    errors = [finding for finding in file.findings if finding.error]
    if errors:
        raise InvalidRuleFileError(errors)
    return file.rules, file.findings


def lint(text: str) -> list[Finding]:
    """All that is wrong with a file or was hardly meant, in the order of its lines."""
    return sorted(_read(text, "default").findings, key=lambda finding: (finding.line, not finding.error))


def _read(text: str, tenant: str) -> _File:
    file = _File(tenant)
    try:
        document = load(text)
    except InvalidYamlError as e:
        file.error(e.line, e.reason)
        return file
    if not isinstance(document, Mapping) or not isinstance(document.get("groups"), list):
        file.error(1, "a rule file has a list `groups`")
        return file
    _unknown(file, document, frozenset({"groups"}), "a rule file")
    names: set[str] = set()
    for group in document["groups"]:
        if not isinstance(group, Mapping):
            file.error(document.lines["groups"], "a group must be a mapping")
            continue
        _group(file, group, names)
    if len(file.rules) > MAX_RULES:
        file.error(1, f"there are {len(file.rules):,} rules, at most {MAX_RULES:,} are taken from one file")
    return file


def _unknown(file: _File, mapping: Mapping, known: frozenset[str], what: str) -> None:
    for name in mapping:
        if name not in known:
            why = _KNOWN_ELSEWHERE.get(name)
            file.error(
                mapping.lines[name],
                f"{name[:64]} is not supported: {why}" if why else f"{name[:64]} is not a field of {what}",
            )


def _group(file: _File, group: Mapping, names: set[str]) -> None:
    _unknown(file, group, _GROUP_FIELDS, "a group")
    name = _text(file, group, "name")
    if not name:
        file.error(group.line, "a group needs a name")
    elif name in names:
        file.error(group.lines["name"], f"there is a group {name} already")
    names.add(name)
    shared: dict[str, Any] = {
        "group": name,
        "interval_ms": _duration(file, group, "interval"),
        "limit": _count(file, group, "limit"),
    }
    labels = _texts(file, group, "labels")
    rules = group.get("rules")
    if not isinstance(rules, list):
        file.error(group.line, "a group needs a list `rules`")
        return
    seen: dict[tuple[object, ...], int] = {}
    for one in rules:
        if isinstance(one, Mapping):
            _rule(file, one, shared, labels, seen)
        else:
            file.error(group.lines["rules"], "a rule must be a mapping")


def _rule(
    file: _File, one: Mapping, shared: dict[str, Any], group_labels: dict[str, str], seen: dict[tuple[object, ...], int]
) -> None:
    _unknown(file, one, _RULE_FIELDS, "a rule")
    before = len(file.findings)
    alert, record = _text(file, one, "alert"), _text(file, one, "record")
    if bool(alert) is bool(record):
        file.error(one.line, "a rule has either alert or record")
        return
    if not _text(file, one, "expr"):
        file.error(one.line, "a rule needs an expr")
    labels = {**group_labels, **_texts(file, one, "labels")}
    key = (alert or record, bool(alert), *sorted(labels.items()))
    place = seen[key] = seen.get(key, -1) + 1
    severity = labels.get("severity", "")
    rule = Rule(
        id=_id(file.tenant, shared["group"], key, place),
        tenant=file.tenant,
        name=alert or record,
        kind=RuleKind.EXPRESSION if alert else RuleKind.RECORDING,
        severity=Severity(severity) if severity in list(Severity) else Severity.WARNING,
        expression=_text(file, one, "expr"),
        record=record,
        for_ms=_duration(file, one, "for"),
        keep_firing_for_ms=_duration(file, one, "keep_firing_for"),
        labels=labels,
        annotations=_texts(file, one, "annotations"),
        **shared,
    )
    if len(file.findings) == before or not any(finding.error for finding in file.findings[before:]):
        _judge(file, one, rule, place)


def _judge(file: _File, one: Mapping, rule: Rule, place: int) -> None:
    try:
        _, warnings = checked(rule)
    except InvalidRuleError as e:
        for problem in e.problems:
            file.error(_line(one, problem), _message(problem))
        return
    file.rules.append(rule)
    for warning in (*warnings, *_advice(rule)):
        file.warning(_line(one, warning), _message(warning))
    if place:
        file.warning(one.line, f"{rule.name} is there already, with the same labels: their alerts cannot be told apart")


def _advice(rule: Rule) -> Iterator[RuleProblem]:
    if rule.kind is not RuleKind.EXPRESSION:
        return
    if not {"summary", "description", "message"} & set(rule.annotations):
        yield RuleProblem("annotations", "there is no summary: whoever is paged reads an expression")
    severity = rule.labels.get("severity")
    if severity is not None and severity not in list(Severity):
        yield RuleProblem("labels.severity", f"{severity[:40]} is no severity of Vigie: counts as {rule.severity}")


def _line(one: Mapping, problem: RuleProblem) -> int:
    """Where in the file what the problem is about stands."""
    top, _, entry = problem.field.partition(".")
    name = _FIELDS.get(top, top)
    name = "record" if name == "alert" and "alert" not in one else name
    inside = one.get(name)
    if isinstance(inside, Mapping) and entry in inside.lines:
        return inside.lines[entry]
    return one.lines.get(name, one.line)


def _message(problem: RuleProblem) -> str:
    return str(msgspec.structs.replace(problem, field=_FIELDS.get(problem.field, problem.field)))


def _text(file: _File, mapping: Mapping, name: str) -> str:
    value = mapping.get(name, "")
    if value == "":
        return ""
    if not isinstance(value, Text) or value.tag == "null":
        file.error(mapping.lines[name], f"{name} must be a text")
        return ""
    return str(value)


def _texts(file: _File, mapping: Mapping, name: str) -> dict[str, str]:
    value = mapping.get(name)
    if value is None or (isinstance(value, Text) and value.tag == "null"):
        return {}
    if not isinstance(value, Mapping):
        file.error(mapping.lines[name], f"{name} must be a mapping of texts")
        return {}
    return {key: _text(file, value, key) for key in value}


def _duration(file: _File, mapping: Mapping, name: str) -> int:
    text = _text(file, mapping, name)
    try:
        return parse_duration(text) if text else 0
    except ValueError as e:
        file.error(mapping.lines[name], f"{name}: {e}")
        return 0


def _count(file: _File, mapping: Mapping, name: str) -> int:
    text = _text(file, mapping, name)
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        file.error(mapping.lines[name], f"{name} must be a whole number, not negative")
        return 0
    return int(text)


def _id(tenant: str, group: str, key: tuple[object, ...], place: int) -> str:
    h = blake2b(msgspec.json.encode([tenant, group, *map(str, key), place]), digest_size=8, person=b"vigie-rule-v1")
    return f"prom-{h.hexdigest()}"
