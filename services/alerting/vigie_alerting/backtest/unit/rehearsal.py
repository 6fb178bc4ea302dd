"""Rules over series in memory, by a clock that nobody waits for: each is evaluated at the times of one grid, in order,
as promtool does it, by the code that evaluates them in production."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Rule, RuleKind
from vigie_contracts.series import Labels
from vigie_query.matchers import predicate
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.labels import NAME, labels_of
from vigie_query.promql.plan import Node
from vigie_query.promql.reading import wanted
from vigie_query.promql.samples import Vector

from vigie_alerting import templates, transitions
from vigie_alerting.alert import Alert
from vigie_alerting.backtest.unit.series import SeriesInMemory
from vigie_alerting.engine.active_rule import ActiveRule
from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.evaluation import EvaluationError, Result, evaluate
from vigie_alerting.engine.origins import Origins
from vigie_alerting.recording.results import recorded
from vigie_alerting.rules.compiling import CompiledRule, compiled

Ints: TypeAlias = npt.NDArray[np.int64]

ALERTS: Final = "ALERTS"
ALERTS_FOR_STATE: Final = "ALERTS_FOR_STATE"
MAX_STEPS: Final = 100_000
BLOCK: Final = 500
"""Times that a rule is evaluated at in one go."""
_STATES: Final = {AlertState.PENDING: "pending", AlertState.FIRING: "firing", AlertState.ACKNOWLEDGED: "firing"}


@dataclass(frozen=True, slots=True, order=True)
class FiringAlert:
    labels: Labels
    annotations: Labels


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule could not be evaluated."""

    at_ms: int
    rule: str
    reason: str


class Rehearsal:
    """One run of some rules, in their order."""

    def __init__(
        self, rules: Sequence[Rule], series: SeriesInMemory, interval_ms: int, external_labels: Mapping[str, str]
    ) -> None:
        """Each rule is evaluated every `interval_ms`, whatever its own is; what rules record is added to the series.
        Raises HorizonError, InvalidRuleError."""
        self._series, self._interval_ms, self._external_labels = series, interval_ms, external_labels
        self._engine = Engine(timer=lambda: 0.0)
        # The same rule may be in several files.
        own = [replace(rule, id=str(place), interval_ms=interval_ms) for place, rule in enumerate(rules)]
        self._rules = [compiled(rule) for rule in own]
        self._active = {
            one.rule.id: self._engine.put(one, []) for one in self._rules if one.rule.kind is not RuleKind.RECORDING
        }
        self._nodes = [_reads(one.value) for one in self._rules]
        self._shown: dict[str, set[Labels]] = defaultdict(set)
        """By rule, the series that it gave last."""
        self._values: dict[tuple[str, Labels], float | None] = {}
        """By rule and series, the value when the condition of its alert held last: of what fires on, texts have it."""
        self.firing: dict[int, dict[str, list[FiringAlert]]] = {}
        """By time and name of the rule; of the times that were asked for."""
        self.failures: list[Failure] = []
        """The first ones: nothing is evaluated after them."""

    def run(self, until_ms: int, looks: Collection[int], *, shows_alerts: bool) -> None:
        """From time 0. `looks`: when to note what fires. `shows_alerts`: whether somebody reads ALERTS. Raises
        TooManySamplesError."""
        self.firing = {at: defaultdict(list) for at in looks}
        reads_alerts = any(accepts({NAME: name}) for reads in self._nodes for accepts in reads for name in _ALERTS)
        times = np.arange(0, until_ms + 1, self._interval_ms, dtype=np.int64)
        block = BLOCK if self._each_reads_what_is_there() else 1
        for first in range(0, len(times), block):
            for rule in self._rules:
                self._run(rule, times[first : first + block], shows_alerts or reads_alerts)
            if self.failures:
                first_ms = min(one.at_ms for one in self.failures)
                self.failures = [one for one in self.failures if one.at_ms == first_ms]
                return

    def _each_reads_what_is_there(self) -> bool:
        """Whether no rule reads what itself or a later one gives: then each may be evaluated at many times at once."""
        for place, reads in enumerate(self._nodes):
            for later in self._rules[place:]:
                given = (later.rule.record,) if later.rule.kind is RuleKind.RECORDING else _ALERTS
                if any(accepts({NAME: name}) for accepts in reads for name in given):
                    return False
        return True

    def _run(self, rule: CompiledRule, times: Ints, shows_alerts: bool) -> bool:
        """Whether it could be evaluated at all of these times."""
        try:
            found = self.evaluate(rule.value, times)
        except EvaluationError as e:
            if len(times) > 1:
                return all(self._run(rule, times[at : at + 1], shows_alerts) for at in range(len(times)))
            self.failures.append(Failure(int(times[0]), rule.rule.name, str(e)))
            return False
        for column, at_ms in enumerate(times.tolist()):
            some = slice(column, column + 1)
            own = Vector(found.labels, found.values[:, some], found.present[:, some]).compact()
            try:
                self._take(rule, own, at_ms, shows_alerts)
            except EvaluationError as e:
                self.failures.append(Failure(at_ms, rule.rule.name, str(e)))
                return False
        return True

    def evaluate(self, node: Node, times: Ints) -> Vector:
        """What an expression gives, by all samples up to each of the times. Raises EvaluationError."""
        needed = wanted(node, Evaluation({}, int(times[0]), int(times[-1])), self._interval_ms)
        data = {one.selector: self._series.samples(one.selector) for one in needed}
        return evaluate(node, data, times, subquery_step_ms=self._interval_ms)

    def _take(self, rule: CompiledRule, found: Vector, at_ms: int, shows_alerts: bool) -> None:
        active = self._active.get(rule.rule.id)
        if active is None:
            (made,) = recorded(rule.rule, found, [at_ms])
            self._show(rule, {_named(one.name, one.labels): one.value for one in made.samples}, at_ms)
            return
        result = Result(found, np.array([at_ms], np.int64))
        self._engine.accept(active, self._engine.judge(active, result, Origins()))
        for alert in active.alerts.values():
            if alert.clear_age is None:
                self._values[active.id, alert.series] = alert.value
        if shows_alerts:
            self._show(rule, self._alerts(active), at_ms)
        if at_ms in self.firing:
            self.firing[at_ms][rule.rule.name] += [
                self._firing(rule, one) for one in active.alerts.values() if _STATES.get(one.state) == "firing"
            ]

    def _show(self, rule: CompiledRule, given: Mapping[Labels, float], at_ms: int) -> None:
        """Series that a rule gives, as others read them; those that it gave before end."""
        before = self._shown[rule.rule.id]
        for labels in before - given.keys():
            self._series.end(labels, at_ms)
        for labels, value in given.items():
            self._series.add(labels, at_ms, value)
        self._shown[rule.rule.id] = set(given)

    def _alerts(self, active: ActiveRule) -> dict[Labels, float]:
        """As Prometheus shows them: ALERTS is 1, ALERTS_FOR_STATE when it began."""
        given: dict[Labels, float] = {}
        for alert in active.alerts.values():
            if (state := _STATES.get(alert.state)) is not None:
                labels = transitions.labels_of(active.compiled, alert, self._external_labels)
                given[labels_of({**labels, NAME: ALERTS, "alertstate": state})] = 1.0
                began_ms = alert.seen_at - (alert.age - alert.active_age)
                given[labels_of({**labels, NAME: ALERTS_FOR_STATE})] = began_ms / 1000
        return given

    def _firing(self, rule: CompiledRule, alert: Alert) -> FiringAlert:
        alert = replace(alert, value=self._values.get((rule.rule.id, alert.series), alert.value))
        labels = transitions.labels_of(rule, alert, self._external_labels)
        annotations = templates.render_all(rule.rule.annotations, labels, alert.value, self._external_labels)
        return FiringAlert(labels_of(labels), tuple(annotations.items()))


_ALERTS: Final = (ALERTS, ALERTS_FOR_STATE)


def _named(name: str, labels: Labels) -> Labels:
    return labels_of({**dict(labels), NAME: name})


def _reads(node: Node) -> list[Callable[[Mapping[str, str]], bool]]:
    """Of each selector, whether it may select a series of a name."""
    needed = wanted(node, Evaluation({}, 0, 0), 0)
    return [predicate([one for one in each.selector.matchers if one.label == NAME]) for each in needed]
