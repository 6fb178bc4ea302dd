"""From a body to the rules that are run over the past, and the time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType
from vigie_contracts.alerts import Rule, RuleKind
from vigie_contracts.problems import shortened
from vigie_query.errors import InvalidParameter
from vigie_query.times import DAY, MINUTE, iso, parse_time

from vigie_alerting.api.context import Context
from vigie_alerting.api.rules.writing import evaluable, judged
from vigie_alerting.backtest.reading import first_kept_ms
from vigie_alerting.rulebook.errors import InvalidRule, InvalidRuleFile
from vigie_alerting.rules import files
from vigie_alerting.rules.compiling import CompiledRule, compiled
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem

MAX_RULES: Final = 200
"""Of one preview."""
MAX_DAYS: Final = 30
DEFAULT_DAYS: Final = 7
_SLACK_MS: Final = 2 * 3_600_000
"""What is asked for as so many days may begin so long before what is kept."""


class _Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    rule: Raw | UnsetType = UNSET
    rules: list[Raw] = []
    ids: list[str] = []
    file: str = ""
    from_: str | int | UnsetType = msgspec.field(default=UNSET, name="from")
    to: str | int | UnsetType = UNSET
    days: float | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be run. Unix milliseconds."""

    rules: list[CompiledRule]
    start_ms: int
    end_ms: int
    warnings: list[RuleProblem]


async def asked(context: Context, body: bytes) -> Asked:
    """Raises InvalidRule, InvalidRuleFile, InvalidParameter, RuleNotFound, StoreUnavailable."""
    try:
        sent = msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise InvalidRule([RuleProblem("body", shortened(str(e)))], malformed=True) from None
    start_ms, end_ms = _time(sent, context.now_ms)
    _few(len(sent.rules) + len(sent.ids))
    warnings: list[RuleProblem] = []
    rules = [*await _written(context, sent, warnings), *await _of_file(context, sent, warnings)]
    book = context.resources.rulebook
    rules += [_compiled((await book.get(context.tenant, one)).rule) for one in sent.ids]
    alerting = [one for one in rules if one.rule.kind is not RuleKind.RECORDING]
    if not alerting:
        hint = "give rule, rules, ids or file"
        what = "gives no alert: a recording rule is seen by what it recorded" if rules else "names no rule"
        raise InvalidRule([RuleProblem("body", what, None, hint)])
    _few(len(rules))
    if left := len(rules) - len(alerting):
        warnings.append(
            RuleProblem("rules", f"{left} recording rules are not run: other rules see what was recorded at that time")
        )
    return Asked(alerting, start_ms, end_ms, warnings)


async def _written(context: Context, sent: _Body, warnings: list[RuleProblem]) -> list[CompiledRule]:
    """Rules as they are sent to be made."""
    bodies = [("rule", sent.rule)] if isinstance(sent.rule, Raw) else []
    bodies += [(f"rules[{place}]", one) for place, one in enumerate(sent.rules)]
    made: list[CompiledRule] = []
    for place, (field, raw) in enumerate(bodies):
        try:
            rule, more = await judged(context, bytes(raw), f"preview-{place}")
        except InvalidRule as e:
            raise InvalidRule([_under(field, one) for one in e.problems]) from None
        warnings += [_under(field, one) for one in more]
        made.append(_compiled(rule))
    return made


async def _of_file(context: Context, sent: _Body, warnings: list[RuleProblem]) -> list[CompiledRule]:
    if not sent.file:
        return []
    try:
        rules, findings = await asyncio.to_thread(files.read, sent.file, context.tenant)
    except files.InvalidRuleFileError as e:
        raise InvalidRuleFile(e.findings) from None
    _few(len(rules))
    warnings += [RuleProblem(f"file line {one.line}", one.message) for one in findings[:MAX_RULES]]
    made = await asyncio.to_thread(lambda: list(map(_compiled, rules)))
    for one in made:
        try:
            await evaluable(context, one)
        except InvalidRule as e:
            raise InvalidRule([_under(one.rule.name, problem) for problem in e.problems]) from None
    return made


def _few(rules: int) -> None:
    """Raises InvalidRule, before there is any work with them."""
    if rules > MAX_RULES:
        raise InvalidRule([RuleProblem("body", f"has more than {MAX_RULES} rules")])


def _compiled(rule: Rule) -> CompiledRule:
    """Raises InvalidRule."""
    try:
        return compiled(rule)
    except InvalidRuleError as e:
        raise InvalidRule(e.problems) from None


def _under(field: str, problem: RuleProblem) -> RuleProblem:
    return RuleProblem(f"{field}: {problem.field}", problem.reason, problem.position, problem.hint)


def _time(sent: _Body, now_ms: int) -> tuple[int, int]:
    end_ms = now_ms if sent.to is UNSET else min(parse_time(str(sent.to), "to", now_ms), now_ms)
    if sent.from_ is not UNSET:
        if sent.days is not UNSET:
            raise InvalidParameter("days", "give from, or days, not both")
        start_ms = parse_time(str(sent.from_), "from", now_ms)
    else:
        days = DEFAULT_DAYS if isinstance(sent.days, UnsetType) else sent.days
        if not 0 < days <= MAX_DAYS:
            raise InvalidParameter("days", f"must be more than 0, and at most {MAX_DAYS}")
        start_ms = end_ms - round(days * DAY)
        if first_kept_ms(now_ms) - _SLACK_MS <= start_ms < first_kept_ms(now_ms):
            start_ms = first_kept_ms(now_ms)
    if end_ms - start_ms < MINUTE:
        raise InvalidParameter("from", f"must be a minute before {iso(end_ms)} at least")
    return start_ms, end_ms
