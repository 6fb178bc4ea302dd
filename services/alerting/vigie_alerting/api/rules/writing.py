"""From a body to a rule that may be stored: read, judged, and its series counted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from vigie_contracts.alerts import Rule, RuleKind
from vigie_contracts.problems import shortened
from vigie_query.errors import QueryError
from vigie_query.promql.labels import NAME
from vigie_query.promql.plan import Selector

from vigie_alerting.api.context import Context
from vigie_alerting.engine.horizon import HorizonError, horizons
from vigie_alerting.engine.start import MAX_SERIES
from vigie_alerting.notifiers import live
from vigie_alerting.notifiers.message import ALERT_NAME, SEVERITY
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rulebook.destinations import check, restored
from vigie_alerting.rulebook.errors import InvalidRule, RuleConflict
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem
from vigie_alerting.rules.reading import DURATIONS, MalformedRuleError, read

MAX_COUNTED: Final = 10 * MAX_SERIES
"""Series are not counted beyond it."""


async def judged(
    context: Context, body: bytes, rule_id: str, before: Rule | None = None
) -> tuple[Rule, list[RuleProblem]]:
    """The rule that the body says, as the next version of `before`, and warnings. Raises InvalidRule."""
    resources, tenant = context.resources, context.tenant
    channels = await resources.channels.all(tenant)
    names = {channel.name for channel in channels if not channel.default}
    try:
        made, warnings = read(
            body,
            tenant=tenant,
            rule_id=rule_id,
            by=context.actor.name,
            now_ms=context.now_ms,
            previous=before,
            channel=check(names, resources.notifiers, before.notification_channels if before else ()),
        )
    except MalformedRuleError as e:
        raise InvalidRule(e.problems, malformed=True) from None
    except InvalidRuleError as e:
        raise InvalidRule(e.problems) from None
    await evaluable(context, made)
    rule = made.rule if before is None else restored(made.rule, before)
    if all(one.type == live.KIND.name for one in channels if one.default):
        routes = await resources.routebook.held.of(tenant)
        warnings = [*warnings, *await asyncio.to_thread(_untold, rule, routes)]  # it tries their expressions
    return rule, warnings


def _untold(rule: Rule, routes: Routes) -> list[RuleProblem]:
    """That it may come to that nobody is told of its alerts, where the settings have no channel to tell by."""
    if rule.notification_channels or rule.kind is RuleKind.RECORDING or routes.default:
        return []
    said = {name: value for name, value in rule.labels.items() if "{{" not in value}
    if routes.of({ALERT_NAME: rule.name, SEVERITY: rule.severity.value, **said}):
        return []
    return [
        RuleProblem(
            "notificationChannels",
            "an alert of this rule that no route takes is told to nobody but those who watch it live",
            None,
            "name a channel here, or a defaultReceiver in the routes",
        )
    ]


async def evaluable(context: Context, made: CompiledRule) -> None:
    """Raises InvalidRule for a rule that looks too far back, or at too many series."""
    field = "expression" if made.rule.expression else "metricName"
    try:
        needed = horizons(made.value)
    except HorizonError as e:
        raise InvalidRule([RuleProblem(field, str(e))]) from None
    for one in needed:
        if problem := await _too_many(context, one.wanted.selector, field):
            raise InvalidRule([problem])


async def _too_many(context: Context, selector: Selector, field: str) -> RuleProblem | None:
    """What those who evaluate the rule would refuse: they look at MAX_SERIES stored series for one selector."""
    try:
        found = await context.resources.selectors.candidates(context.tenant, selector.matchers, MAX_COUNTED)
    except QueryError as e:  # too many names for a pattern, or one that is too slow
        return RuleProblem(field, e.detail)
    if found <= MAX_SERIES:
        return None
    count = f"{found:,}" if found <= MAX_COUNTED else f"more than {MAX_COUNTED:,}"
    if all(one.in_store or one.label == NAME for one in selector.matchers):
        return RuleProblem(
            field,
            f"selects {count} series, at most {MAX_SERIES:,} are watched by one rule",
            None,
            "say which by labels",
        )
    return RuleProblem(
        field,
        f"tries patterns of labels on {count} series, at most {MAX_SERIES:,} are looked at for one rule",
        None,
        "name the metric, or give labels with = beside the patterns",
    )


def merged(rule: Rule, body: bytes) -> bytes:
    """The rule with the fields of a JSON merge patch: null puts a field back to what it is by default. Raises
    InvalidRule."""
    sent = _object(body)
    present: dict[str, Any] = msgspec.to_builtins(rule)
    for short, long in DURATIONS.items():
        if short in sent:
            present.pop(long, None)
    kept = {name: value for name, value in {**present, **sent}.items() if value is not None}
    return msgspec.json.encode(kept)


def expected_version(header: str | None, body: bytes = b"") -> int | None:
    """The version that a change was made from, by If-Match or in the body; None: whatever is there. Raises
    InvalidRule."""
    if header is not None and header.strip() != "*":
        text = header.strip().removeprefix("W/").strip('"')
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise InvalidRule([RuleProblem("If-Match", f'must be a version: "3", but is {shortened(header)}')])
        return int(text)
    version = _object(body).get("version") if body else None
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise InvalidRule([RuleProblem("version", "must be a whole number")])
    return version


def at_version(rule: Rule, expected: int | None) -> Rule:
    """The rule. Raises RuleConflict when it is at another version than expected."""
    if expected is not None and rule.version != expected:
        raise RuleConflict(rule)
    return rule


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        sent = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise InvalidRule([RuleProblem("body", f"is not valid JSON: {shortened(str(e))}")], malformed=True) from None
    if not isinstance(sent, dict):
        raise InvalidRule([RuleProblem("body", "must be a JSON object")], malformed=True)
    return sent
