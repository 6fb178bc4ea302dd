"""From a rule to what is evaluated: one PromQL expression, and where it ends in a comparison with a number, the value
before it, so that recovery thresholds, levels and missing data can be told apart."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vigie_contracts.alerts import Condition, Rule, RuleKind, Severity
from vigie_contracts.series import Labels
from vigie_query import matchers
from vigie_query.errors import QueryError
from vigie_query.promql.labels import without_name
from vigie_query.promql.plan import Binary, Negation, Node, Number, Parentheses, ValueType
from vigie_query.times import duration

from vigie_alerting.alert import Observation
from vigie_alerting.rules import expressions
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem
from vigie_alerting.templates import number

COMPARE: Final[Mapping[Condition, Callable[[Any, float], Any]]] = {
    Condition.GREATER: operator.gt,
    Condition.GREATER_OR_EQUAL: operator.ge,
    Condition.LESS: operator.lt,
    Condition.LESS_OR_EQUAL: operator.le,
    Condition.EQUAL: operator.eq,
    Condition.DIFFERENT: operator.ne,
}
"""Of one value with a threshold, or of an array of values."""
_MIRRORED: Final = {
    Condition.GREATER: Condition.LESS,
    Condition.GREATER_OR_EQUAL: Condition.LESS_OR_EQUAL,
    Condition.LESS: Condition.GREATER,
    Condition.LESS_OR_EQUAL: Condition.GREATER_OR_EQUAL,
    Condition.EQUAL: Condition.EQUAL,
    Condition.DIFFERENT: Condition.DIFFERENT,
}


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule that can be evaluated."""

    rule: Rule
    text: str
    """PromQL of the whole rule."""
    expression: Node
    """Its plan."""
    value: Node
    """What to evaluate: the side of the comparison that is no number, else the whole."""
    condition: Condition | None = None
    threshold: float = 0.0
    plain: bool = False
    """Whether its annotations are texts as they are, and no templates."""

    @property
    def compares(self) -> bool:
        """Whether a value comes out that does not fire too: else whatever comes out fires."""
        return self.condition is not None

    def holds(self, value: float, threshold: float) -> bool:
        return self.condition is not None and bool(COMPARE[self.condition](value, threshold))

    def observe(self, labels: Labels, value: float | None, traceparent: str = "") -> Observation:
        """What it means that `value` gives this for a series; None: it gives nothing."""
        labels = without_name(labels)
        severity = self.rule.severity
        if value is None or not self.compares:
            return Observation(labels, value is not None, severity, value, traceparent=traceparent)
        for level in self.rule.levels:  # from mild to bad
            if self.holds(value, level.threshold):
                severity = level.severity
        recovery = self.rule.recovery_threshold
        holding = recovery is not None and self.holds(value, recovery)
        return Observation(labels, self.holds(value, self.threshold), severity, value, holding, traceparent)


def compiled(rule: Rule) -> CompiledRule:
    """Raises InvalidRuleError with the problems of its expression; `checking` judges the rest."""
    text = rule.expression if rule.kind in (RuleKind.EXPRESSION, RuleKind.RECORDING) else simple(rule)
    found = expressions.parsed(text, "expression")
    if isinstance(found, RuleProblem):
        raise InvalidRuleError([found])
    value, condition, threshold = _split(found) if rule.kind is not RuleKind.RECORDING else (found, None, 0.0)
    return CompiledRule(rule, text, found, value, condition, threshold)


def _split(node: Node) -> tuple[Node, Condition | None, float]:
    """The value, condition and threshold of a comparison with a number."""
    bare = _bare(node)
    if isinstance(bare, Binary) and bare.operator in list(Condition) and not bare.returns_bool:
        condition = Condition(bare.operator)
        left, right = _constant(bare.left), _constant(bare.right)
        if right is not None and bare.left.type is ValueType.VECTOR:
            return bare.left, condition, right
        if left is not None and bare.right.type is ValueType.VECTOR:
            return bare.right, _MIRRORED[condition], left
    return node, None, 0.0


def _bare(node: Node) -> Node:
    while isinstance(node, Parentheses):
        node = node.of
    return node


def _constant(node: Node) -> float | None:
    match _bare(node):
        case Number(value):
            return value
        case Negation(of):
            inner = _constant(of)
            return None if inner is None else -inner
        case _:
            return None


def simple(rule: Rule) -> str:
    """PromQL of a rule in a simple form. Raises InvalidRuleError for matchers that cannot be read."""
    window = f"[{duration(rule.window_ms)}]"
    series = selector(rule.metric_name, rule.matchers, "matchers")
    match rule.kind:
        case RuleKind.RATE:
            left = f"rate({series}{window})"
            left = f"{_sum(rule)} ({left})" if rule.by else left
        case RuleKind.RATIO:
            whole = selector(rule.of_metric_name or rule.metric_name, rule.of_matchers, "ofMatchers")
            left = f"{_sum(rule)} (rate({series}{window})) / {_sum(rule)} (rate({whole}{window}))"
        case RuleKind.PERCENTILE:
            buckets = selector(f"{rule.metric_name}_bucket", rule.matchers, "matchers")
            by = ", ".join((*rule.by, "le"))
            quantile = f"{(rule.percentile or 0) / 100:.12g}"
            left = f"histogram_quantile({quantile}, sum by ({by}) (rate({buckets}{window})))"
        case RuleKind.ABSENCE:
            return " or ".join(
                f"absent_over_time({selector(rule.metric_name, rule.matchers, 'matchers', labels)}{window})"
                for labels in rule.expected or [{}]
            )
        case _:
            left = series
    return f"{left} {rule.condition or Condition.GREATER} {number(rule.threshold or 0.0)}"


def _sum(rule: Rule) -> str:
    return f"sum by ({', '.join(rule.by)})" if rule.by else "sum"


def selector(name: str, texts: list[str], field: str, equal: dict[str, str] | None = None) -> str:
    """PromQL of a metric with these matchers, and labels that equal these values. Raises InvalidRuleError."""
    try:
        found = matchers.parse(texts, field)
    except QueryError as e:
        raise InvalidRuleError([RuleProblem(field, e.detail.removeprefix(f"{field}: "))]) from None
    pairs = [(one.label, one.operator.value, one.value) for one in found]
    pairs += [(label, "=", value) for label, value in sorted((equal or {}).items())]
    plain = name.replace(":", "_").isidentifier() and name.isascii()
    if not plain:
        pairs.insert(0, ("__name__", "=", name))
    inside = ", ".join(f"{label}{sign}{quoted(value)}" for label, sign, value in pairs)
    return (name if plain else "") + (f"{{{inside}}}" if inside else "")


def quoted(text: str) -> str:
    """As PromQL's string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def worst(rule: Rule) -> Severity:
    """The severity that a rule's alerts may come to."""
    return max((rule.severity, *(level.severity for level in rule.levels)), key=list(Severity).index)
