"""JSON of /api/alerts/rules/preview."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final, Self

from pydantic import Field
from vigie_contracts.alerts import AlertState, Severity, Transition
from vigie_query.times import iso
from vigie_web.schemas import Model, Time

from vigie_alerting.api.alerts.schemas import finite
from vigie_alerting.api.rules.schemas import Problem
from vigie_alerting.api.schemas import time
from vigie_alerting.backtest import episodes, pages
from vigie_alerting.backtest.backtester import Backtest
from vigie_alerting.rules.problems import RuleProblem

MAX_STEPS: Final = 50
"""Of one episode."""


class Step(Model):
    """What became of an alert at some time."""

    at: Time
    to_state: AlertState
    reason: str
    detail: str
    severity: Severity
    value: float | None = Field(description="null also where it is no finite number")

    @classmethod
    def of(cls, step: Transition) -> Self:
        return cls(
            at=iso(step.timestamp), to_state=step.to_state, reason=step.reason, detail=step.detail,
            severity=step.severity, value=finite(step.value),
        )  # fmt: skip


class Episode(Model):
    """One life of an alert."""

    labels: dict[str, str]
    annotations: dict[str, str]
    severity: Severity = Field(description="the worst")
    value: float | None = Field(description="when it fired, else when it began")
    began_at: Time
    fired_at: Time | None = Field(description="null: it never fired")
    ended_at: Time | None = Field(description="null: it goes on at the end")
    firing_ms: int
    steps: list[Step] = Field(description=f"the first {MAX_STEPS}")

    @classmethod
    def of(cls, one: episodes.Episode, until_ms: int) -> Self:
        return cls(
            labels=one.labels,
            annotations=one.steps[-1].annotations,
            severity=one.severity,
            value=finite(one.value),
            began_at=iso(one.began_ms),
            fired_at=time(one.fired_ms),
            ended_at=time(one.ended_ms),
            firing_ms=one.firing_ms(until_ms),
            steps=[Step.of(step) for step in one.steps[:MAX_STEPS]],
        )


class RulePreview(Model):
    """What one rule would have done."""

    id: str = Field(description="of a rule that is there; else made up, or that which importing the file gives it")
    name: str
    group: str
    promql: str
    from_: Time = Field(validation_alias="from", serialization_alias="from")
    until: Time = Field(description="so far it was evaluated")
    complete: bool = Field(description="false: the time was over, or something could not be evaluated")
    resolution_ms: int = Field(description="of the stored windows: what rose and fell within one is not seen")
    series: int = Field(description="that it looks at")
    evaluations: int
    failures: int = Field(description="evaluations that failed")
    error: str = Field(description="the first of these; empty: there is none")
    notes: list[str] = Field(description="what is only known roughly")
    fired: int = Field(description="episodes that fired")
    waited: int = Field(description="episodes that ended before they fired")
    firing_ms: int = Field(description="of all episodes together")
    pages: int = Field(description="notifications that tell of it")
    episodes: list[Episode] = Field(description="the first ones; those that fired before those that did not")
    more_episodes: int = Field(description="that are not listed")

    @classmethod
    def of(cls, one: Backtest, told: int, most: int) -> Self:
        found = episodes.episodes(one.transitions)
        fired = episodes.fired(found)
        listed = [*fired, *(other for other in found if other.fired_ms is None)]
        rule = one.rule.rule
        return cls(
            id=rule.id,
            name=rule.name,
            group=rule.group,
            promql=one.rule.text,
            from_=iso(one.start_ms),
            until=iso(one.until_ms),
            complete=one.whole and not one.failures and not one.dropped,
            resolution_ms=one.resolution_ms,
            series=one.series,
            evaluations=one.evaluations,
            failures=one.failures,
            error=one.error,
            notes=_notes(one),
            fired=len(fired),
            waited=len(found) - len(fired),
            firing_ms=sum(other.firing_ms(one.until_ms) for other in fired),
            pages=told,
            episodes=[Episode.of(other, one.until_ms) for other in listed[:most]],
            more_episodes=max(0, len(listed) - most),
        )


def _notes(one: Backtest) -> list[str]:
    notes = list(one.infos)
    if one.dropped:
        notes.append(f"{one.dropped:,} further steps of its alerts are not kept")
    if not one.series:
        notes.append("it selects no series that is there")
    return notes


class Told(Model):
    """How often somebody would have been told, after grouping and silences as they are now."""

    total: int
    by_receiver: dict[str, int] = Field(description="routes' receivers by name; a rule's own channels by type")
    muted: dict[str, int] = Field(description="firing alerts that were held, by why: silenced, maintenance, ...")
    unrouted: int = Field(description="firing alerts of which nobody would have been told")
    complete: bool

    @classmethod
    def of(cls, found: pages.Pages) -> Self:
        return cls(
            total=found.total,
            by_receiver=dict(found.by_receiver.most_common()),
            muted=dict(found.muted),
            unrouted=found.unrouted,
            complete=found.complete,
        )


class Preview(Model):
    """What some rules would have done in some time."""

    from_: Time = Field(validation_alias="from", serialization_alias="from")
    to: Time
    complete: bool
    rules: list[RulePreview]
    pages: Told
    warnings: list[Problem]

    @classmethod
    def of(
        cls, done: Sequence[Backtest], told: pages.Pages, times: tuple[int, int], warnings: Sequence[RuleProblem],
        most: int,
    ) -> Self:  # fmt: skip
        """`most`: episodes of all rules that are listed; each may list some."""
        start_ms, end_ms = times
        each = max(1, most // max(1, len(done)))
        rules = [RulePreview.of(one, told.by_rule[one.rule.rule.id], each) for one in done]
        return cls(
            from_=iso(start_ms),
            to=iso(end_ms),
            complete=all(one.complete for one in rules),
            rules=rules,
            pages=Told.of(told),
            warnings=[Problem.of(one) for one in islice(warnings, 100)],
        )
