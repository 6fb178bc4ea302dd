"""What part of the events failed, as PromQL over any window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vigie_query.promql.plan import Selector

from vigie_alerting.rules.compiling import quoted, selector
from vigie_alerting.rules.expressions import parsed
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem
from vigie_alerting.slos.model import Slo

WINDOW: Final = "$window"
_TRIED: Final = "5m"
OverWindow = Callable[[str], str]
"""The text of an expression over a window, such as `5m`."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """By group of the labels `by`."""

    errors: OverWindow
    """The part of the events that failed, 0 to 1; nothing where there were none."""
    total: OverWindow
    """Events per second."""


def indicator(slo: Slo) -> Indicator:
    """Raises InvalidRuleError with all problems."""
    if slo.metric_name:
        return _latency(slo)
    field = "good" if slo.good else "errors"
    problems: list[RuleProblem] = []
    part = _rate(slo.good or slo.errors, field, slo.by, problems)
    total = _rate(slo.total, "total", slo.by, problems)
    if problems:
        raise InvalidRuleError(problems)

    def share(window: str) -> str:
        """Of groups in which nothing of the kind happened it is 0."""
        return f"({part(window)} or {total(window)} * 0) / {total(window)}"

    if slo.good:
        return Indicator(lambda window: f"clamp_min(1 - {share(window)}, 0)", total)
    return Indicator(share, total)


def _latency(slo: Slo) -> Indicator:
    """Within 1 % of the threshold, as percentiles are."""
    series = selector(slo.metric_name, slo.matchers, "matchers")

    def observed(window: str) -> str:
        return f"sum{_by(slo.by)}(rate({series}[{window}]))"

    return Indicator(
        lambda window: f"1 - histogram_fraction(-Inf, {slo.threshold!r}, {observed(window)})",
        lambda window: f"histogram_count({observed(window)})",
    )


def _rate(text: str, field: str, by: list[str], problems: list[RuleProblem]) -> OverWindow:
    """Of the selector of a counter its rate; of an expression what it says of its window."""
    node = parsed(text.replace(WINDOW, _TRIED), field)
    if isinstance(node, RuleProblem):
        problems.append(node)
        return lambda _: ""
    if WINDOW in text:
        return lambda window: f"sum{_by(by)}({text.replace(WINDOW, window)})"
    if not isinstance(node, Selector) or node.when.offset_ms or node.when.at is not None:
        hint = f"write its ranges as [{WINDOW}]: sum(rate(http_requests_total[{WINDOW}]))"
        problems.append(RuleProblem(field, "must be the selector of a counter, or hold for any window", None, hint))
    return lambda window: f"sum{_by(by)}(rate({text.strip()}[{window}]))"


def _by(labels: list[str]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""


def of_slo(record: str, slo: str) -> str:
    """The selector of what is recorded of an objective."""
    return f"{record}{{slo={quoted(slo)}}}"
