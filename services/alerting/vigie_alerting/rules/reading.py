"""A rule as users send it, JSON: the replaced metrics service's form as it is, and all that a full rule has.

Durations are written as in Prometheus (`"for": "5m"`) or in milliseconds (`"forMs": 300000`), as rules are answered. A
field without meaning is ignored, with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from vigie_contracts.alerts import Channel, Condition, Level, NoData, Rule, RuleKind, Severity
from vigie_contracts.problems import shortened

from vigie_alerting.rules.checking import ChannelCheck, any_destination, checked
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.rules.durations import parse_duration
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem

MAX_BODY_BYTES: Final = 256 * 1024
DURATIONS: Final = {"for": "forMs", "keepFiringFor": "keepFiringForMs", "interval": "intervalMs", "window": "windowMs"}
_OURS: Final = frozenset({"id", "tenant", "managedBy", "version", "createdAt", "createdBy", "updatedAt", "updatedBy"})
"""Set by Vigie: in a rule that is sent back as it was answered they mean nothing."""
_ANSWERED: Final = frozenset({"promql", "published", "health", "warnings"})
"""Beside the rule in answers about it."""
_FIELDS: Final = {field.encode_name: field for field in msgspec.structs.fields(Rule)}
_MAX_WARNINGS: Final = 10
_WANTED: Final[dict[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    str: "a text",
    dict[str, str]: "an object of texts",
    list[str]: "a list of texts",
    list[dict[str, str]]: 'a list of label sets: [{"host": "web-1"}]',
    list[Channel]: 'a list of channels: [{"type": "slack", "destination": "#alerts"}]',
    list[Level]: 'a list of levels: [{"threshold": 90, "severity": "critical"}]',
    Severity: f"one of {', '.join(Severity)}",
    RuleKind: f"one of {', '.join(RuleKind)}",
    NoData: f"one of {', '.join(NoData)}",
    Condition | None: f"one of {' '.join(Condition)}",
    float | None: "a number",
}


class MalformedRuleError(InvalidRuleError):
    """The body is no JSON object."""


def read(
    body: bytes,
    *,
    tenant: str,
    rule_id: str,
    by: str,
    now_ms: int,
    previous: Rule | None = None,
    channel: ChannelCheck = any_destination,
) -> tuple[CompiledRule, list[RuleProblem]]:
    """The rule, and warnings. With `previous` it is its next version. Raises InvalidRuleError with all problems."""
    sent = _object(body)
    problems: list[RuleProblem] = []
    values = _values(sent, problems)
    kind = values.get("kind") or _kind(sent)
    if "name" not in sent:
        problems.append(RuleProblem("name", "is missing"))
    if problems:
        raise InvalidRuleError(problems)
    rule = Rule(**{"id": rule_id, "tenant": tenant, **values, "kind": kind})
    rule = versioned(rule, by, now_ms, previous)
    made, warnings = checked(rule, channel)
    return made, [*_ignored(sent), *warnings]


def versioned(rule: Rule, by: str, now_ms: int, previous: Rule | None = None) -> Rule:
    """The rule as the next version of `previous`, or as the first one."""
    first = previous or replace(rule, version=0, created_at=now_ms, created_by=by)
    return replace(
        rule,
        version=first.version + 1,
        created_at=first.created_at,
        created_by=first.created_by,
        updated_at=now_ms,
        updated_by=by,
    )


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise MalformedRuleError([RuleProblem("body", f"is longer than {MAX_BODY_BYTES:,} bytes")])
    try:
        sent = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        hint = "a number must be finite" if b"NaN" in body or b"Infinity" in body else ""
        raise MalformedRuleError([RuleProblem("body", f"is not valid JSON: {shortened(str(e))}", None, hint)]) from None
    if not isinstance(sent, dict):
        raise MalformedRuleError([RuleProblem("body", "must be a JSON object")])
    return sent


def _kind(sent: Mapping[str, Any]) -> RuleKind:
    """Of a rule that does not say: what it has tells."""
    if sent.get("record"):
        return RuleKind.RECORDING
    return RuleKind.EXPRESSION if sent.get("expression") else RuleKind.THRESHOLD


def _values(sent: Mapping[str, Any], problems: list[RuleProblem]) -> dict[str, Any]:
    """By attribute of Rule; what cannot be read is a problem."""
    values: dict[str, Any] = {}
    for name, value in sent.items():
        field = _FIELDS.get(name)
        if name in DURATIONS:
            if (length := _duration(name, value, sent, problems)) is not None:
                values[_FIELDS[DURATIONS[name]].name] = length
        elif field is not None and name not in _OURS and value is not None:
            try:
                values[field.name] = msgspec.convert(value, field.type)
            except msgspec.ValidationError as e:
                problems.append(_unreadable(name, value, field.type, str(e)))
    return values


def _duration(name: str, value: Any, sent: Mapping[str, Any], problems: list[RuleProblem]) -> int | None:
    try:
        length = parse_duration(value) if isinstance(value, str) else None
    except ValueError as e:
        problems.append(RuleProblem(name, str(e)))
        return None
    if length is None:
        problems.append(
            RuleProblem(name, f'must be a duration in quotation marks, such as "5m", but is {_quoted(value)}')
        )
    elif sent.get(DURATIONS[name], length) != length:
        problems.append(RuleProblem(name, f"is not the same as {DURATIONS[name]}: send one of them"))
    return length


def _unreadable(name: str, value: Any, wanted: Any, message: str) -> RuleProblem:
    _, _, path = message.partition(" - at `$")
    where = name + path.removesuffix("`").replace("[...]", "")
    hint = ""
    if wanted == float | None and isinstance(value, str):
        hint = "write it without quotation marks" if _is_number(value) else ""
    return RuleProblem(where, f"must be {_WANTED.get(wanted, 'another value')}, but is {_quoted(value)}", None, hint)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {shortened(value)!r}"
    return shortened(msgspec.json.encode(value).decode())


def _ignored(sent: Mapping[str, Any]) -> list[RuleProblem]:
    unknown = [name for name in sent if name not in _FIELDS and name not in DURATIONS and name not in _ANSWERED]
    return [
        RuleProblem(shortened(name), "is not a field of a rule: it was ignored") for name in unknown[:_MAX_WARNINGS]
    ]
