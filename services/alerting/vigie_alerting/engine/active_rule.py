"""A rule that is evaluated here, and one evaluation of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from vigie_contracts.alerts import NoData, RuleKind
from vigie_contracts.series import Labels
from vigie_contracts.tenants import TenantId
from vigie_query.promql.plan import Selector
from vigie_query.promql.samples import Samples

from vigie_alerting.alert import Alert
from vigie_alerting.engine.attention import ALWAYS, NEVER, Calm, calm
from vigie_alerting.engine.evaluation import EvaluationError, Result, evaluate
from vigie_alerting.engine.families import Family
from vigie_alerting.engine.horizon import Horizon
from vigie_alerting.engine.origins import Origins
from vigie_alerting.engine.watch import Watch
from vigie_alerting.lifecycle import DEFAULT_INTERVAL_MS
from vigie_alerting.rules.compiling import CompiledRule

SPACING_MS: Final = 20
"""A rule is evaluated again after so long at the earliest, however much data comes..."""
COST_FACTOR: Final = 20
"""... and after so many times as long as its last evaluation took."""
LONGEST_S: Final = 1.0
"""An evaluation is given up after so long: samples wait for it."""
SLOW_MS: Final = 10.0
SLOW_SERIES: Final = 1_000
"""Rules that take longer, or look at more where that is not known yet, are evaluated beside the others."""


@dataclass(slots=True, eq=False)
class ActiveRule:
    """A rule with what it looks at, and its alerts."""

    compiled: CompiledRule
    inputs: tuple[tuple[Horizon, Watch], ...]
    alerts: dict[Labels, Alert]
    family: Family | None = None
    """With which others it may be evaluated."""
    known: set[Labels] = field(default_factory=set[Labels])
    """Label sets that had values, for rules to which silence is a reason to fire."""
    evaluated_ms: int = 0
    due_ms: int = 0
    """When it is evaluated, even if nothing arrives."""
    newest_ms: int = 0
    """The time of the newest sample that it must look at; by a clock that is ahead, it may still have to come."""
    origins: Origins = field(default_factory=Origins)
    took_ms: float = 0.0
    error: str = ""
    """Why the last evaluation failed."""
    waiting: bool = False
    """For what it missed to be known: it is not evaluated before."""
    running: bool = False
    """It is being evaluated."""
    moving: bool = False
    """Its alerts become what its last evaluation made of them as soon as that is stored."""
    ending: bool = False
    """Its alerts are being ended: what evaluations make of them counts no more."""
    has_unknown_alerts: bool = False
    """Whether of some alert it is not known which series has it."""
    calm: Calm = NEVER
    """Samples between these change nothing, but for the series that have alerts."""

    @property
    def id(self) -> str:
        return self.compiled.rule.id

    @property
    def tenant(self) -> TenantId:
        return TenantId(self.compiled.rule.tenant)

    @property
    def interval_ms(self) -> int:
        return self.compiled.rule.interval_ms or DEFAULT_INTERVAL_MS

    @property
    def records(self) -> bool:
        """Whether it is evaluated for a metric, at the times of its grid, and not for alerts."""
        return self.compiled.rule.kind is RuleKind.RECORDING

    @property
    def plain(self) -> bool:
        """Whether it compares the newest values of its series."""
        return isinstance(self.compiled.value, Selector) and self.compiled.compares

    @property
    def may_be_quiet(self) -> bool:
        """Whether nothing changes unless one of the newest values meets the condition."""
        return self.plain and self.compiled.rule.no_data is not NoData.ALERT and not self.alerts and not self.error

    @property
    def now_calm(self) -> Calm:
        """Which samples of series without an alert change nothing for it, as it is now."""
        if self.records:
            return ALWAYS
        condition, busy = self.compiled.condition, self.moving or self.error or self.has_unknown_alerts
        of_then = any(horizon.wanted.last_ms < 0 for horizon, _ in self.inputs)
        if condition is None or not self.plain or self.compiled.rule.no_data is NoData.ALERT or busy or of_then:
            return NEVER
        return calm(condition, self.compiled.threshold)

    @property
    def slow(self) -> bool:
        """Whether its evaluation takes long, as far as is known."""
        if self.plain or self.took_ms:
            return self.took_ms > SLOW_MS
        return sum(len(watch.rows) for _, watch in self.inputs) > SLOW_SERIES

    @property
    def ready_ms(self) -> int:
        """When samples that came may be looked at."""
        return self.evaluated_ms + max(SPACING_MS, round(COST_FACTOR * self.took_ms))


@dataclass(slots=True)
class Attempt:
    """An evaluation of a rule, with a copy of what it looks at."""

    rule: ActiveRule
    now_ms: int
    origins: Origins
    timer: Callable[[], float]
    began: float
    data: dict[Selector, Samples] = field(default_factory=dict[Selector, Samples])
    failure: Exception | None = None
    given: Result | None = None
    """The value of the rule, when it is known."""

    def compute(self) -> None:
        """The value of the rule: all of the work that needs nothing of the engine."""
        times = np.array([self.now_ms], np.int64)
        try:
            if self.failure is None:
                self.given = Result(evaluate(self.rule.compiled.value, self.data, times, self._check), times)
        except Exception as e:  # noqa: BLE001 - whoever asks for the result is told
            self.failure = e

    def result(self) -> Result:
        """Raises EvaluationError, or what a bug raised."""
        if self.given is None:
            raise self.failure or EvaluationError("it was not evaluated")
        return self.given

    def _check(self) -> None:
        check_time(self.timer, self.began)


def check_time(timer: Callable[[], float], began: float) -> None:
    """Raises EvaluationError when an evaluation takes too long."""
    if timer() > began + LONGEST_S:
        raise EvaluationError(f"this takes longer than {LONGEST_S:g} s: select or aggregate less")
