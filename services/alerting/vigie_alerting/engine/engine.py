"""The rules of this process over what is in memory: which are due, and what their evaluation changes. Time is given."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Labels
from vigie_contracts.tenants import TenantId

from vigie_alerting.alert import Alert
from vigie_alerting.engine.evaluation import Change, EvaluationError, Result, evaluate, judge
from vigie_alerting.engine.horizon import Horizon, horizons
from vigie_alerting.engine.memory import Memory, Watch
from vigie_alerting.lifecycle import DEFAULT_INTERVAL_MS, due_ms
from vigie_alerting.rules.compiling import CompiledRule

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

SPACING_MS: Final = 20
"""A rule is evaluated again after so long at the earliest, however much data comes..."""
COST_FACTOR: Final = 20
"""... and after so many times as long as its last evaluation took."""


@dataclass(slots=True, eq=False)
class ActiveRule:
    """A rule with what it looks at, and its alerts."""

    compiled: CompiledRule
    inputs: tuple[tuple[Horizon, Watch], ...]
    alerts: dict[Labels, Alert]
    known: set[Labels] = field(default_factory=set[Labels])
    """Label sets that had values, for rules to which silence is a reason to fire."""
    evaluated_ms: int = 0
    due_ms: int = 0
    """When it is evaluated even if nothing arrives."""
    touched: bool = False
    """Whether samples came since the last evaluation."""
    newest_ms: int = 0
    """The time of the newest sample; by a clock that is ahead, it may still have to come."""
    traceparent: str = ""
    """Of the samples that came last."""
    took_ms: float = 0.0
    error: str = ""
    """Why the last evaluation failed."""

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
    def ready_ms(self) -> int:
        """When samples that came may be looked at."""
        return self.evaluated_ms + max(SPACING_MS, round(COST_FACTOR * self.took_ms))

    def at_ms(self) -> int:
        """When it is to be evaluated next."""
        return min(self.due_ms, self.ready_ms) if self.touched else self.due_ms


class Engine:
    """Not for several threads at once."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.rules: dict[str, ActiveRule] = {}
        self._users: dict[int, set[str]] = {}
        """Watch -> the rules that use it."""

    def put(self, compiled: CompiledRule, alerts: Iterable[Alert]) -> tuple[ActiveRule, list[Watch]]:
        """A rule, new or changed, with its alerts; and what must be adopted for it. Raises HorizonError, having changed
        nothing."""
        needed = horizons(compiled.value)
        rule = compiled.rule
        before = self.rules.get(rule.id)
        inputs: list[tuple[Horizon, Watch]] = []
        new: list[Watch] = []
        for one in needed:
            watch, is_new = self.memory.watch(TenantId(rule.tenant), one)
            inputs.append((one, watch))
            new += [watch] * is_new
            self._users.setdefault(watch.number, set()).add(rule.id)
        active = ActiveRule(compiled, tuple(inputs), {alert.series: alert for alert in alerts})
        self.rules[rule.id] = active
        if before is not None:
            self._release(before, kept={watch.number for _, watch in inputs})
        return active, new

    def remove(self, rule_id: str) -> ActiveRule | None:
        """The rule that was removed, with its alerts."""
        rule = self.rules.pop(rule_id, None)
        if rule is not None:
            self._release(rule, kept=set())
        return rule

    def take(self, homes: Ints, times: Ints, values: Floats, traceparent: str = "") -> int:
        """Samples of known series; how many windows were too old for what is kept."""
        late = self.memory.add(homes, times, values)
        newest_ms = int(times.max(initial=0))
        for watch in self.memory.touched(homes):
            for rule_id in self._users.get(watch.number, ()):
                rule = self.rules[rule_id]
                rule.touched = True
                rule.traceparent = traceparent or rule.traceparent
                rule.newest_ms = max(rule.newest_ms, newest_ms)
        return late

    def due(self, now_ms: int) -> list[ActiveRule]:
        """What is to be evaluated now, the longest waiting first."""
        waiting = [(rule.at_ms(), rule) for rule in self.rules.values()]
        return [rule for _, rule in sorted((one for one in waiting if one[0] <= now_ms), key=lambda one: one[0])]

    def next_ms(self) -> int | None:
        """When something is to be evaluated next."""
        return min((rule.at_ms() for rule in self.rules.values()), default=None)

    def evaluate(self, rule: ActiveRule, now_ms: int) -> list[Change]:
        """What the alerts of a rule become; `accept` makes it so. A failure is noted and changes nothing."""
        began = time.perf_counter()
        data = {horizon.wanted.selector: self.memory.read(watch, horizon, now_ms) for horizon, watch in rule.inputs}
        times = np.array([now_ms], np.int64)
        try:
            changes = self.judge(rule, Result(evaluate(rule.compiled.value, data, times), times))
            rule.error = ""
        except EvaluationError as e:
            rule.error, changes = str(e), []
        rule.took_ms = (time.perf_counter() - began) * 1000
        self._evaluated(rule, now_ms)
        return changes

    def judge(self, rule: ActiveRule, result: Result) -> list[Change]:
        """What values make of the rule's alerts. Raises EvaluationError."""
        return judge(rule.compiled, result, rule.alerts, rule.known, rule.traceparent)

    def accept(self, rule: ActiveRule, changes: Iterable[Change]) -> None:
        """The changes are stored: they are what is."""
        for change in changes:
            if change.after is None:
                rule.alerts.pop(change.labels, None)
            else:
                rule.alerts[change.labels] = change.after
        self._plan(rule)

    def replace(self, rule: ActiveRule, alerts: Mapping[Labels, Alert | None], now_ms: int) -> None:
        """Somebody else moved these alerts: they are this now. The rule is judged again at once."""
        self.accept(rule, [Change(labels, None, alert) for labels, alert in alerts.items()])
        rule.due_ms = min(rule.due_ms, now_ms)

    def _evaluated(self, rule: ActiveRule, now_ms: int) -> None:
        rule.evaluated_ms, rule.touched = now_ms, False
        self._plan(rule)

    def _plan(self, rule: ActiveRule) -> None:
        dues = [due for alert in rule.alerts.values() if (due := due_ms(alert, rule.compiled)) is not None]
        if rule.newest_ms > rule.evaluated_ms:
            dues.append(rule.newest_ms)
        rule.due_ms = max(min([rule.evaluated_ms + rule.interval_ms, *dues]), rule.evaluated_ms + SPACING_MS)

    def _release(self, rule: ActiveRule, kept: set[int]) -> None:
        for watch in {watch.number: watch for _, watch in rule.inputs}.values():
            if watch.number in kept:
                continue
            users = self._users.get(watch.number, set())
            users.discard(rule.id)
            if not users:
                self._users.pop(watch.number, None)
                self.memory.unwatch(watch)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A rule with what its evaluation changes."""

    rule: ActiveRule
    changes: list[Change]


def run(engine: Engine, now_ms: int, budget_s: float) -> list[Evaluated]:
    """Evaluate what is due, for about so long: what is left is the first of the next round."""
    until = time.perf_counter() + budget_s
    done: list[Evaluated] = []
    engine.memory.advance(now_ms)
    for rule in engine.due(now_ms):
        done.append(Evaluated(rule, engine.evaluate(rule, now_ms)))
        if time.perf_counter() > until:
            break
    return [one for one in done if one.changes]
