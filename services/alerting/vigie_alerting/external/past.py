"""Alerts that began and ended in a replaced system: as if they had happened here, but that nobody is told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace
from vigie_contracts.alerts import Reason, Transition
from vigie_contracts.series import Labels

from vigie_alerting import commands
from vigie_alerting.alert import Alert, External, Observation
from vigie_alerting.external.posted import rule_for
from vigie_alerting.lifecycle import aged, close, step
from vigie_alerting.rules.compiling import CompiledRule


@dataclass(frozen=True, slots=True)
class Past:
    """An alert that is over. Unix milliseconds."""

    labels: Labels
    """Sorted, none empty: all of them are its identity."""
    annotations: Mapping[str, str]
    starts_at: int
    ends_at: int
    """Not before `starts_at`."""
    acknowledged_by: str = ""
    resolved_by: str = ""


@dataclass(frozen=True, slots=True)
class Lived:
    """The alert as it is now, with the rule that stands for it, and its steps."""

    alert: Alert
    rule: CompiledRule
    transitions: list[Transition]


def lived(tenant: str, said: Past) -> Lived:
    """Its whole life. The same alert gives the same ids."""
    rule = rule_for(tenant, said.labels, said.annotations, "")
    alert, transitions = step(None, Observation(said.labels, True, rule.rule.severity), rule, said.starts_at)
    assert alert is not None  # noqa: S101 - what holds begins
    if said.acknowledged_by:
        taken, more = commands.acknowledge(alert, rule, said.acknowledged_by, said.starts_at)
        alert, transitions = taken or alert, [*transitions, *more]
    reason = Reason.RESOLVED_BY_HAND if said.resolved_by else Reason.RECOVERED
    over, more = close(aged(alert, rule, said.ends_at), rule, reason, actor=said.resolved_by)
    external = External(said.ends_at, said.starts_at, dict(said.annotations))
    return Lived(replace(over or alert, external=external), rule, [*transitions, *more])
