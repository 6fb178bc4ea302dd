"""From a body to a rule that may be stored: read, judged, and its series counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from vigie_contracts.alerts import Rule
from vigie_contracts.problems import shortened
from vigie_query.promql.derived import bases_of, exact_name
from vigie_query.promql.labels import NAME
from vigie_query.promql.plan import Node, Selector
from vigie_storage.series.filter import Filter

from vigie_alerting.api.context import Context
from vigie_alerting.engine.horizon import HorizonError, horizons
from vigie_alerting.engine.start import MAX_SERIES
from vigie_alerting.rulebook.destinations import check, restored
from vigie_alerting.rulebook.errors import InvalidRule, RuleConflict
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem
from vigie_alerting.rules.reading import DURATIONS, MalformedRuleError, read


async def judged(
    context: Context, body: bytes, rule_id: str, before: Rule | None = None
) -> tuple[Rule, list[RuleProblem]]:
    """The rule that the body says, as the next version of `before`, and warnings. Raises InvalidRule."""
    resources, tenant = context.resources, context.tenant
    names = {channel.name for channel in await resources.channels.all(tenant) if not channel.default}
    try:
        made, warnings = read(
            body,
            tenant=tenant,
            rule_id=rule_id,
            by=context.actor.name,
            now_ms=context.now_ms,
            previous=before,
            channel=check(names, resources.notifiers, before),
        )
    except MalformedRuleError as e:
        raise InvalidRule(e.problems, malformed=True) from None
    except InvalidRuleError as e:
        raise InvalidRule(e.problems) from None
    await evaluable(context, made)
    return (made.rule if before is None else restored(made.rule, before)), warnings


async def evaluable(context: Context, made: CompiledRule) -> None:
    """Raises InvalidRule for a rule that looks too far back, or at too many series."""
    field = "expression" if made.rule.expression else "metricName"
    try:
        needed = horizons(made.value)
    except HorizonError as e:
        raise InvalidRule([RuleProblem(field, str(e))]) from None
    for one in needed:
        found = await _count(context, one.wanted.selector, MAX_SERIES)
        if found > MAX_SERIES:
            raise InvalidRule(
                [
                    RuleProblem(
                        field,
                        f"selects {found:,} series, at most {MAX_SERIES:,} are watched by one rule",
                        None,
                        "say which by labels",
                    )
                ]
            )


async def _count(context: Context, selector: Node, limit: int) -> int:
    """How many series are selected; 0 where only looking at all of them would tell."""
    if not isinstance(selector, Selector):
        return 0
    of_names = [one for one in selector.matchers if one.label == NAME]
    others = tuple(one for one in selector.matchers if one.label != NAME)
    exact = exact_name(of_names)
    if of_names and exact is None:
        return 0
    names = None if exact is None else (exact, *(base for base, _ in bases_of(exact)))
    return await context.resources.series.count(context.tenant, Filter(names, matchers=others), 10 * limit) or 0


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
