"""Whether an objective makes sense: everything that is wrong with it at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

from vigie_contracts import limits
from vigie_contracts.tiers import TIERS
from vigie_query.promql.labels import NAME

from vigie_alerting.rules.checking import ChannelCheck, any_destination, checked
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.rules.durations import duration
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem
from vigie_alerting.slos.compiling import SLO, planned
from vigie_alerting.slos.model import DAY_MS, Slo
from vigie_alerting.templates import number

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_KEPT_MS: Final = max(tier.retention_ms for tier in TIERS)
_BY: Final = 10
_CHARS: Final = 1_000


def judged(
    tenant: str, name: str, slo: Slo, channel: ChannelCheck = any_destination
) -> tuple[list[CompiledRule], list[RuleProblem]]:
    """The rules of an objective, and warnings. Raises InvalidRuleError with all problems."""
    problems = [*_objective(slo), *_window(slo), *_indicator(slo), *_names(name, slo)]
    rules: list[CompiledRule] = []
    if problems:
        raise InvalidRuleError(problems)
    plan = planned(tenant, name, slo)
    for rule in plan.rules:
        try:
            made, _ = checked(rule, channel)
        except InvalidRuleError as e:  # of each kind the same
            problems += [one for one in e.problems if one not in problems]
        else:
            rules.append(made)
    if problems:
        raise InvalidRuleError(problems)
    return rules, list(plan.warnings)


def _objective(slo: Slo) -> Iterator[RuleProblem]:
    if not math.isfinite(slo.objective) or not 0 < slo.objective <= 100:
        yield RuleProblem("objective", "must be a number of percent between 0 and 100, such as 99.9")
    elif slo.budget <= 0:
        yield RuleProblem(
            "objective",
            f"{number(slo.objective)} % leaves no error budget: the first error would miss it",
            None,
            "write what may be missed, such as 99.9",
        )


def _window(slo: Slo) -> Iterator[RuleProblem]:
    if slo.window_ms > _KEPT_MS:
        yield RuleProblem(
            "window", f"is longer than measurements are kept: {_KEPT_MS // DAY_MS} days", None, f"{_KEPT_MS // DAY_MS}d"
        )
    elif slo.window_ms < DAY_MS:
        yield RuleProblem("window", f"must be at least 1d, but is {duration(max(slo.window_ms, 0))}")


def _indicator(slo: Slo) -> Iterator[RuleProblem]:
    given = [
        name for name, text in (("good", slo.good), ("errors", slo.errors), ("metricName", slo.metric_name)) if text
    ]
    if len(given) != 1:
        told = " and ".join(given) if given else "none of them"
        yield RuleProblem("errors", f"one of good, errors and metricName says which events count, but there is {told}")
        return
    [one] = given
    if one == "metricName":
        if slo.total:
            yield RuleProblem("total", "a histogram counts its observations itself: leave it out")
        if slo.threshold is None:
            yield RuleProblem("threshold", "is missing: up to which value an observation is good")
        elif not math.isfinite(slo.threshold) or slo.threshold <= 0:
            yield RuleProblem("threshold", "must be a finite number above 0")
        return
    if not slo.total:
        yield RuleProblem("total", "is missing: which events are counted in all")
    for field, more in (("threshold", slo.threshold is not None), ("matchers", bool(slo.matchers))):
        if more:
            yield RuleProblem(field, f"belongs to metricName, not to {one}")


def _names(name: str, slo: Slo) -> Iterator[RuleProblem]:
    if not _NAME.match(name):
        yield RuleProblem("name", "must have letters, digits, . _ and -, at most 100, no sign first")
    for label in slo.by:
        if not _LABEL.match(label) or label == SLO:
            yield RuleProblem("by", f"{label[:50]} is no label to group by")
    if len(slo.by) > _BY:
        yield RuleProblem("by", f"has more than {_BY} labels")
    for label in slo.labels:
        if label in (SLO, NAME, *slo.by):
            yield RuleProblem(f"labels.{label}", "is set by the objective itself")
    if len(slo.description) > _CHARS:
        yield RuleProblem("description", f"has more than {_CHARS:,} characters")
    for label, text in slo.labels.items():
        if len(text) > limits.MAX_LABEL_VALUE_CHARS or "{" in text:
            yield RuleProblem(
                f"labels.{label}",
                f"must be a text of at most {limits.MAX_LABEL_VALUE_CHARS} characters, and no template",
            )
