"""From an objective to the rules that watch it: the part of events that failed, recorded over seven windows, and alerts
when the error budget burns too fast over a long and a short one (multi-window, multi-burn-rate: Site Reliability
Workbook, chapter 5)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from vigie_contracts.alerts import Rule, RuleKind, Severity

from vigie_alerting.rules.durations import duration
from vigie_alerting.rules.problems import RuleProblem
from vigie_alerting.slos.indicator import indicator, of_slo
from vigie_alerting.slos.model import DAY_MS, Slo
from vigie_alerting.templates import number

ALERT: Final = "ErrorBudgetBurn"
RECORD: Final = "slo:sli_error:ratio_rate"
SLO: Final = "slo"
"""The label that says which objective it is."""
_MINUTE: Final = 60_000
_HOUR: Final = 60 * _MINUTE
_USUAL: Final = range(28 * DAY_MS, 31 * DAY_MS + 1)
"""Objectives over a month have the workbook's windows as they are."""
_MOST: Final = 10
"""Windows become at most so many times as long: rules look back 32 days."""


class Burn(NamedTuple):
    """An alert when the budget burns `factor` times as fast as it may, over both windows. Milliseconds."""

    factor: float
    long_ms: int
    short_ms: int
    severity: Severity


_BURNS: Final = (
    Burn(14.4, _HOUR, 5 * _MINUTE, Severity.CRITICAL),
    Burn(6.0, 6 * _HOUR, 30 * _MINUTE, Severity.CRITICAL),
    Burn(3.0, DAY_MS, 2 * _HOUR, Severity.WARNING),
    Burn(1.0, 3 * DAY_MS, 6 * _HOUR, Severity.WARNING),
)
"""Of 30 days: 2 %, 5 % and 10 % of the budget are gone within the long windows."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an objective becomes."""

    rules: tuple[Rule, ...]
    warnings: tuple[RuleProblem, ...]


def burns(window_ms: int) -> list[Burn]:
    """For an objective over this window: the same parts of its budget."""
    return [
        one._replace(long_ms=_scaled(one.long_ms, window_ms), short_ms=_scaled(one.short_ms, window_ms))
        for one in _BURNS
    ]


def windows(window_ms: int) -> list[int]:
    """Those over which the part that failed is recorded, ascending."""
    return sorted({length for one in burns(window_ms) for length in (one.long_ms, one.short_ms)})


def _scaled(length_ms: int, window_ms: int) -> int:
    if window_ms in _USUAL:
        return length_ms
    share = min(window_ms / (30 * DAY_MS), _MOST)
    return max(round(length_ms * share / _MINUTE), 1) * _MINUTE


def managed_by(name: str) -> str:
    """What the rules of an objective say of who made them."""
    return f"slo/{name}"


def ids(tenant: str, name: str) -> list[str]:
    """Of all rules that an objective of this name may have."""
    mark = blake2b(f"{tenant}\0{name}".encode(), digest_size=8, person=b"vigie-slo-v1").hexdigest()
    return [f"slo-{mark}-{part}" for part in (*range(2 * len(_BURNS)), Severity.CRITICAL, Severity.WARNING)]


def planned(tenant: str, name: str, slo: Slo) -> Plan:
    """The rules, at version 1. Raises InvalidRuleError."""
    errors, all_ids = indicator(slo).errors, ids(tenant, name)
    common = {
        "tenant": tenant,
        "group": managed_by(name),
        "managed_by": managed_by(name),
        "enabled": slo.enabled,
        "owner": slo.owner,
    }
    recorded = [
        Rule(
            id=all_ids[place],
            name=f"{name}: errors over {duration(length)}",
            kind=RuleKind.RECORDING,
            record=record(length),
            expression=errors(duration(length)),
            interval_ms=_interval(length),
            labels={**slo.labels, SLO: name},
            **common,
        )
        for place, length in enumerate(windows(slo.window_ms))
    ]
    alerts: list[Rule] = []
    warnings: list[RuleProblem] = []
    for rule_id, severity in zip(all_ids[-2:], (Severity.CRITICAL, Severity.WARNING), strict=True):
        mine = [one for one in burns(slo.window_ms) if one.severity is severity]
        possible = [one for one in mine if one.factor * slo.budget < 1]
        warnings += [_impossible(one, slo) for one in mine if one not in possible]
        if possible:
            alerts.append(
                Rule(
                    id=rule_id,
                    name=ALERT,
                    kind=RuleKind.EXPRESSION,
                    severity=severity,
                    expression=" or ".join(f"({_burning(one, name, slo.budget)})" for one in possible),
                    labels={**slo.labels, SLO: name},
                    annotations=_texts(name, slo),
                    runbook=slo.runbook,
                    notification_channels=slo.notification_channels,
                    **common,
                )
            )
    return Plan((*recorded, *alerts), tuple(warnings))


def record(length_ms: int) -> str:
    """The name under which the part that failed is recorded."""
    return f"{RECORD}{duration(length_ms)}"


def _burning(burn: Burn, name: str, budget: float) -> str:
    """The value is the burn rate over the long window."""
    long, short = (
        f"{of_slo(record(length), name)} / {number(budget)} > {number(burn.factor)}"
        for length in (burn.long_ms, burn.short_ms)
    )
    return f"{long} and {short}"


def _interval(length_ms: int) -> int:
    """How often it is recorded: long windows change slowly."""
    if length_ms <= 10 * _MINUTE:
        return 15_000
    return 30_000 if length_ms <= _HOUR else _MINUTE


def _impossible(burn: Burn, slo: Slo) -> RuleProblem:
    return RuleProblem(
        "objective",
        f"a burn rate of {number(burn.factor)} would be an error rate of {burn.factor * slo.budget:.0%}: "
        f"there is no alert on it over {duration(burn.long_ms)}",
    )


def _texts(name: str, slo: Slo) -> dict[str, str]:
    month = duration(slo.window_ms)
    return {
        "summary": f"Error budget of {{{{ labels.{SLO} }}}}: burns {{{{ value | round(1) }}}} times as fast as it may",
        "description": f"{number(slo.objective)} % over {month} is the objective of {name}."
        + (f" {_plain(slo.description)}" if slo.description else ""),
    }


def _plain(text: str) -> str:
    """As a template that says nothing else."""
    return text.replace("{", "(").replace("}", ")")
