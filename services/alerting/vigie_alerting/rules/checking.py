"""Whether a rule makes sense: everything that is wrong with it at once, and what was hardly meant."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

from vigie_contracts import limits
from vigie_contracts.alerts import Channel, Condition, NoData, Rule, RuleKind, Severity
from vigie_contracts.problems import shortened
from vigie_contracts.series import InvalidSeriesError, Kind, series_key
from vigie_query.promql.plan import Aggregation, Binary, Call, Negation, Node, Parentheses, Selector, Subquery

from vigie_alerting import templates
from vigie_alerting.rules.compiling import CompiledRule, compiled
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem

ChannelCheck = Callable[[Channel], str]
"""What is wrong with the destination of a channel of a known kind, in words; empty when nothing is."""
CHANNEL_TYPES: Final = frozenset({"slack", "email", "webhook", "live", "apprise", "channel"})
"""`channel`: one of the tenant's, by its name."""
MAX_CHANNELS: Final = 20
MAX_DESTINATION_CHARS: Final = 1_024
MAX_TEXTS: Final = 50
"""Labels, and annotations."""
MAX_EXPECTED: Final = 100
MAX_LEVELS: Final = 5
MAX_RECORDED: Final = 10_000
"""Series that a recording rule writes."""
MAX_DURATION_MS: Final = 30 * 24 * 3_600_000
MIN_INTERVAL_MS: Final = 1_000
_WITHOUT_ORDER: Final = (Condition.EQUAL, Condition.DIFFERENT)
_UPWARD: Final = (Condition.GREATER, Condition.GREATER_OR_EQUAL)
_SIMPLE: Final = frozenset(RuleKind) - {RuleKind.EXPRESSION, RuleKind.RECORDING}
_COUNTS: Final = (RuleKind.RATE, RuleKind.RATIO, RuleKind.PERCENTILE)
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_RECORD: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_TIMES: Final = {
    "for": "for_ms",
    "keepFiringFor": "keep_firing_for_ms",
    "interval": "interval_ms",
    "window": "window_ms",
}


def any_destination(_: Channel) -> str:
    """Whoever sends judges it."""
    return ""


def checked(rule: Rule, channel: ChannelCheck = any_destination) -> tuple[CompiledRule, list[RuleProblem]]:
    """The compiled rule, and warnings. `channel` judges the destinations. Raises InvalidRuleError with all problems."""
    problems = [*_names(rule), *_form(rule), *_durations(rule), *_texts(rule), *_channels(rule, channel)]
    made: CompiledRule | None = None
    if not any(problem.field in ("metricName", "expression", "matchers") for problem in problems):
        try:
            made = compiled(rule)
            problems += _comparison(made)
        except InvalidRuleError as e:
            problems += e.problems
    if problems or made is None:
        raise InvalidRuleError(problems)
    return made, list(_warnings(made))


def _names(rule: Rule) -> Iterator[RuleProblem]:
    for field, value, longest in (
        ("name", rule.name, limits.MAX_NAME_CHARS),
        ("group", rule.group, limits.MAX_NAME_CHARS),
        ("owner", rule.owner, limits.MAX_NAME_CHARS),
        ("runbook", rule.runbook, MAX_DESTINATION_CHARS),
    ):
        if field == "name" and not value.strip():
            yield RuleProblem(field, "must not be empty")
        if len(value) > longest:
            yield RuleProblem(field, f"has more than {longest} characters")
        if _CONTROL.search(value):
            yield RuleProblem(field, "holds a line break or another control character")
    if rule.runbook and urlsplit(rule.runbook).scheme not in ("http", "https"):
        yield RuleProblem("runbook", "must be a link that begins with https:// or http://")
    if rule.limit < 0:
        yield RuleProblem("limit", "must not be negative")


def _form(rule: Rule) -> Iterator[RuleProblem]:
    if rule.kind in _SIMPLE:
        yield from _simple(rule)
        return
    for field, given in (
        ("metricName", rule.metric_name), ("threshold", rule.threshold is not None), ("condition", rule.condition),
        ("matchers", rule.matchers), ("levels", rule.levels), ("by", rule.by), ("expected", rule.expected),
    ):  # fmt: skip
        if given:
            yield RuleProblem(field, f"a rule with an expression has no {field}", None, "say it in the expression")
    if rule.kind is RuleKind.RECORDING:
        if not _RECORD.match(rule.record):
            yield RuleProblem("record", "must be the name of a metric: letters, digits, _ and :")
        elif len(rule.record) > limits.MAX_NAME_CHARS:
            yield RuleProblem("record", f"has more than {limits.MAX_NAME_CHARS} characters")
        if rule.limit > MAX_RECORDED:
            yield RuleProblem("limit", f"a recording rule writes {MAX_RECORDED:,} series at most")
        for field, given in (
            ("for", rule.for_ms),
            ("keepFiringFor", rule.keep_firing_for_ms),
            ("annotations", rule.annotations),
        ):
            if given:
                yield RuleProblem(field, f"a recording rule has no {field}: it gives no alert")
    elif rule.record:
        yield RuleProblem("record", "only a recording rule has it")


def _simple(rule: Rule) -> Iterator[RuleProblem]:
    if rule.expression:
        yield RuleProblem("expression", f"a rule of kind {rule.kind} has no expression", None, "leave kind out")
    for field, name in (("metricName", rule.metric_name), ("ofMetricName", rule.of_metric_name or "unused")):
        try:
            series_key("default", name, Kind.GAUGE, {})
        except InvalidSeriesError as e:
            yield RuleProblem(field, "is missing: which metric is watched?" if not name else e.reason)
    if rule.kind is not RuleKind.ABSENCE:
        if rule.condition is None:
            yield RuleProblem("condition", f"is missing: one of {' '.join(Condition)}")
        if rule.threshold is None:
            yield RuleProblem("threshold", "is missing: the number that the value is compared with")
    for label in rule.by:
        if not _LABEL.match(label):
            yield RuleProblem("by", f"{shortened(label)} is no name of a label")
    yield from _misfit(rule)
    if rule.kind is RuleKind.PERCENTILE and not 0 < (rule.percentile or 0) < 100:
        yield RuleProblem("percentile", "must be a number between 0 and 100, such as 95")
    if rule.kind is RuleKind.ABSENCE:
        yield from _expected(rule)
    yield from _levels(rule)


def _misfit(rule: Rule) -> Iterator[RuleProblem]:
    for field, given, kinds in (
        ("by", rule.by, _COUNTS),
        ("percentile", rule.percentile is not None, (RuleKind.PERCENTILE,)),
        ("ofMetricName", rule.of_metric_name, (RuleKind.RATIO,)),
        ("ofMatchers", rule.of_matchers, (RuleKind.RATIO,)),
        ("expected", rule.expected, (RuleKind.ABSENCE,)),
        ("threshold", rule.threshold is not None, tuple(_SIMPLE - {RuleKind.ABSENCE})),
        ("record", rule.record, ()),
    ):
        if given and rule.kind not in kinds:
            yield RuleProblem(field, f"a rule of kind {rule.kind} has no {field}")


def _expected(rule: Rule) -> Iterator[RuleProblem]:
    if len(rule.expected) > MAX_EXPECTED:
        yield RuleProblem(
            "expected", f"has {len(rule.expected)} series, at most {MAX_EXPECTED} are watched by one rule"
        )
    for i, labels in enumerate(rule.expected):
        if not labels:
            yield RuleProblem(f"expected[{i}]", "names no label")
        yield from (
            RuleProblem(f"expected[{i}]", f"{shortened(label)} is no name of a label")
            for label in labels
            if not _LABEL.match(label)
        )
    if len({tuple(sorted(labels.items())) for labels in rule.expected}) < len(rule.expected):
        yield RuleProblem("expected", "names a series twice")


def _levels(rule: Rule) -> Iterator[RuleProblem]:
    for field, value in (("threshold", rule.threshold), ("recoveryThreshold", rule.recovery_threshold)):
        if value is not None and not math.isfinite(value):
            yield RuleProblem(field, "must be a finite number")
    if not rule.levels:
        return
    if len(rule.levels) > MAX_LEVELS:
        yield RuleProblem("levels", f"at most {MAX_LEVELS} are taken")
    if rule.condition in _WITHOUT_ORDER or rule.condition is None:
        yield RuleProblem("levels", "need one of the conditions > >= < <=")
        return
    sign, ranks = (1 if rule.condition in _UPWARD else -1), list(Severity)
    threshold, severity = rule.threshold or 0.0, rule.severity
    for i, level in enumerate(rule.levels):
        if not math.isfinite(level.threshold) or sign * (level.threshold - threshold) <= 0:
            yield RuleProblem(f"levels[{i}].threshold", "must be harder to reach than the one before it")
        if ranks.index(level.severity) <= ranks.index(severity):
            yield RuleProblem(f"levels[{i}].severity", f"must be worse than {severity}, which comes before it")
        threshold, severity = level.threshold, level.severity


def _comparison(made: CompiledRule) -> Iterator[RuleProblem]:
    """What only a rule can have whose expression ends in a comparison with a number."""
    rule, recovery = made.rule, made.rule.recovery_threshold
    needs = "needs an expression that ends in a comparison with a number, such as cpu > 80"
    if not made.compares:
        if recovery is not None:
            yield RuleProblem("recoveryThreshold", needs)
        if rule.no_data is not NoData.OK:
            yield RuleProblem("noData", needs, None, "use absent_over_time() or a rule of kind absence")
        return
    if not math.isfinite(made.threshold):
        yield RuleProblem(
            "threshold" if rule.kind in _SIMPLE else "expression", "compares with what is no finite number"
        )
    if recovery is None:
        return
    if made.condition in _WITHOUT_ORDER:
        yield RuleProblem("recoveryThreshold", "needs one of the conditions > >= < <=")
    elif not made.holds(made.threshold, recovery) and recovery != made.threshold:
        side = "below" if made.condition in _UPWARD else "above"
        yield RuleProblem("recoveryThreshold", f"must be {side} the threshold, {templates.number(made.threshold)}")


def _durations(rule: Rule) -> Iterator[RuleProblem]:
    for field, attribute in _TIMES.items():
        value: int = getattr(rule, attribute)
        if not 0 <= value <= MAX_DURATION_MS:
            yield RuleProblem(field, "must be between 0 and 30d")
        elif field in ("interval", "window") and 0 < value < MIN_INTERVAL_MS:
            yield RuleProblem(field, "must be at least 1s")
    if rule.window_ms == 0:
        yield RuleProblem("window", "must be at least 1s")


def _texts(rule: Rule) -> Iterator[RuleProblem]:
    for field, texts in (("labels", rule.labels), ("annotations", rule.annotations)):
        if len(texts) > MAX_TEXTS:
            yield RuleProblem(field, f"has {len(texts)} entries, at most {MAX_TEXTS} are taken")
            continue
        for name, template in texts.items():
            where = f"{field}.{shortened(name)}"
            if not _LABEL.match(name) or len(name) > limits.MAX_LABEL_NAME_CHARS:
                yield RuleProblem(where, "the name must hold letters, digits and _, no digit first")
            if field == "labels" and name in ("alertname", "__name__"):
                yield RuleProblem(where, "is reserved: the alert is named after its rule")
            try:
                templates.check(template)
            except templates.InvalidTemplateError as e:
                yield RuleProblem(where, str(e))


def _channels(rule: Rule, problem_of: ChannelCheck) -> Iterator[RuleProblem]:
    if len(rule.notification_channels) > MAX_CHANNELS:
        yield RuleProblem("notificationChannels", f"at most {MAX_CHANNELS} are taken")
        return
    for i, channel in enumerate(rule.notification_channels):
        where = f"notificationChannels[{i}]"
        if reason := _unknown(channel.type):
            yield RuleProblem(f"{where}.type", reason)
        elif reason := unsafe(channel.destination) or problem_of(channel):
            yield RuleProblem(f"{where}.destination", reason)


def _unknown(type_: str) -> str:
    if type_ in CHANNEL_TYPES:
        return ""
    return f"{shortened(type_)} is no kind of channel: there are {', '.join(sorted(CHANNEL_TYPES))}"


def unsafe(destination: str) -> str:
    """What is wrong with the text of a destination, whatever the kind of channel; empty: nothing."""
    if _CONTROL.search(destination):
        return "holds a line break or another control character"
    if len(destination) > MAX_DESTINATION_CHARS:
        return f"has more than {MAX_DESTINATION_CHARS:,} characters"
    return ""


def _warnings(made: CompiledRule) -> Iterator[RuleProblem]:
    rule = made.rule
    if rule.kind is RuleKind.THRESHOLD and rule.metric_name.endswith("_total"):
        yield RuleProblem(
            "metricName",
            f"{rule.metric_name} is a counter by its name, and only grows: once above the threshold it stays there",
            None,
            'for its growth write "kind": "rate", for a share of it "kind": "ratio"',
        )
    if rule.kind is RuleKind.EXPRESSION and not _can_be_empty(made.expression):
        yield RuleProblem(
            "expression", "compares nothing: it fires for every series that it gives", None, "add > 0, say"
        )


def _can_be_empty(node: Node) -> bool:
    """Whether something in it drops series: a comparison, a set operator, absent()."""
    match node:
        case Binary():
            filters = node.operator in (*Condition, "and", "unless") and not node.returns_bool
            return filters or _can_be_empty(node.left) or _can_be_empty(node.right)
        case Call():
            return node.function.startswith("absent") or any(map(_can_be_empty, node.arguments))
        case Negation() | Parentheses() | Aggregation() | Subquery():
            return _can_be_empty(node.of)
        case Selector():
            return False
        case _:
            return False
