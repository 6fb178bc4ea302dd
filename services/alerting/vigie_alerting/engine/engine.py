"""The rules of this process over what is in memory: which are due, and what their evaluation changes. Time is given."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.alerts import NoData, RuleKind
from vigie_contracts.series import Labels
from vigie_contracts.tenants import TenantId
from vigie_query.promql.plan import Selector
from vigie_runtime.errors import reason_of

from vigie_alerting.alert import Alert
from vigie_alerting.engine.evaluation import Change, EvaluationError, Result, any_active, evaluate, judge
from vigie_alerting.engine.horizon import Horizon, horizons
from vigie_alerting.engine.memory import Memory, Watch
from vigie_alerting.lifecycle import DEFAULT_INTERVAL_MS, due_ms
from vigie_alerting.recording.results import (
    AGAIN_MS,
    LATEST_MS,
    PATIENCE_MS,
    Recorded,
    RecordingError,
    awaited,
    recorded,
    tick,
)
from vigie_alerting.rules.compiling import CompiledRule

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

SPACING_MS: Final = 20
"""A rule is evaluated again after so long at the earliest, however much data comes..."""
COST_FACTOR: Final = 20
"""... and after so many times as long as its last evaluation took."""
LONGEST_S: Final = 1.0
"""An evaluation is given up after so long: samples wait for it."""


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
    newest_ms: int = 0
    """The time of the newest sample; by a clock that is ahead, it may still have to come."""
    traceparent: str = ""
    """Of the samples that came last."""
    took_ms: float = 0.0
    error: str = ""
    """Why the last evaluation failed."""
    waiting: bool = False
    """For what it missed to be known: it is not evaluated before."""

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
    def may_be_quiet(self) -> bool:
        """Whether nothing changes unless one of the newest values meets the condition."""
        rule = self.compiled
        plain = isinstance(rule.value, Selector) and rule.compares and rule.rule.no_data is not NoData.ALERT
        return plain and not self.alerts and not self.error

    @property
    def ready_ms(self) -> int:
        """When samples that came may be looked at."""
        return self.evaluated_ms + max(SPACING_MS, round(COST_FACTOR * self.took_ms))


class Engine:
    """Not for several threads at once."""

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        """timer: seconds, by which the cost of evaluations is measured. All other times are given."""
        self.memory = Memory()
        self.rules: dict[str, ActiveRule] = {}
        self.timer = timer
        self._users: dict[int, set[str]] = {}
        """Watch -> the rules that use it."""
        self._touched: dict[str, ActiveRule] = {}
        self._dues: list[tuple[int, str]] = []
        """A heap; what no longer agrees with its rule is passed over."""
        self.evaluations = 0
        """So far, quiet ones included."""
        self.failures = 0
        self.recorded: deque[Recorded] = deque()
        """What recording rules gave, for whoever writes it."""

    def put(self, compiled: CompiledRule, alerts: Iterable[Alert]) -> ActiveRule:
        """A rule, new or changed, with its alerts. It is evaluated when what it looks at is open. Raises HorizonError,
        having changed nothing."""
        needed = horizons(compiled.value)
        rule = compiled.rule
        before = self.rules.get(rule.id)
        inputs: list[tuple[Horizon, Watch]] = []
        for one in needed:
            watch = self.memory.watch(TenantId(rule.tenant), one)
            inputs.append((one, watch))
            self._users.setdefault(watch.number, set()).add(rule.id)
        active = ActiveRule(compiled, tuple(inputs), {alert.series: alert for alert in alerts})
        if before is not None:
            active.evaluated_ms, active.waiting = before.evaluated_ms, before.waiting
            if before.compiled.text == compiled.text:
                active.known = before.known
        self.rules[rule.id] = active
        self._touched.pop(rule.id, None)
        heapq.heappush(self._dues, (active.due_ms, rule.id))
        if before is not None:
            self._release(before, kept={watch.number for _, watch in inputs})
        return active

    def remove(self, rule_id: str) -> ActiveRule | None:
        """The rule that was removed, with its alerts."""
        rule = self.rules.pop(rule_id, None)
        self._touched.pop(rule_id, None)
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
                if self.sees(rule) and not rule.records:
                    self._touched[rule_id] = rule
                rule.traceparent = traceparent or rule.traceparent
                rule.newest_ms = max(rule.newest_ms, newest_ms)
        return late

    def due(self, now_ms: int) -> list[ActiveRule]:
        """What is to be evaluated now; what was evaluated least lately first, so that none waits for ever."""
        found: dict[str, ActiveRule] = {}
        while self._dues and self._dues[0][0] <= now_ms:
            due_ms, rule_id = heapq.heappop(self._dues)
            if self._agrees(due_ms, rule_id):
                found[rule_id] = self.rules[rule_id]
        found.update({rule.id: rule for rule in self._touched.values() if rule.ready_ms <= now_ms})
        return sorted(filter(self.sees, found.values()), key=lambda rule: (rule.evaluated_ms, rule.id))

    def sees(self, rule: ActiveRule) -> bool:
        """Whether all that it looks at is kept, and what it missed is known."""
        return not rule.waiting and all(self.memory.is_open(watch) for _, watch in rule.inputs)

    def closed(self) -> list[Watch]:
        """What must be opened before the rules that look at it are evaluated."""
        if self.memory.all_open:
            return []
        watches = {watch.number: watch for rule in self.rules.values() for _, watch in rule.inputs}
        return [watch for watch in watches.values() if not self.memory.is_open(watch)]

    def opened(self, watches: Iterable[Watch], now_ms: int) -> None:
        """These are open now: their rules are evaluated at once."""
        for watch in watches:
            for rule_id in self._users.get(watch.number, ()):
                self._set_due(self.rules[rule_id], now_ms, again=True)

    def caught_up(self, rule: ActiveRule, now_ms: int) -> None:
        """What it missed is known, or never will be: it is evaluated from now on."""
        rule.waiting = False
        if self.rules.get(rule.id) is rule:
            self._set_due(rule, now_ms, again=True)

    def users(self, watch: Watch) -> list[ActiveRule]:
        """The rules that look at it."""
        return [self.rules[rule_id] for rule_id in sorted(self._users.get(watch.number, ()))]

    def next_ms(self) -> int | None:
        """When something is to be evaluated next."""
        while self._dues and not self._agrees(*self._dues[0]):
            heapq.heappop(self._dues)
        times = [rule.ready_ms for rule in self._touched.values()]
        return min([*times, *(due_ms for due_ms, _ in self._dues[:1])], default=None)

    def evaluate(self, rule: ActiveRule, now_ms: int) -> list[Change]:
        """What the alerts of a rule become; `accept` makes it so. A failure is noted and changes nothing."""
        if rule.records:
            self._record(rule, now_ms)
            return []
        began = self.timer()
        data = {horizon.wanted.selector: self.memory.read(watch, horizon, now_ms) for horizon, watch in rule.inputs}
        times = np.array([now_ms], np.int64)
        try:
            check = self._check(began)
            changes = self.judge(rule, Result(evaluate(rule.compiled.value, data, times, check), times))
            rule.error = ""
        except EvaluationError as e:
            rule.error, changes = str(e), []
        except Exception as e:  # noqa: BLE001 - a bug: that of one rule must not end the others
            rule.error, changes = f"Vigie cannot evaluate this: {reason_of(e)}", []
        self.failures += bool(rule.error)
        rule.took_ms = (self.timer() - began) * 1000
        self.evaluated(rule, now_ms)
        return changes

    def _record(self, rule: ActiveRule, now_ms: int) -> None:
        """What it gives at the last time of its grid, once; of an earlier time the stored windows know more."""
        made, began = rule.compiled.rule, self.timer()
        at_ms = tick(made, now_ms)
        self._touched.pop(rule.id, None)
        self._set_due(rule, at_ms + rule.interval_ms)
        if at_ms <= max(rule.evaluated_ms, made.updated_at or 0) or now_ms - at_ms > LATEST_MS:
            return
        data = {horizon.wanted: self.memory.read(watch, horizon, at_ms) for horizon, watch in rule.inputs}
        if now_ms < at_ms + PATIENCE_MS and awaited(data, at_ms):
            self._set_due(rule, min(now_ms + AGAIN_MS, at_ms + PATIENCE_MS))
            return
        times, found = np.array([at_ms], np.int64), [Recorded(made, at_ms, [])]
        try:
            samples = {wanted.selector: one for wanted, one in data.items()}
            found = recorded(made, evaluate(rule.compiled.value, samples, times, self._check(began)), [at_ms])
            rule.error = ""
        except (EvaluationError, RecordingError) as e:
            rule.error = str(e)
        except Exception as e:  # noqa: BLE001 - as of other rules
            rule.error = f"Vigie cannot evaluate this: {reason_of(e)}"
        self.recorded += found
        self.failures += bool(rule.error)
        self.evaluations += 1
        rule.took_ms = (self.timer() - began) * 1000
        rule.evaluated_ms = at_ms

    def _check(self, began: float) -> Callable[[], None]:
        def check() -> None:
            if self.timer() > began + LONGEST_S:
                raise EvaluationError(f"this takes longer than {LONGEST_S:g} s: select or aggregate less")

        return check

    def judge(self, rule: ActiveRule, result: Result) -> list[Change]:
        """What values make of the rule's alerts. Raises EvaluationError."""
        return judge(rule.compiled, result, rule.alerts, rule.known, rule.traceparent)

    def put_off(self, rules: Iterable[ActiveRule]) -> None:
        """They are due still."""
        self._touched.update({rule.id: rule for rule in rules})

    def accept(self, rule: ActiveRule, changes: Iterable[Change]) -> None:
        """The changes are what is."""
        for change in changes:
            if change.after is None:
                rule.alerts.pop(change.labels, None)
            else:
                rule.alerts[change.labels] = change.after
        self._plan(rule)

    def replace(self, rule: ActiveRule, alerts: Mapping[Labels, Alert | None], now_ms: int) -> None:
        """Somebody else moved these alerts: they are this now. The rule is judged again at once."""
        self.accept(rule, [Change(labels, None, alert) for labels, alert in alerts.items()])
        self._set_due(rule, min(rule.due_ms, now_ms))

    def evaluated(self, rule: ActiveRule, now_ms: int) -> None:
        """Nothing is to be done for it before its next time, or its next sample."""
        rule.evaluated_ms = now_ms
        self.evaluations += 1
        self._touched.pop(rule.id, None)
        self._plan(rule)

    def _plan(self, rule: ActiveRule) -> None:
        dues = [due for alert in rule.alerts.values() if (due := due_ms(alert, rule.compiled)) is not None]
        if rule.newest_ms > rule.evaluated_ms:
            dues.append(rule.newest_ms)
        self._set_due(rule, max(min([rule.evaluated_ms + rule.interval_ms, *dues]), rule.evaluated_ms + SPACING_MS))

    def _agrees(self, due_ms: int, rule_id: str) -> bool:
        return rule_id in self.rules and self.rules[rule_id].due_ms == due_ms

    def _set_due(self, rule: ActiveRule, due_ms: int, *, again: bool = False) -> None:
        if again or rule.due_ms != due_ms:
            rule.due_ms = due_ms
            heapq.heappush(self._dues, (due_ms, rule.id))

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
    until = engine.timer() + budget_s
    engine.memory.advance(now_ms)
    due = engine.due(now_ms)
    done: list[Evaluated] = []
    for place, rule in enumerate(left := _without_quiet(engine, due, now_ms)):
        if changes := engine.evaluate(rule, now_ms):
            done.append(Evaluated(rule, changes))
        if engine.timer() > until:
            engine.put_off(left[place + 1 :])
            break
    return done


def _without_quiet(engine: Engine, due: Iterable[ActiveRule], now_ms: int) -> list[ActiveRule]:
    """Most rules compare the newest values of their series with a threshold that none of them reaches: found out for
    all of them at once."""
    left: list[ActiveRule] = []
    plain: list[ActiveRule] = []
    for rule in due:
        (plain if rule.may_be_quiet else left).append(rule)
    for rule, quiet in zip(plain, _quiet(engine.memory, plain, now_ms), strict=True):
        if quiet:
            engine.evaluated(rule, now_ms)
        else:
            left.append(rule)
    return left


def _quiet(memory: Memory, rules: list[ActiveRule], now_ms: int) -> list[bool]:
    values = memory.newest([rule.inputs[0] for rule in rules], now_ms)
    return [own is not None and not any_active(rule.compiled, own) for rule, own in zip(rules, values, strict=True)]
