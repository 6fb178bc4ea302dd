"""What a sender says of an alert, and the rule that stands for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

from vigie_contracts.alerts import Rule, RuleKind, Severity
from vigie_contracts.series import Labels
from vigie_query.promql.plan import Node

from vigie_alerting.alert import Alert, External
from vigie_alerting.rules import expressions
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.rules.problems import RuleProblem
from vigie_alerting.transitions import ALERTNAME

EXTERNAL: Final = "external"
"""In the place of a rule's id: of no rule, because those have UUIDs or begin with `vigie-`."""
SEVERITY: Final = "severity"
_INTERVAL_MS: Final = 24 * 3600 * 1000
"""Time between two posts counts whole: nobody evaluates in between."""
_WORDS: Final = {
    **{one.value: one for one in Severity},
    "none": Severity.INFO,
    "warn": Severity.WARNING,
    "err": Severity.ERROR,
    "fatal": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "emergency": Severity.CRITICAL,
}
"""What senders write into the label `severity`; every other word is a warning."""


@dataclass(frozen=True, slots=True)
class Posted:
    """An alert as it was sent. Unix milliseconds; None: the sender does not say."""

    labels: Labels
    """Sorted, none empty: all of them are its identity."""
    annotations: Mapping[str, str]
    starts_at: int | None = None
    ends_at: int | None = None
    generator_url: str = ""


def _nothing() -> Node:
    found = expressions.parsed("vector(0)", "expression")
    assert not isinstance(found, RuleProblem)  # noqa: S101 - a constant
    return found


_NOTHING: Final = _nothing()
"""Of what is not evaluated here."""


def rule_for(tenant: str, labels: Labels, annotations: Mapping[str, str], generator_url: str) -> CompiledRule:
    """What the life cycle and messages want to know of the rule of an alert, from what its sender said."""
    named = dict(labels)
    expression = expression_of(generator_url)
    rule = Rule(
        id=EXTERNAL,
        tenant=tenant,
        name=named.get(ALERTNAME, ""),
        kind=RuleKind.EXPRESSION,
        severity=_WORDS.get(named.get(SEVERITY, "").lower(), Severity.WARNING),
        expression=expression,
        annotations=dict(annotations),
        interval_ms=_INTERVAL_MS,
    )
    return CompiledRule(rule, expression, _NOTHING, _NOTHING, plain=True)


def rule_of(alert: Alert, external: External) -> CompiledRule:
    """The same of an alert that is stored."""
    return rule_for(alert.tenant, alert.series, external.annotations, external.generator_url)


def expression_of(url: str) -> str:
    """The PromQL in a link to Prometheus' graph; empty where there is none."""
    try:
        return parse_qs(urlsplit(url).query, max_num_fields=50).get("g0.expr", [""])[0]
    except ValueError:
        return ""
