"""Evaluating one rule: what its expression gives at some times, and what that does to its alerts. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_contracts.alerts import AlertState, NoData, Transition
from vigie_contracts.series import Labels
from vigie_query.errors import QueryError
from vigie_query.promql.evaluation import SUBQUERY_STEP_MS, Evaluation
from vigie_query.promql.labels import without_name
from vigie_query.promql.plan import Node, Selector, ValueType
from vigie_query.promql.samples import Samples, Vector

from vigie_alerting.alert import Alert, Observation
from vigie_alerting.lifecycle import Step, lasted, patience_ms, steady, step
from vigie_alerting.rules.compiling import COMPARE, CompiledRule

AT_ONCE: Final = 16
"""Times that are looked at in one go, while there is an alert."""
DEFAULT_LIMIT: Final = 1_000
"""Alerts of one rule, where it does not say."""
OVER: Final = frozenset({AlertState.RESOLVED, AlertState.INACTIVE})
"""States in which an alert is not going on."""


class EvaluationError(Exception):
    """The rule cannot be evaluated now; its alerts stay what they are. The text is a sentence."""


@dataclass(slots=True)
class Change:
    """An alert before and after the observations, with the transitions between."""

    labels: Labels
    before: Alert | None
    after: Alert | None
    transitions: list[Transition] = field(default_factory=list[Transition])


def evaluate(
    node: Node,
    data: Mapping[Selector, Samples],
    times: npt.NDArray[np.int64],
    check: Callable[[], None] = lambda: None,
    subquery_step_ms: int = SUBQUERY_STEP_MS,
) -> Vector:
    """What an expression gives at these times; a scalar is a series without labels. `check` is called often, and may
    raise. `subquery_step_ms`: of subqueries that do not say. Raises EvaluationError."""
    evaluation = Evaluation(data, int(times[0]), int(times[-1]), subquery_step_ms=subquery_step_ms, check=check)
    try:
        if node.type is ValueType.SCALAR:
            values = evaluation.scalar(node, times)[None, :]
            return Vector([()], values, np.ones(values.shape, np.bool_))
        return evaluation.vector(node, times)
    except QueryError as e:
        raise EvaluationError(e.detail) from e


@dataclass(frozen=True, slots=True)
class Result:
    """What the value of a rule gave at some times, in their order."""

    found: Vector
    times: npt.NDArray[np.int64]

    def read(self, row: int | None, first: int) -> Iterator[tuple[int, float | None]]:
        """Times and values of one series from a place on, AT_ONCE of them; None of no series: no values."""
        some = slice(first, first + AT_ONCE)
        times: list[int] = self.times[some].tolist()
        if row is None:
            return zip(times, repeat(None))
        values: list[float | None] = self.found.values[row, some].tolist()
        present: list[bool] = self.found.present[row, some].tolist()
        return zip(times, [value if there else None for value, there in zip(values, present, strict=True)], strict=True)


def no_trace(_: Labels) -> str:
    """Nobody knows which sample it was."""
    return ""


def judge(
    rule: CompiledRule,
    result: Result,
    alerts: Mapping[Labels, Alert],
    known: set[Labels],
    traceparent: Callable[[Labels], str] = no_trace,
    *,
    past: bool = False,
) -> list[Change]:
    """What the values do to the rule's alerts.

    known: label sets that had values before, for rules to which silence is a reason to fire; those of now are added.
    traceparent: of the newest sample that belongs to a label set; empty when none came.
    past: these are times that were missed, perhaps not by every alert: what one has seen already is passed over.
    Raises EvaluationError.
    """
    labels = [without_name(one) for one in result.found.labels]
    row_of = {one: row for row, one in enumerate(labels)}
    if len(row_of) < len(labels):
        raise EvaluationError("the result has several series with the same labels: only their names tell them apart")
    active = active_in(rule, result.found)
    firing = {labels[row] for row in np.flatnonzero(active.any(axis=1)).tolist()}
    firing |= {one for one, alert in alerts.items() if alert.state not in OVER}
    interesting = firing | alerts.keys()
    new: set[Labels] = set()
    silence = rule.rule.no_data is NoData.ALERT and rule.compares
    if silence:
        firing |= known - row_of.keys()
        new = row_of.keys() - known
        interesting |= known | new
        known.update(row_of)  # not |=: with the keys of a dict that makes another set
    _check_limit(rule, firing)

    def begins(one: Labels, row: int | None) -> npt.NDArray[np.intp]:
        if row is None:
            return np.arange(len(result.times) if silence else 0)
        may = active[row]
        if silence:  # of one that was not known, what was before its first value is no silence
            there = result.found.present[row]
            may = may | (~there & np.logical_or.accumulate(there)) if one in new else may | ~there
        return np.flatnonzero(may)

    def follow(change: Change, row: int | None) -> None:
        """Through all times, but for those at which no alert may begin where there is none, and where there are many,
        those at which one fires on."""
        begin = _Next(partial(begins, change.labels, row))
        end = _Next(lambda: np.flatnonzero(~active[row])) if count > AT_ONCE else None
        place = 0
        while place < count:
            if change.after is None:
                place = begin.after(place, count)
            elif row is not None and end and steady(change.after, rule) and change.after.seen_at < result.times[place]:
                until = end.after(place, count)
                change.after = _lasted(change.after, rule, result, row, slice(place, until))
                place = until
            for at, value in result.read(row, place):
                place += 1
                if past and change.after is not None and at <= change.after.seen_at:
                    continue
                change.after, made = _step(change.after, rule, rule.observe(change.labels, value), at, traceparent)
                change.transitions += made
                if change.after is None or (end and steady(change.after, rule)):
                    break

    count = len(result.times)
    changes: list[Change] = []
    for one in sorted(interesting):
        change = Change(one, alerts.get(one), alerts.get(one))
        follow(change, row_of.get(one))
        if change.before != change.after or change.transitions:
            changes.append(change)
    return changes


def _lasted(alert: Alert, rule: CompiledRule, result: Result, row: int, some: slice) -> Alert:
    """After these times, at all of which the condition holds, of an alert that fires on."""
    times = result.times[some]
    if not len(times):
        return alert
    passed = np.minimum(np.diff(times, prepend=alert.seen_at), patience_ms(rule))
    return lasted(alert, int(times[-1]), int(passed.sum()), float(result.found.values[row, some][-1]))


class _Next:
    """Places that are looked for when somebody asks."""

    def __init__(self, find: Callable[[], npt.NDArray[np.intp]]) -> None:
        self._find = find
        self._places: list[int] | None = None

    def after(self, place: int, end: int) -> int:
        """The first one from there on, or the end."""
        places = self._places
        if places is None:
            self._places = places = list[int](self._find().tolist())
        at = bisect_left(places, place)
        return places[at] if at < len(places) else end


def _step(
    before: Alert | None, rule: CompiledRule, seen: Observation, at: int, traceparent: Callable[[Labels], str]
) -> Step:
    """Which sample it was is asked for what moves only. What moves because of the time only goes on with the trace."""
    after, made = step(before, seen, rule, at)
    if made and (trace := traceparent(seen.labels) or (before.traceparent if before else "")):
        return step(before, replace(seen, traceparent=trace), rule, at)
    return after, made


def active_in(rule: CompiledRule, found: Vector) -> npt.NDArray[np.bool_]:
    """[series, steps]: where the condition holds."""
    if rule.condition is None:
        return found.present
    with np.errstate(invalid="ignore"):
        return found.present & COMPARE[rule.condition](found.values, rule.threshold)


def any_active(rule: CompiledRule, values: npt.NDArray[np.float64]) -> bool:
    """Whether the condition of a rule that compares holds for any of the values."""
    if rule.condition is None:
        raise ValueError("a rule without a condition")
    with np.errstate(invalid="ignore"):
        return bool(np.any(COMPARE[rule.condition](values, rule.threshold)))


def _check_limit(rule: CompiledRule, firing: set[Labels]) -> None:
    """Those that are over do not count: they would keep the rule from forgetting them."""
    limit = rule.rule.limit or DEFAULT_LIMIT
    if len(firing) > limit:
        raise EvaluationError(
            f"the rule has {len(firing):,} alerts, more than {limit:,}: aggregate, or raise its limit"
        )
