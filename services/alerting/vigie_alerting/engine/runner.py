"""The engine at work: rules come and go, what is due is evaluated, and what that changes is stored before it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Reason, Rule, RuleKind
from vigie_contracts.series import Labels
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryError
from vigie_query.promql.queries import Answer, Query, answer
from vigie_query.promql.samples import Vector
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError, Retryable, StoreUnavailable, VigieError, reason_of
from vigie_storage import mongo
from vigie_storage.alerts.checkpoints import Checkpoints
from vigie_storage.alerts.states import AlertMoved, AlertStates, Move, StoredAlert
from vigie_storage.promql.reader import PromqlReader

from vigie_alerting import alert as alerts
from vigie_alerting.alert import Alert, UnknownFormError
from vigie_alerting.dispatch import MAX_TRANSITIONS, Dispatcher
from vigie_alerting.engine.engine import ActiveRule, Engine, Evaluated, run
from vigie_alerting.engine.evaluation import Change, EvaluationError, Result
from vigie_alerting.engine.horizon import HorizonError
from vigie_alerting.engine.metrics import EngineMetrics
from vigie_alerting.engine.opening import Opener
from vigie_alerting.engine.rules_handler import Gone, RuleChange, RulesHandler
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.lifecycle import DEDUPLICATION_MS, withdraw
from vigie_alerting.rules.compiling import CompiledRule, compiled
from vigie_alerting.rules.problems import InvalidRuleError
from vigie_alerting.transitions import labels_of, rule_of

log = logging.get(__name__)

BUDGET_S: Final = 0.1
"""Evaluations are interrupted after so long, for samples to be read."""
IDLE_S: Final = 0.5
KEEP_S: Final = 10.0
"""How often what changed without a transition is stored, and up to when rules were evaluated."""
DISPATCHED: Final = 200
"""Transitions in one transaction, about."""
MAX_UNSTORED: Final = 10_000
"""Transitions that wait for MongoDB; nothing is evaluated while there are more."""
MAX_CATCH_UP: Final = 2_000
"""Evaluations of one rule for the time in which nobody evaluated it."""
FIRST_RULES_S: Final = 15.0
"""How long reading the rules may take before the samples are read all the same."""
REFUSED_S: Final = 60.0
"""When a rule that could not be evaluated is tried again."""
BACK_MS: Final = 10_000
"""The clock may go back by so much, and nothing is evaluated until it is where it was. By more, and the process ends:
the next one begins with what is stored."""
_POLL_S: Final = 0.05
_RETRY: Final = Backoff(0.2, 5.0)
_PASSING: Final = (Retryable, StoreUnavailable)


class ClockWentBackError(VigieError):
    """What is in memory is of a time that is yet to come."""

    def __init__(self, by_ms: int) -> None:
        super().__init__(f"the clock went back by {by_ms / 1000:.0f} s: start again, and set it by NTP")


class Runner:
    """One per process. `run` until `stop`."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, rules: RulesHandler, samples: SamplesHandler, opener: Opener, *,
        rules_are_read: Callable[[], bool], samples_are_read: Callable[[], bool], states: AlertStates,
        dispatcher: Dispatcher, checkpoints: Checkpoints, reader: PromqlReader, clock: Clock, metrics: EngineMetrics,
    ) -> None:  # fmt: skip
        """`rules_are_read`, `samples_are_read`: whether the logs were read to where they ended at the start."""
        self._rules_are_read, self._samples_are_read = rules_are_read, samples_are_read
        self._engine, self._lock, self._rules, self._samples, self._opener = engine, lock, rules, samples, opener
        self._states, self._dispatcher, self._checkpoints = states, dispatcher, checkpoints
        self._reader, self._clock, self._metrics = reader, clock, metrics
        self._partition_of: dict[str, int] = {}
        self._new: dict[str, ActiveRule] = {}
        """Rules that came, and of which is not known yet what they missed."""
        self._unkept: set[tuple[str, Labels]] = set()
        """Alerts that changed without a transition."""
        self._unstored: list[list[Evaluated]] = []
        """Accepted, and not stored yet: MongoDB is away. In their order."""
        self._pauses: dict[str, tuple[int, float]] = {}
        """Of work that failed: how often, and when it is tried again."""
        self._preparing: asyncio.Task[None] | None = None
        self._now_ms = 0
        self._kept_at = 0.0
        self.refused: dict[str, str] = {}
        """Rules that cannot be evaluated, and why."""
        self._again: dict[str, tuple[float, RuleChange]] = {}
        """Of those some, with the time at which they are tried again."""
        self.opened = asyncio.Event()
        """Set when the past of the first rules is loaded, or there are none: then the samples may be read."""
        self.live = False
        """Whether the samples were read: what is not in memory by then was never sent."""
        self._stopping = False

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stopping = True
        self._samples.arrived.set()
        self._rules.arrived.set()

    async def run(self) -> None:
        """Work until stopped. What passes by itself is waited out."""
        await self._first_rules()
        try:
            while not self._stopping:
                await self._turn()
        finally:
            if self._preparing is not None:
                self._preparing.cancel()
                await asyncio.wait([self._preparing])
        with suppress(*_PASSING):
            await self._store_unstored()
            await self._keep()

    async def _first_rules(self) -> None:
        """Those that are there get their past together, before the first sample is read."""
        until = self._clock.monotonic() + FIRST_RULES_S
        while not self._stopping and not self._rules_are_read() and self._clock.monotonic() < until:
            await self._clock.sleep(0.05)

    async def _turn(self) -> None:
        """MongoDB may be away: rules are evaluated all the same, and what that changes is stored when it is back."""
        await self._try("storing", self._store_unstored)
        if not self._unstored:
            await self._try("rules", self._take_changes)
        await self._try("preparing", self._prepare)
        if self._may_evaluate:
            await self._evaluate()
        if self.live and not self._unstored and self._clock.monotonic() - self._kept_at >= KEEP_S:
            await self._try("keeping", self._keep)
        await self._wait()

    async def _try(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, unless it failed a moment ago."""
        failures, at = self._pauses.get(what, (0, 0.0))
        if self._clock.monotonic() < at:
            return
        try:
            await work()
            self._pauses.pop(what, None)
        except _PASSING as e:
            log.warning("is tried again in a moment", work=what, reason=reason_of(e))
            self._pauses[what] = failures + 1, self._clock.monotonic() + _RETRY.pause_s(failures + 1)

    async def _evaluate(self) -> None:
        now_ms = self._clock.now_ms()
        if now_ms < self._now_ms - BACK_MS:
            raise ClockWentBackError(self._now_ms - now_ms)
        self._now_ms = max(self._now_ms, now_ms)
        began = self._clock.monotonic()
        evaluations, failures = self._engine.evaluations, self._engine.failures
        async with self._lock:
            done = await asyncio.to_thread(run, self._engine, self._now_ms, BUDGET_S)
        self._metrics.round.observe(self._clock.monotonic() - began)
        self._metrics.evaluations.inc(self._engine.evaluations - evaluations)
        self._metrics.failed.inc(self._engine.failures - failures)
        await self._settle(done)
        self._metrics.rules.set(len(self._engine.rules))
        self._metrics.series.set(len(self._engine.memory))

    async def _wait(self) -> None:
        """Until something is due, or came."""
        await asyncio.sleep(0)
        if not self._may_evaluate:
            await asyncio.sleep(_POLL_S)
            return
        next_ms = self._engine.next_ms()
        rest = IDLE_S if next_ms is None else min(IDLE_S, (next_ms - self._clock.now_ms()) / 1000)
        if self._preparing is not None or self._rules.arrived.is_set():
            rest = min(rest, _POLL_S)
        if rest > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._samples.arrived.wait()
        self._samples.arrived.clear()

    async def _take_changes(self) -> None:
        for rule_id, (at, change) in list(self._again.items()):
            if self._clock.monotonic() >= at:
                del self._again[rule_id]
                self._rules.put_back({rule_id: change})
        changes = self._rules.changes()
        if not changes:
            return
        try:
            await self._apply(changes)
        except _PASSING:
            self._rules.put_back(changes)
            raise

    async def _apply(self, changes: Mapping[str, RuleChange]) -> None:
        """Rules that are new, changed, or gone. Doing it again is harmless."""
        fresh: dict[str, CompiledRule] = {}
        for rule_id, (partition, rule) in changes.items():
            self._partition_of[rule_id] = partition
            self.refused.pop(rule_id, None)
            self._again.pop(rule_id, None)
            if isinstance(rule, Rule) and _alerts(rule) and (made := _compiled(rule)):
                fresh[rule_id] = made
        evaluated = {at: await self._checkpoints.of(at) for at in {partition for partition, _ in changes.values()}}
        since_ms = min(one or self._clock.now_ms() for one in evaluated.values()) - DEDUPLICATION_MS
        stored = await self._stored([one for one in changes if one not in self._engine.rules], since_ms)
        for rule_id, (partition, rule) in changes.items():
            before = self._engine.rules.get(rule_id)
            if rule_id in fresh:
                await self._put(fresh[rule_id], before, stored.get(rule_id, []), evaluated[partition] or 0)
                continue
            if rule is not Gone.LEFT:
                await self._end(before, rule, stored.get(rule_id, []))
            await self._remove(rule_id)
            self._partition_of.pop(rule_id, None)

    async def _end(self, before: ActiveRule | None, rule: Rule | Gone, stored: Sequence[Alert]) -> None:
        """The rule is removed or switched off, perhaps while nobody had it."""
        if before is not None:
            await self._withdraw(before, Reason.RULE_REMOVED)
            return
        for one in stored:
            made = _compiled(rule) if isinstance(rule, Rule) else await self._last_rule(one)
            if made is not None:
                await self._withdraw(ActiveRule(made, (), {one.series: one}), Reason.RULE_REMOVED)

    async def _last_rule(self, alert: Alert) -> CompiledRule | None:
        """The rule of an alert as far as what was told last says."""
        last = await self._dispatcher.last(TenantId(alert.tenant), alert.fingerprint)
        return None if last is None else _compiled(rule_of(last, alert))

    async def _remove(self, rule_id: str) -> None:
        self._new.pop(rule_id, None)
        async with self._lock:
            self._engine.remove(rule_id)

    async def _refuse(self, made: CompiledRule, reason: str, *, again: bool = False) -> None:
        """It is not evaluated; its alerts stay what they are."""
        rule = made.rule
        log.warning("a rule cannot be evaluated", rule=rule.id, reason=reason)
        self.refused[rule.id] = reason
        if again and rule.id in self._partition_of:
            self._again[rule.id] = self._clock.monotonic() + REFUSED_S, (self._partition_of[rule.id], rule)
        await self._remove(rule.id)

    async def _stored(self, rules: Sequence[str], since_ms: int) -> dict[str, list[Alert]]:
        found: dict[str, list[Alert]] = {}
        for one in await self._states.of_rules(rules, since_ms):
            with suppress(UnknownFormError):
                found.setdefault(one.rule_id, []).append(alerts.decode(one.data))
        return found

    async def _put(
        self, made: CompiledRule, before: ActiveRule | None, stored: Sequence[Alert], evaluated_ms: int
    ) -> None:
        """A rule that asks for something else has other alerts: those of before are over."""
        if before is not None and before.compiled.text != made.text:
            await self._withdraw(before, Reason.RULE_CHANGED)
        known = list(before.alerts.values()) if before is not None else list(stored)
        try:
            async with self._lock:
                active = self._engine.put(made, known)
        except (HorizonError, QueryError) as e:
            await self._refuse(made, reason_of(e))
            return
        if before is None and evaluated_ms:
            # Not of a time at which it was no rule yet, or another one.
            active.evaluated_ms = max(evaluated_ms, made.rule.updated_at or 0)
            active.waiting = self._clock.now_ms() - active.evaluated_ms > active.interval_ms
        if active.waiting:
            self._new[made.rule.id] = active

    async def _prepare(self) -> None:
        """Rules that look at what is not in memory get it beside the evaluation of the others."""
        if self._preparing is not None:
            if not self._preparing.done():
                return
            done, self._preparing = self._preparing, None
            await done
        if self._engine.closed() or self._new or not self.live:
            self._preparing = asyncio.create_task(self._prepared(list(self._new.values())), name="rules' past")

    async def _prepared(self, new: Sequence[ActiveRule]) -> None:
        if closed := self._engine.closed():
            failed = await self._opener.open(closed)
            async with self._lock:
                self._engine.opened(closed, self._clock.now_ms())
            for watch in closed:
                for rule in self._engine.users(watch) if watch.number in failed else ():
                    await self._refuse(rule.compiled, failed[watch.number], again=True)
        await self._opener.begin()
        self.opened.set()
        while not self.live and not self._samples_are_read():
            await self._clock.sleep(0.02)
        await self._catch_up(new)
        self.live = True

    async def _catch_up(self, rules: Sequence[ActiveRule]) -> None:
        """What happened to the alerts of new rules while nobody evaluated them, by the stored windows: an episode that
        began and ended meanwhile is told."""
        whole: bool | None = None
        for rule in rules:
            now_ms, step = self._clock.now_ms(), rule.interval_ms
            missed = min((now_ms - rule.evaluated_ms) // step, MAX_CATCH_UP)
            if missed > 1 and whole is None:  # else what is not stored yet would look like silence
                whole = await self._opener.stored_to(dict(self._samples.positions))
            if missed > 1 and whole:
                await self._catch_up_with(rule, now_ms - step, missed - 1)
            async with self._lock:
                self._engine.caught_up(rule, self._clock.now_ms())
            if self._new.get(rule.id) is rule:
                del self._new[rule.id]

    async def _catch_up_with(self, rule: ActiveRule, end_ms: int, times: int) -> None:
        step = rule.interval_ms
        query = Query(rule.compiled.text, rule.compiled.value, end_ms - (times - 1) * step, end_ms, step)
        try:
            found = await answer(self._reader.of(rule.tenant), query, asyncio.to_thread)
            if self._engine.rules.get(rule.id) is rule:
                changes = self._engine.judge(rule, Result(_vector(found), found.times))
                await self._settle([Evaluated(rule, changes)])
        except StoreUnavailable:
            raise
        except (QueryError, ProblemError, EvaluationError) as e:
            log.warning("what a rule missed is not known", rule=rule.id, missed=times, reason=reason_of(e))

    async def _withdraw(self, rule: ActiveRule, reason: Reason) -> None:
        """All of its alerts are over, whoever moved them meanwhile. Raises StoreUnavailable."""
        while rule.alerts and rule.id not in self.refused:
            now_ms = self._clock.now_ms()
            changes = [
                Change(one.series, one, *withdraw(one, rule.compiled, reason, now_ms)) for one in rule.alerts.values()
            ]
            for some in _batches([Evaluated(rule, changes)]):
                await self._store(some)

    async def _settle(self, done: Sequence[Evaluated]) -> None:
        """Store what moved, or when MongoDB is away remember it; the rest is in memory, and kept from time to time."""
        moved: list[Evaluated] = []
        for one in done:
            if any(change.transitions for change in one.changes):
                moved.append(one)
            else:
                self._unkept.update((one.rule.id, change.labels) for change in one.changes)
                await self._accept([one])
        for some in _batches(moved):
            try:
                if not self._unstored:
                    await self._store(some)
                    continue
            except _PASSING as e:
                log.warning("transitions wait for MongoDB", reason=reason_of(e))
            await self._accept(some)
            self._unstored.append(some)

    @property
    def _may_evaluate(self) -> bool:
        waiting = sum(len(change.transitions) for some in self._unstored for one in some for change in one.changes)
        return self.live and waiting < MAX_UNSTORED

    async def _store_unstored(self) -> None:
        """Raises StoreUnavailable."""
        while self._unstored:
            await self._store(self._unstored[0], accepted=True)
            del self._unstored[0]

    async def _store(self, evaluated: Sequence[Evaluated], *, accepted: bool = False) -> None:
        """All of it in one transaction; rule by rule when somebody else moved an alert of one of them. Raises
        StoreUnavailable, and it may be stored all the same."""
        changes = [(one.rule, change) for one in evaluated for change in one.changes]
        transitions = [transition for _, change in changes for transition in change.transitions]
        moves = [move for rule, change in changes if (move := _move(rule, change)) is not None]
        try:
            while len(transitions) > MAX_TRANSITIONS:  # of one alert, that nobody looked at for long
                await self._dispatcher.dispatch(transitions[:MAX_TRANSITIONS])
                transitions = transitions[MAX_TRANSITIONS:]
            if transitions or moves:
                await self._dispatcher.dispatch(transitions, lambda session: self._states.write(moves, session))
        except AlertMoved:
            self._metrics.moved.inc()
            if len(evaluated) > 1:
                for one in evaluated:
                    await self._store([one], accepted=accepted)
            else:
                await self._read_again(evaluated[0].rule, [change.labels for change in evaluated[0].changes])
            return
        self._metrics.transitions.inc(len(transitions))
        if not accepted:
            await self._accept(evaluated)

    async def _accept(self, evaluated: Iterable[Evaluated]) -> None:
        async with self._lock:
            for one in evaluated:
                self._engine.accept(one.rule, one.changes)

    async def _read_again(self, rule: ActiveRule, series: Iterable[Labels]) -> None:
        """Somebody moved these alerts, or may have."""
        fingerprints = {labels: alerts.fingerprint(rule.tenant, rule.id, labels) for labels in series}
        stored = {found.fingerprint: found for found in await self._states.some(list(fingerprints.values()))}
        now: dict[Labels, Alert | None] = {}
        for labels, fingerprint in fingerprints.items():
            found, mine = stored.get(fingerprint), rule.alerts.get(labels)
            if found is None or mine is None or (found.starts_at, found.sequence) != (mine.starts_at, mine.sequence):
                try:
                    now[labels] = None if found is None else alerts.decode(found.data)
                except UnknownFormError as e:
                    await self._refuse(rule.compiled, str(e))
                    return
                self._unkept.discard((rule.id, labels))
        async with self._lock:
            self._engine.replace(rule, now, self._clock.now_ms())

    async def _keep(self) -> None:
        """Store what changed without a transition, so that a restart goes on from here. An alert that somebody moved
        (acknowledged it, resolved it by hand) is read again."""
        unkept: dict[str, list[Labels]] = {}
        for rule_id, labels in self._unkept:
            rule = self._engine.rules.get(rule_id)
            if rule is not None and labels in rule.alerts:
                unkept.setdefault(rule_id, []).append(labels)
        kept = [(self._engine.rules[rule_id], labels) for rule_id, some in unkept.items() for labels in some]
        alive = [_stored(rule.compiled, rule.alerts[labels]) for rule, labels in kept]
        self._unkept.clear()
        try:
            with mongo.retryable("keeping alerts"):
                await self._states.write([Move(one, one) for one in alive])
        except AlertMoved:
            for rule_id, some in unkept.items():
                if rule_id in self._engine.rules:
                    await self._read_again(self._engine.rules[rule_id], some)
        except Retryable:
            self._unkept.update((rule_id, labels) for rule_id, some in unkept.items() for labels in some)
            raise
        oldest: dict[int, int] = {}
        for rule in self._engine.rules.values():
            if rule.evaluated_ms:
                partition = self._partition_of[rule.id]
                oldest[partition] = min(oldest.get(partition, rule.evaluated_ms), rule.evaluated_ms)
        await self._checkpoints.keep(oldest)
        self._kept_at = self._clock.monotonic()


def _batches(evaluated: Iterable[Evaluated]) -> Iterator[list[Evaluated]]:
    """As many as one transaction holds, about; what happens to one alert is in one of them."""
    batch: list[Evaluated] = []
    count = 0
    for one in evaluated:
        for change in one.changes:
            if count and count + len(change.transitions) > DISPATCHED:
                yield batch
                batch, count = [], 0
            if not batch or batch[-1].rule is not one.rule:
                batch.append(Evaluated(one.rule, []))
            batch[-1].changes.append(change)
            count += max(1, len(change.transitions))
    if batch:
        yield batch


def _alerts(rule: Rule) -> bool:
    return rule.enabled and rule.kind is not RuleKind.RECORDING


def _move(rule: ActiveRule, change: Change) -> Move | None:
    """What changed in memory only is no other step: the stored alert has the same start and sequence. One that is over
    and forgotten here is still to be shown."""
    before, after = change.before, change.after
    if after is None and before is not None and change.transitions:
        last = change.transitions[-1]
        if last.to_state is AlertState.RESOLVED:
            after = replace(before, state=last.to_state, ends_at=last.timestamp, sequence=last.sequence)
        elif before.ends_at is not None:
            after = replace(before, state=AlertState.RESOLVED, sequence=last.sequence)
    if after is None and (before is None or before.state in (AlertState.RESOLVED, AlertState.INACTIVE)):
        return None
    return Move(
        None if before is None else _stored(rule.compiled, before),
        None if after is None else _stored(rule.compiled, after),
    )


def _vector(found: Answer) -> Vector:
    if not isinstance(found.value, Vector):
        raise EvaluationError("the expression gives no series over time")
    return found.value


def _compiled(rule: Rule) -> CompiledRule | None:
    try:
        return compiled(rule)
    except InvalidRuleError as e:  # written by another version
        log.error("a rule cannot be read", rule=rule.id, reason=str(e))
        return None


def _stored(rule: CompiledRule, alert: Alert) -> StoredAlert:
    return StoredAlert(
        fingerprint=alert.fingerprint,
        tenant=TenantId(alert.tenant),
        rule_id=alert.rule_id,
        state=alert.state.value,
        severity=alert.severity.value,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        sequence=alert.sequence,
        data=alerts.encode(alert),
        labels=tuple(labels_of(rule, alert).items()),
    )
