"""JSON of /api/slos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final, Self

from pydantic import Field
from vigie_contracts import alerts as contracts
from vigie_contracts.limits import MAX_NAME_CHARS
from vigie_query.times import iso_of
from vigie_storage.alerts.configuration import Stored
from vigie_web.schemas import Body, Model, NextCursor, Time

from vigie_alerting.api.channels.schemas import InlineChannel
from vigie_alerting.api.rules.schemas import Channel, Problem
from vigie_alerting.api.schemas import time
from vigie_alerting.rulebook.destinations import shown
from vigie_alerting.rules.durations import duration, parse_duration
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem
from vigie_alerting.slos import budget, model
from vigie_alerting.slos.slobook import Standing

MAX_EXPRESSION_CHARS: Final = 4_096
Expression = Annotated[str, Field(max_length=MAX_EXPRESSION_CHARS)]
Label = Annotated[str, Field(max_length=MAX_NAME_CHARS)]
Objective = Annotated[float, Field(description="percent of the events that are good", examples=[99.9])]
Window = Annotated[str, Field(max_length=32, description="rolling, 1d to 400d", examples=["30d"])]


class SloBody(Body):
    """Which events are good is said in one of three ways: `good` and `total`, `errors` and `total`, or a histogram
    (`metricName`, `matchers`) and a `threshold`. An expression is the selector of a counter, or has ranges of
    `[$window]`."""

    objective: Objective
    window: Window = "30d"
    description: Annotated[str, Field(max_length=1_000)] = ""
    good: Expression = ""
    errors: Annotated[Expression, Field(examples=['http_requests_total{service="booking",status=~"5.."}'])] = ""
    total: Annotated[Expression, Field(examples=['http_requests_total{service="booking"}'])] = ""
    metric_name: Label = ""
    matchers: list[Annotated[str, Field(max_length=1_024)]] = Field(default_factory=list[str], max_length=20)
    threshold: float | None = None
    by: list[Label] = Field(
        default_factory=list[str], max_length=50, description="each group of these labels has its own budget"
    )
    labels: dict[str, str] = Field(
        default_factory=dict[str, str], max_length=50, description="of alerts, and of what is recorded"
    )
    notification_channels: list[InlineChannel] = Field(default_factory=list[InlineChannel], max_length=20)
    owner: Label = ""
    runbook: Annotated[str, Field(max_length=1_024)] = ""
    enabled: bool = True

    def slo(self) -> model.Slo:
        """Raises InvalidRuleError for a window that is no duration."""
        try:
            window_ms = parse_duration(self.window)
        except ValueError as e:
            raise InvalidRuleError([RuleProblem("window", str(e))]) from None
        fields = {name: getattr(self, name) for name in type(self).model_fields if name not in ("window", "name")}
        channels = [contracts.Channel(one.type, one.destination) for one in self.notification_channels]
        return model.Slo(**{**fields, "window_ms": window_ms, "notification_channels": channels})


class NewSlo(SloBody):
    """With its name."""

    name: Annotated[str, Field(max_length=100, examples=["booking-availability"])]


class BurnRate(Model):
    window: str = Field(examples=["1h"])
    rate: float | None = Field(description="1: the budget is used up just at the end; null: there were no events")


class Budget(Model):
    """Of one group of labels, over the window of the objective."""

    labels: dict[str, str]
    total: float = Field(description="events")
    errors: float = Field(description="those that failed")
    reached: float | None = Field(description="percent that were good; null: there were no events")
    allowed: float = Field(description="events that may fail")
    left: float = Field(description="part of the budget that is left, 1 to 0; below 0: the objective is missed")
    burn_rates: list[BurnRate]
    exhausted_at: Time | None = Field(
        description="when it would be used up if it burned on as over the long window of the first alert; "
        "null: it would not be, or it is already"
    )

    @classmethod
    def of(cls, one: budget.Budget) -> Self:
        rates = [BurnRate(window=duration(length), rate=_finite(rate)) for length, rate in one.burn_rates.items()]
        return cls(
            labels=dict(one.labels),
            total=round(one.total, 3),
            errors=round(one.errors, 3),
            reached=_finite(one.reached),
            allowed=round(one.allowed, 3),
            left=one.left,
            burn_rates=rates,
            exhausted_at=time(one.exhausted_ms),
        )


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


class Slo(Model):
    """An objective. It is taken like that by PUT too, without what Vigie sets."""

    name: str
    objective: Objective
    window: Window
    description: str
    good: str
    errors: str
    total: str
    metric_name: str
    matchers: list[str]
    threshold: float | None
    by: list[str]
    labels: dict[str, str]
    notification_channels: list[Channel]
    owner: str
    runbook: str
    enabled: bool
    version: int
    updated_at: Time
    updated_by: str

    @classmethod
    def of(cls, stored: Stored[model.Slo]) -> Self:
        return cls.model_validate(fields_of(stored))


def fields_of(stored: Stored[model.Slo]) -> dict[str, object]:
    """Of `Slo`, without what is secret."""
    slo = stored.value
    same = {name: getattr(slo, name) for name in Slo.model_fields if hasattr(slo, name)}
    channels = [Channel(type=one.type, destination=one.destination) for one in map(shown, slo.notification_channels)]
    return {
        **same,
        "notification_channels": channels,
        "name": stored.name,
        "window": duration(slo.window_ms),
        "version": stored.version,
        "updated_at": iso_of(stored.changed),
        "updated_by": stored.by,
    }


class SloPage(Model):
    slos: list[Slo]
    next_cursor: NextCursor


class WrittenSlo(Slo):
    """An objective that was made or changed."""

    rules: list[str] = Field(description="ids of the rules that watch it")
    warnings: list[Problem]

    @classmethod
    def with_rules(cls, stored: Stored[model.Slo], rules: Sequence[str], warnings: Sequence[RuleProblem]) -> Self:
        more = {"rules": list(rules), "warnings": [Problem.of(one) for one in warnings]}
        return cls.model_validate({**fields_of(stored), **more})


class SloNow(Slo):
    """An objective, and what is left of its error budget."""

    at: Time = Field(description="when the budgets were computed")
    budgets: list[Budget] = Field(description="of each group, the least left first; at most 100")
    groups: int = Field(description="how many groups there are")
    problem: str = Field(description="why nothing could be measured; empty: it could")

    @classmethod
    def standing(cls, stored: Stored[model.Slo], found: Standing, now_ms: int) -> Self:
        more = {
            "at": time(now_ms),
            "budgets": [Budget.of(one) for one in found.budgets],
            "groups": found.groups,
            "problem": found.problem,
        }
        return cls.model_validate({**fields_of(stored), **more})
