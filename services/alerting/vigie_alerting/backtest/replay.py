"""One rule over its past, a stretch of time after the other, by the code that evaluates it now. Pure: no clock, no
store.

Evaluated is when samples came, and at the times of a grid; where that would be too often, at rounded times; and when
what a rule asks to last has lasted, as the engine does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace
from vigie_contracts.alerts import NoData, Rule, Transition
from vigie_query.promql.labels import without_name
from vigie_query.promql.plan import Selector
from vigie_query.promql.samples import EMPTY, Samples, Vector

from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.evaluation import OVER, EvaluationError, Result, active_in, evaluate
from vigie_alerting.lifecycle import DEFAULT_INTERVAL_MS, PATIENCE
from vigie_alerting.rules.compiling import COMPARE, CompiledRule, compiled

Ints: TypeAlias = npt.NDArray[np.int64]
Check: TypeAlias = Callable[[], None]

POINTS: Final = 2_000_000
"""Values that are computed at once."""
ROUNDED_MS: Final = (1, 1_000, 10_000, 60_000)
"""To multiples of which the times of evaluations are rounded, where there are too many."""
MAX_FAILURES: Final = 100
"""Evaluations of one rule that may fail: then what fails as a whole is given up."""


class Replay:
    """The alerts of one rule, from nothing on."""

    def __init__(self, rule: CompiledRule, width_ms: int, values: int) -> None:
        """`width_ms`: between the times of the grid. `values`: so many are computed between two of these, about, but
        one of each series at least. Raises HorizonError."""
        self._engine = Engine(timer=lambda: 0.0)
        self._rule = self._engine.put(_patient(rule, width_ms), [])
        self._width_ms, self._values = width_ms, values
        self._later = np.zeros(0, np.int64)
        """Times at which what must last will have lasted."""
        self.rounded_ms = 1
        """To multiples of which the times of some evaluations were rounded."""
        self.evaluations = 0
        self.failures = 0
        self.error = ""
        """The first failure."""

    @property
    def idle(self) -> bool:
        """Whether nothing is known of any alert."""
        return not self._rule.alerts

    def run(self, data: Mapping[Selector, Samples], start_ms: int, end_ms: int, check: Check) -> list[Transition]:
        """Go on after `start_ms` up to and with `end_ms`, both times of the grid. `check` is called often, and may
        raise: then this was nothing."""
        own = self._looked_at(data)
        if own is None:
            return []
        times = self._times(own, start_ms, end_ms)
        step = max(1, POINTS // max(1, sum(len(one.labels) for one in own.values())))
        made: list[Transition] = []
        for first in range(0, len(times), step):
            made += self._evaluate(own, times[first : first + step], check)
        return sorted(made, key=lambda one: one.timestamp)

    def _looked_at(self, data: Mapping[Selector, Samples]) -> Mapping[Selector, Samples] | None:
        """Of a rule that compares newest values, only the series that meet its condition at some time, and those with
        alerts; None: there are none."""
        rule, made = self._rule, self._rule.compiled
        if not rule.plain or made.rule.no_data is NoData.ALERT or made.condition is None:
            return data
        [(horizon, _)] = rule.inputs
        selector = horizon.wanted.selector
        samples = data.get(selector, EMPTY)
        with np.errstate(invalid="ignore"):
            met = np.flatnonzero(COMPARE[made.condition](samples.values, made.threshold))
        rows = set(np.unique(np.searchsorted(samples.bounds, met, side="right") - 1).tolist())
        if rule.alerts:
            rows |= {row for row, one in enumerate(samples.labels) if without_name(one) in rule.alerts}
        if not rows and not rule.alerts:
            return None
        return {selector: samples.rows(sorted(rows))}

    def _times(self, data: Mapping[Selector, Samples], start_ms: int, end_ms: int) -> Ints:
        grid = np.arange(start_ms + self._width_ms, end_ms + 1, self._width_ms, dtype=np.int64)
        of_now = {horizon.wanted.selector for horizon, _ in self._rule.inputs if horizon.wanted.last_ms == 0}
        came = np.concatenate([data[one].times for one in of_now if one in data] or [grid[:0]])
        came = np.unique(came[(came > start_ms) & (came <= end_ms)])
        series = sum(len(one.labels) for one in data.values())
        room = len(grid) * max(1, self._values // max(1, series))
        times = grid
        for rounded_ms in ROUNDED_MS:
            times = np.union1d(grid, -(-came // rounded_ms) * rounded_ms)
            self.rounded_ms = max(self.rounded_ms, rounded_ms)
            if len(times) <= room or rounded_ms >= self._width_ms:
                break
        due, self._later = self._later[self._later <= end_ms], self._later[self._later > end_ms]
        return np.union1d(times, due)

    def _evaluate(self, data: Mapping[Selector, Samples], times: Ints, check: Check) -> list[Transition]:
        try:
            return self._judged(data, times, check)
        except EvaluationError as e:
            if len(times) > 1 and self.failures < MAX_FAILURES:
                half = len(times) // 2
                return [*self._evaluate(data, times[:half], check), *self._evaluate(data, times[half:], check)]
            self.failures += len(times)
            self.error = self.error or str(e)
            return []

    def _judged(self, data: Mapping[Selector, Samples], times: Ints, check: Check) -> list[Transition]:
        """Raises EvaluationError, having changed nothing."""
        made = self._rule.compiled
        found = evaluate(made.value, data, times, check)
        dues = np.setdiff1d(self._dues(found, times), times)
        if (dues <= times[-1]).any():
            times = np.union1d(times, dues[dues <= times[-1]])
            found = evaluate(made.value, data, times, check)
        check()
        changes = self._engine.judge(self._rule, Result(found, times))
        self._engine.accept(self._rule, changes)
        self._later = np.union1d(self._later, dues[dues > times[-1]])
        self.evaluations += len(times)
        return [step for change in changes for step in change.transitions]

    def _dues(self, found: Vector, times: Ints) -> Ints:
        """When what begins or ends in these times will have lasted."""
        rule = self._rule.compiled.rule
        if not (rule.for_ms or rule.keep_firing_for_ms) or not len(found.labels):
            return times[:0]
        active = active_in(self._rule.compiled, found)
        before = np.zeros_like(active)
        before[:, 1:] = active[:, :-1]
        going = {labels for labels, alert in self._rule.alerts.items() if alert.state not in OVER}
        if going:
            before[:, 0] = [without_name(one) in going for one in found.labels]
        dues = [times[:0]]
        for begins, lasting_ms in ((active & ~before, rule.for_ms), (before & ~active, rule.keep_firing_for_ms)):
            if lasting_ms:
                dues.append(times[begins.any(axis=0)] + lasting_ms)
        return np.unique(np.concatenate(dues))


def _patient(rule: CompiledRule, width_ms: int) -> CompiledRule:
    """One that takes the time between two evaluations of the grid for time in which it looked."""
    made: Rule = rule.rule
    least = -(-width_ms // PATIENCE)
    if (made.interval_ms or DEFAULT_INTERVAL_MS) >= least:
        return rule
    return compiled(replace(made, interval_ms=least))
