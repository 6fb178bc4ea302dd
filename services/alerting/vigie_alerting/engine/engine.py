"""The rules of this process over what is in memory: which are due, and what their evaluation changes. Time is given."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.alerts import AlertState
from vigie_contracts.series import Labels
from vigie_contracts.tenants import TenantId
from vigie_query.promql.labels import without_name
from vigie_query.promql.samples import Vector
from vigie_runtime.errors import reason_of

from vigie_alerting.alert import Alert
from vigie_alerting.engine.active_rule import SPACING_MS, ActiveRule, Attempt, check_time
from vigie_alerting.engine.attention import ALWAYS, Attention
from vigie_alerting.engine.evaluation import Change, EvaluationError, Result, any_active, judge
from vigie_alerting.engine.families import Families, Family
from vigie_alerting.engine.horizon import Horizon, horizons
from vigie_alerting.engine.memory import Memory
from vigie_alerting.engine.origins import Came, Origins
from vigie_alerting.engine.watch import Watch
from vigie_alerting.lifecycle import due_ms
from vigie_alerting.recording.results import AGAIN_MS, LATEST_MS, PATIENCE_MS, Recorded, recorded, tick, waits_for
from vigie_alerting.rules.compiling import CompiledRule

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

MOST_STALE: Final = 1_000
"""Entries of a heap that no longer agree with their rules, about."""
TOGETHER: Final = 40
"""Rules that are evaluated as one..."""
TOGETHER_SERIES: Final = 1_000
"""... and series that they look at, about: samples wait for it."""
MOST_DUE: Final = 500
"""Rules of a kind that are looked at in one round."""


class Engine:
    """Not for several threads at once."""

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        """timer: seconds, by which the cost of evaluations is measured. All other times are given."""
        self.memory = Memory()
        self.rules: dict[str, ActiveRule] = {}
        self.timer = timer
        self._users: dict[int, set[str]] = {}
        """Watch -> the rules that use it."""
        self._attention = Attention()
        self._families = Families()
        self._homes: dict[int, tuple[int, dict[Labels, int]]] = {}
        """Of watches of rules with alerts: the generation of the memory, and the home of each series."""
        self._stale: set[int] = set()
        """Watches of whose rules one is calm otherwise than before."""
        self._dues: dict[bool, list[tuple[int, str]]] = {True: [], False: []}
        """Heaps, of plain rules and of others; what no longer agrees with its rule is passed over."""
        self.slow: dict[str, ActiveRule] = {}
        """Those of which the evaluation is due, in their order."""
        self._rests_until_ms = 0
        """Rules that are not plain are not evaluated before."""
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
        if not active.plain and not active.records:
            active.family = self._families.of(compiled.value, needed)
        if before is not None:
            active.evaluated_ms, active.waiting = before.evaluated_ms, before.waiting
            if before.compiled.text == compiled.text:
                active.known = before.known
        self.rules[rule.id] = active
        self._stale.update(watch.number for _, watch in inputs)
        heapq.heappush(self._dues[active.plain], (active.due_ms, rule.id))
        if before is not None:
            self._release(before, kept={watch.number for _, watch in inputs})
        return active

    def remove(self, rule_id: str) -> ActiveRule | None:
        """The rule that was removed, with its alerts."""
        rule = self.rules.pop(rule_id, None)
        if rule is not None:
            self._release(rule, kept=set())
        return rule

    def take(
        self, homes: Ints, times: Ints, values: Floats, records: Ints | None = None,
        traceparent: Callable[[int], str] = lambda _: "",
    ) -> int:  # fmt: skip
        """Samples of known series; how many windows were too old for what is kept. `records`: in which one each came,
        for `traceparent`. Rules to which they matter are due."""
        late = self.memory.add(homes, times, values)
        self._refresh()
        positions, watches, as_they_are = self.memory.watching(homes)
        matter = ~as_they_are | self._attention.wanted(watches, values[positions], homes[positions])
        positions, watches = positions[matter], watches[matter]
        order = np.argsort(watches, kind="stable")
        positions, watches = positions[order], watches[order]
        begins = np.flatnonzero(np.diff(watches, prepend=-1))
        for watch, own in zip(watches[begins].tolist(), np.split(positions, begins[1:]), strict=False):
            came = Came(homes[own], own if records is None else records[own], traceparent)
            newest_ms = int(times[own].max())
            for rule_id in self._users.get(watch, ()):
                self._touch(self.rules[rule_id], newest_ms, came)
        return late

    def _touch(self, rule: ActiveRule, newest_ms: int, came: Came) -> None:
        if rule.records:  # samples do not make it due
            return
        rule.newest_ms = max(rule.newest_ms, newest_ms)
        rule.origins.add(came)
        if rule.due_ms > rule.ready_ms and self.sees(rule):
            self._set_due(rule, rule.ready_ms)

    def _refresh(self) -> None:
        """What is calm for the watches whose rules changed."""
        for watch in self._stale:
            together = ALWAYS
            for rule_id in self._users.get(watch, ()):
                together = together.and_(self.rules[rule_id].calm)
            self._attention.set(watch, together)
        self._stale.clear()

    def due(self, now_ms: int, *, plain: bool) -> list[ActiveRule]:
        """What is to be evaluated now, at most MOST_DUE; the longest due first, so that none waits for ever."""
        found: dict[str, ActiveRule] = {}
        dues = self._dues[plain]
        while dues and dues[0][0] <= now_ms and len(found) < MOST_DUE:
            due_ms, rule_id = heapq.heappop(dues)
            if self._agrees(due_ms, rule_id) and self.sees(rule := self.rules[rule_id]) and self._is_time(rule, now_ms):
                (self.slow if rule.slow else found)[rule_id] = rule
        return list(found.values())

    def next_slow(self, now_ms: int) -> ActiveRule | None:
        """One of those that are due and take long: it is to be evaluated beside the others."""
        while self.slow:
            rule = self.slow.pop(next(iter(self.slow)))
            if self.rules.get(rule.id) is rule and self.sees(rule) and self._is_time(rule, now_ms):
                return rule
        return None

    def _is_time(self, rule: ActiveRule, now_ms: int) -> bool:
        """Of a recording rule, whether the last time of its grid is to be evaluated now: once, when what others record
        for that time is there; of one that is long past the stored windows know more."""
        if not rule.records:
            return True
        made = rule.compiled.rule
        at_ms = tick(made, now_ms)
        if at_ms <= max(rule.evaluated_ms, made.updated_at or 0) or now_ms - at_ms > LATEST_MS:
            self._set_due(rule, at_ms + rule.interval_ms, again=True)
            return False
        if now_ms < at_ms + PATIENCE_MS and self._awaits(rule, at_ms):
            self._set_due(rule, min(now_ms + AGAIN_MS, at_ms + PATIENCE_MS), again=True)
            return False
        return True

    def _awaits(self, rule: ActiveRule, at_ms: int) -> bool:
        return any(
            int(self.memory.read(watch, horizon, at_ms).times.max(initial=0)) < at_ms
            for horizon, watch in rule.inputs
            if waits_for(horizon.wanted)
        )

    def sees(self, rule: ActiveRule) -> bool:
        """Whether all that it looks at is kept, what it missed is known, and it is not being evaluated."""
        return not (rule.waiting or rule.running) and all(self.memory.is_open(watch) for _, watch in rule.inputs)

    def closed(self) -> list[Watch]:
        """What must be opened before the rules that look at it are evaluated."""
        if self.memory.all_open:
            return []
        watches = {watch.number: watch for rule in self.rules.values() for _, watch in rule.inputs}
        return [watch for watch in watches.values() if not self.memory.is_open(watch)]

    def opened(self, watches: Iterable[Watch], now_ms: int) -> None:
        """These are open now: their rules are evaluated at once."""
        for watch in watches:
            self._homes.pop(watch.number, None)
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
        times: list[int] = []
        for plain, dues in self._dues.items():
            while dues and not self._agrees(*dues[0]):
                heapq.heappop(dues)
            if dues:
                times.append(dues[0][0] if plain else max(dues[0][0], self._rests_until_ms))
        return min(times, default=None)

    def evaluate(self, rule: ActiveRule, now_ms: int) -> list[Change]:
        """What the alerts of a rule become; `accept` makes it so. A failure is noted and changes nothing."""
        attempt = self.begin(rule, now_ms)
        attempt.compute()
        return self.conclude(attempt)

    def begin(self, rule: ActiveRule, now_ms: int) -> Attempt:
        """Read what a rule looks at. Until `conclude` it is not evaluated again, and may be changed or removed."""
        began = self.timer()
        if rule.records:
            now_ms = tick(rule.compiled.rule, now_ms)
        attempt = self._attempt(rule, now_ms, began)
        self._read(attempt)
        return attempt

    def evaluate_together(self, rules: Sequence[ActiveRule], now_ms: int) -> list[list[Change]]:
        """The same as `evaluate` of each, which are of one family."""
        began = self.timer()
        attempts = [self._attempt(rule, now_ms, began) for rule in rules]
        self._compute_together(attempts, now_ms)
        spent = (self.timer() - began) / len(rules)
        changes: list[list[Change]] = []
        for attempt in attempts:
            attempt.began = self.timer() - spent
            if attempt.given is None:
                self._read(attempt)
                attempt.compute()
            changes.append(self.conclude(attempt))
        return changes

    def _compute_together(self, attempts: Sequence[Attempt], now_ms: int) -> None:
        """As far as that can be done: else each rule is evaluated by itself."""
        times = np.array([now_ms], np.int64)
        check = partial(check_time, self.timer, attempts[0].began)
        try:
            found = self.values_together([one.rule for one in attempts], times, now_ms, check)
        except Exception:  # noqa: BLE001 - each of them will tell what is wrong with it
            return
        for one, values in zip(attempts, found, strict=True):
            one.given = Result(values, times)

    def values_together(
        self, rules: Sequence[ActiveRule], times: Ints, now_ms: int, check: Callable[[], None] = lambda: None
    ) -> list[Vector]:
        """What the expressions of rules of one family give at these times. Raises as `Family.evaluate`."""
        watches = {watch.number: watch for rule in rules for _, watch in rule.inputs}
        family = rules[0].family
        if family is None:
            raise EvaluationError("the rule has no family")
        found = family.evaluate(self.memory, list(watches.values()), times, now_ms, check)
        found_of = dict(zip(watches, found, strict=True))
        return [found_of[rule.inputs[0][1].number] for rule in rules]

    def _attempt(self, rule: ActiveRule, now_ms: int, began: float) -> Attempt:
        attempt = Attempt(rule, now_ms, rule.origins, self.timer, began)
        if rule.newest_ms <= now_ms:  # else some are looked at when their time comes
            rule.origins = Origins()
        rule.running = True
        return attempt

    def _read(self, attempt: Attempt) -> None:
        try:
            for horizon, watch in attempt.rule.inputs:
                attempt.data[horizon.wanted.selector] = self.memory.read(watch, horizon, attempt.now_ms)
        except Exception as e:  # noqa: BLE001 - whoever asks for the result is told
            attempt.failure = e

    def conclude(self, attempt: Attempt) -> list[Change]:
        """What the alerts of the rule become."""
        rule, changes = attempt.rule, list[Change]()
        try:
            if rule.records:
                result = attempt.result()
                self.recorded += recorded(rule.compiled.rule, result.found, result.times.tolist())
            else:
                changes = self.judge(rule, attempt.result(), attempt.origins)
            rule.error = ""
        except EvaluationError as e:
            rule.error = str(e)
        except Exception as e:  # noqa: BLE001 - a bug: that of one rule must not end the others
            rule.error = f"Vigie cannot evaluate this: {reason_of(e)}"
        if rule.records and rule.error:
            self.recorded.append(Recorded(rule.compiled.rule, attempt.now_ms, []))
        self.failures += bool(rule.error)
        rule.running, rule.moving = False, bool(changes)
        rule.took_ms = (self.timer() - attempt.began) * 1000
        if self.rules.get(rule.id) is not rule:  # it was removed, or is another one
            return []
        self.evaluated(rule, attempt.now_ms)
        if rule.origins is not attempt.origins and rule.origins:  # something came meanwhile
            self._set_due(rule, min(rule.due_ms, rule.ready_ms))
        return changes

    def judge(self, rule: ActiveRule, result: Result, origins: Origins | None = None) -> list[Change]:
        """What values make of the rule's alerts; without `origins` those of times that were missed. Raises
        EvaluationError."""
        traceparent = partial((origins or Origins()).traceparent, labels_of=self.memory.labels_of)
        return judge(rule.compiled, result, rule.alerts, rule.known, traceparent, past=origins is None)

    def put_off(self, rules: Iterable[ActiveRule]) -> None:
        """They are due still."""
        for rule in rules:
            self._set_due(rule, rule.due_ms, again=True)

    def rest(self, until_ms: int) -> None:
        """Rules that are not plain wait until then: others have work to do, too."""
        self._rests_until_ms = until_ms

    def resting(self, now_ms: int) -> bool:
        """Whether they do."""
        return now_ms < self._rests_until_ms

    def accept(self, rule: ActiveRule, changes: Iterable[Change]) -> None:
        """The changes are what is."""
        for change in changes:
            if change.after is None:
                rule.alerts.pop(change.labels, None)
            else:
                rule.alerts[change.labels] = change.after
        rule.moving = False
        self._plan(rule)

    def replace(self, rule: ActiveRule, alerts: Mapping[Labels, Alert | None], now_ms: int) -> None:
        """Somebody else moved these alerts: they are this now. The rule is judged again at once."""
        self.accept(rule, [Change(labels, None, alert) for labels, alert in alerts.items()])
        self._set_due(rule, min(rule.due_ms, now_ms))

    def evaluated(self, rule: ActiveRule, now_ms: int) -> None:
        """Nothing is to be done for it before its next time, or its next sample."""
        rule.evaluated_ms = now_ms
        self.evaluations += 1
        self._plan(rule)

    def _plan(self, rule: ActiveRule) -> None:
        if self.rules.get(rule.id) is not rule:  # what there is to know of it is of another one
            return
        dues = [due for alert in rule.alerts.values() if (due := due_ms(alert, rule.compiled)) is not None]
        if rule.newest_ms > rule.evaluated_ms:
            dues.append(rule.newest_ms)
        self._set_due(rule, max(min([rule.evaluated_ms + rule.interval_ms, *dues]), rule.evaluated_ms + SPACING_MS))
        self._watch_over(rule)
        if (calm := rule.now_calm) != rule.calm:
            rule.calm = calm
            self._stale.update(watch.number for _, watch in rule.inputs)

    def _watch_over(self, rule: ActiveRule) -> None:
        """Of a plain rule, the series that have alerts. What is resolved begins anew as what never fired."""
        if not rule.plain or not rule.inputs:
            return
        homes: list[int] = []
        rule.has_unknown_alerts = False
        if watched := [one.series for one in rule.alerts.values() if not _may_rest(one)]:
            home_of = self._homes_of(rule.inputs[0][1])
            homes = [home_of[series] for series in watched if series in home_of]
            rule.has_unknown_alerts = len(homes) < len(watched)
        self._attention.set_alerted(rule.id, np.array(homes, np.int64))

    def _homes_of(self, watch: Watch) -> dict[Labels, int]:
        """By the labels of a plain selector's result."""
        generation, found = self._homes.get(watch.number, (-1, {}))
        if generation != self.memory.generation or len(found) > len(watch.labels):
            found = {}
        for place in range(len(found), len(watch.labels)):
            found[without_name(watch.labels[place])] = watch.homes[place]
        self._homes[watch.number] = self.memory.generation, found
        return found

    def _agrees(self, due_ms: int, rule_id: str) -> bool:
        return rule_id in self.rules and self.rules[rule_id].due_ms == due_ms

    def _set_due(self, rule: ActiveRule, due_ms: int, *, again: bool = False) -> None:
        if not again and rule.due_ms == due_ms:
            return
        rule.due_ms = due_ms
        dues = self._dues[rule.plain]
        heapq.heappush(dues, (due_ms, rule.id))
        if len(dues) > MOST_STALE + 2 * len(self.rules):
            dues[:] = [(one.due_ms, one.id) for one in self.rules.values() if one.plain is rule.plain]
            heapq.heapify(dues)

    def _release(self, rule: ActiveRule, kept: set[int]) -> None:
        if rule.id not in self.rules:
            self._attention.set_alerted(rule.id, np.empty(0, np.int64))
        for watch in {watch.number: watch for _, watch in rule.inputs}.values():
            if watch.number in kept:
                continue
            users = self._users.get(watch.number, set())
            users.discard(rule.id)
            self._stale.add(watch.number)
            if not users:
                self._users.pop(watch.number, None)
                self._homes.pop(watch.number, None)
                self.memory.unwatch(watch)


def _may_rest(alert: Alert) -> bool:
    """Whether nothing but a value that meets the condition, or time, changes it."""
    return alert.state is AlertState.RESOLVED and not alert.by_hand


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A rule with what its evaluation changes."""

    rule: ActiveRule
    changes: list[Change]


def run(engine: Engine, now_ms: int, budget_s: float) -> list[Evaluated]:
    """Evaluate what is due, for about so long: what is left is the first of the next round. Plain rules come first,
    and have half of the time for themselves."""
    engine.memory.advance(now_ms)
    began = engine.timer()
    done = _run(engine, _without_quiet(engine, engine.due(now_ms, plain=True), now_ms), now_ms, began + budget_s / 2)
    if not engine.resting(now_ms):
        began_others = engine.timer()
        done += _run(engine, engine.due(now_ms, plain=False), now_ms, began + budget_s)
        engine.rest(now_ms + round((engine.timer() - began_others) * 1000))
    return done


def _run(engine: Engine, due: Sequence[ActiveRule], now_ms: int, until: float) -> list[Evaluated]:
    """At least one of them."""
    done: list[Evaluated] = []
    parts = parts_of(due)
    for place, some in enumerate(parts):
        changes = [engine.evaluate(some[0], now_ms)] if len(some) == 1 else engine.evaluate_together(some, now_ms)
        done += [Evaluated(rule, own) for rule, own in zip(some, changes, strict=True) if own]
        if engine.timer() > until:
            engine.put_off(rule for left in parts[place + 1 :] for rule in left)
            break
    return done


def parts_of(due: Iterable[ActiveRule]) -> list[list[ActiveRule]]:
    """Those of a family together, within what may be evaluated as one; in the order of the first of each part."""
    parts: list[list[ActiveRule]] = []
    open_: dict[Family | None, tuple[list[ActiveRule], int]] = {}
    for rule in due:
        family = rule.family if rule.family and rule.family.takes(rule.inputs[0][1]) else None
        part, series = open_.get(family, ([], 0))
        if family is None or not part or len(part) >= TOGETHER or series > TOGETHER_SERIES:
            part, series = [], 0
            parts.append(part)
        part.append(rule)
        open_[family] = part, series + sum(len(watch.rows) for _, watch in rule.inputs)
    return parts


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
