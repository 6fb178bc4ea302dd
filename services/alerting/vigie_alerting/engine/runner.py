"""The engine at work: rules come and go, what is due is evaluated, and what that changes is stored before it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Reason, Rule
from vigie_contracts.series import Labels
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryError
from vigie_query.promql.queries import Answer, Query, answer
from vigie_query.promql.samples import Vector
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Retryable, StoreUnavailable, reason_of
from vigie_storage.alerts.checkpoints import Checkpoints
from vigie_storage.alerts.states import AlertMoved, AlertStates, Move, StoredAlert
from vigie_storage.promql.reader import PromqlReader

from vigie_alerting import alert as alerts
from vigie_alerting.alert import Alert, UnknownFormError
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.engine.engine import ActiveRule, Engine, Evaluated, run
from vigie_alerting.engine.evaluation import Change, EvaluationError, Result
from vigie_alerting.engine.horizon import HorizonError
from vigie_alerting.engine.metrics import EngineMetrics
from vigie_alerting.engine.opening import Opener
from vigie_alerting.engine.rules_handler import RulesHandler
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.lifecycle import withdraw
from vigie_alerting.rules.compiling import CompiledRule, compiled
from vigie_alerting.rules.problems import InvalidRuleError
from vigie_alerting.transitions import labels_of

log = logging.get(__name__)

BUDGET_S: Final = 0.1
"""Evaluations are interrupted after so long, for samples to be read."""
IDLE_S: Final = 0.5
KEEP_S: Final = 10.0
"""How often what changed without a transition is stored, and up to when rules were evaluated."""
DISPATCHED: Final = 200
"""Transitions in one transaction, about."""
MAX_CATCH_UP: Final = 2_000
"""Evaluations of one rule for the time in which nobody evaluated it."""
FIRST_RULES_S: Final = 15.0
"""How long reading the rules may take before the samples are read all the same."""
_RETRY: Final = Backoff(0.2, 5.0)


class Runner:
    """One per process. `run` until `stop`."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, rules: RulesHandler, samples: SamplesHandler, opener: Opener, *,
        rules_are_read: Callable[[], bool], states: AlertStates, dispatcher: Dispatcher, checkpoints: Checkpoints,
        reader: PromqlReader, clock: Clock, metrics: EngineMetrics,
    ) -> None:  # fmt: skip
        """`rules_are_read`: whether the log of rules was read to its end."""
        self._rules_are_read = rules_are_read
        self._engine, self._lock, self._rules, self._samples, self._opener = engine, lock, rules, samples, opener
        self._states, self._dispatcher, self._checkpoints = states, dispatcher, checkpoints
        self._reader, self._clock, self._metrics = reader, clock, metrics
        self._partition_of: dict[str, int] = {}
        self._new: list[ActiveRule] = []
        """Rules that came, and were not evaluated yet."""
        self._unkept: set[tuple[str, Labels]] = set()
        """Alerts that changed without a transition."""
        self._kept_at = 0.0
        self.refused: dict[str, str] = {}
        """Rules that cannot be evaluated, and why."""
        self.opened = asyncio.Event()
        """Set when the past of the first rules is loaded, or there are none: then the samples may be read."""
        self._stopping = False

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stopping = True
        self._samples.arrived.set()
        self._rules.arrived.set()

    async def run(self) -> None:
        """Work until stopped. What passes by itself is waited out."""
        await self._first_rules()
        failures = 0
        while not self._stopping:
            try:
                await self._turn()
                failures = 0
            except (Retryable, StoreUnavailable) as e:
                failures += 1
                log.warning("rules are not evaluated for a moment", reason=reason_of(e))
                await self._clock.sleep(_RETRY.pause_s(failures))
        with suppress(Retryable, StoreUnavailable):
            await self._keep()

    async def _first_rules(self) -> None:
        """Those that are there get their past together, before the first sample is read."""
        until = self._clock.monotonic() + FIRST_RULES_S
        while not self._stopping and not self._rules_are_read() and self._clock.monotonic() < until:
            await self._clock.sleep(0.05)

    async def _turn(self) -> None:
        await self._take_changes()
        if closed := self._engine.closed():
            await self._opener.open(closed)
            self._engine.opened(closed, self._clock.now_ms())
        await self._catch_up()
        await self._opener.begin()
        self.opened.set()
        now_ms = self._clock.now_ms()
        self._samples.arrived.clear()
        began = self._clock.monotonic()
        async with self._lock:
            done = await asyncio.to_thread(run, self._engine, now_ms, BUDGET_S)
        self._metrics.round.observe(self._clock.monotonic() - began)
        await self._settle(done)
        self._metrics.rules.set(len(self._engine.rules))
        self._metrics.series.set(len(self._engine.memory))
        if self._clock.monotonic() - self._kept_at >= KEEP_S:
            await self._keep()
        await self._wait()

    async def _wait(self) -> None:
        """Until something is due, or came."""
        next_ms = self._engine.next_ms()
        rest = IDLE_S if next_ms is None else min(IDLE_S, (next_ms - self._clock.now_ms()) / 1000)
        if rest <= 0 or self._rules.arrived.is_set():
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(rest):
                await self._samples.arrived.wait()

    async def _take_changes(self) -> None:
        changes = self._rules.changes()
        if not changes:
            return
        try:
            await self._apply(changes)
        except (Retryable, StoreUnavailable):
            self._rules.put_back(changes)
            raise

    async def _apply(self, changes: Mapping[str, tuple[int, Rule | None]]) -> None:
        """Rules that are new, changed, or gone."""
        fresh: dict[str, CompiledRule] = {}
        for rule_id, (partition, rule) in changes.items():
            self._partition_of[rule_id] = partition
            self.refused.pop(rule_id, None)
            if rule is not None and rule.enabled and (made := _compiled(rule)):
                fresh[rule_id] = made
        stored = await self._stored(fresh)
        for rule_id, (partition, _) in changes.items():
            owned = partition in self._rules.partitions
            before = self._engine.rules.get(rule_id)
            if rule_id in fresh:
                await self._put(fresh[rule_id], before, stored.get(rule_id, []))
            elif before is not None and owned:
                await self._withdraw(before, before.alerts.values(), Reason.RULE_REMOVED)
            async with self._lock:
                if rule_id not in fresh:
                    self._engine.remove(rule_id)

    async def _stored(self, rules: Iterable[str]) -> dict[str, list[Alert]]:
        found: dict[str, list[Alert]] = {}
        for one in await self._states.of_rules(rules):
            with suppress(UnknownFormError):
                found.setdefault(one.rule_id, []).append(alerts.decode(one.data))
        return found

    async def _put(self, made: CompiledRule, before: ActiveRule | None, stored: Sequence[Alert]) -> None:
        """A rule that asks for something else has other alerts: those of before are over."""
        known = list(before.alerts.values()) if before is not None else list(stored)
        if before is not None and before.compiled.text != made.text:
            await self._withdraw(before, known, Reason.RULE_CHANGED)
            known = []
        try:
            async with self._lock:
                active = self._engine.put(made, known)
        except HorizonError as e:
            self.refused[made.rule.id] = str(e)
            log.warning("a rule cannot be evaluated", rule=made.rule.id, reason=str(e))
            return
        if before is None:
            active.evaluated_ms = await self._checkpoints.of(self._partition_of[active.id]) or 0
            self._new.append(active)

    async def _catch_up(self) -> None:
        """What happened to the alerts of new rules while nobody evaluated them, by the stored windows: an episode that
        began and ended meanwhile is told."""
        while self._new:
            rule = self._new[-1]
            now_ms, step = self._clock.now_ms(), rule.interval_ms
            missed = min((now_ms - rule.evaluated_ms) // step, MAX_CATCH_UP) if rule.evaluated_ms else 0
            if missed > 1 and self._engine.rules.get(rule.id) is rule:
                end_ms = now_ms - step
                query = Query(rule.compiled.text, rule.compiled.value, end_ms - (missed - 1) * step, end_ms, step)
                try:
                    found = await answer(self._reader.of(rule.tenant), query, asyncio.to_thread)
                    changes = self._engine.judge(rule, Result(_vector(found), found.times))
                    await self._settle([Evaluated(rule, changes)])
                except (QueryError, EvaluationError) as e:
                    log.warning("what a rule missed is not known", rule=rule.id, missed=missed, reason=reason_of(e))
            self._new.pop()

    async def _withdraw(self, rule: ActiveRule, gone: Iterable[Alert], reason: Reason) -> None:
        now_ms = self._clock.now_ms()
        changes: list[Change] = []
        for one in gone:
            after, made = withdraw(one, rule.compiled, reason, now_ms)
            changes.append(Change(one.series, one, after, made))
        await self._store([Evaluated(rule, changes)])

    async def _settle(self, done: Sequence[Evaluated]) -> None:
        """Store what moved; the rest is in memory, and kept from time to time."""
        self._metrics.evaluations.inc(len(done))
        moved: list[Evaluated] = []
        count = 0
        for one in done:
            if not any(change.transitions for change in one.changes):
                self._accept(one)
                continue
            moved.append(one)
            count += sum(len(change.transitions) for change in one.changes)
            if count >= DISPATCHED:
                await self._store(moved)
                moved, count = [], 0
        if moved:
            await self._store(moved)

    async def _store(self, evaluated: Sequence[Evaluated]) -> None:
        """All of it in one transaction; rule by rule when somebody else moved an alert of one of them."""
        changes = [(one.rule, change) for one in evaluated for change in one.changes]
        transitions = [transition for _, change in changes for transition in change.transitions]
        moves = [move for rule, change in changes if (move := _move(rule, change)) is not None]
        try:
            await self._dispatcher.dispatch(transitions, lambda session: self._states.write(moves, session))
        except AlertMoved:
            self._metrics.moved.inc()
            if len(evaluated) > 1:
                for one in evaluated:
                    await self._store([one])
                return
            await self._read_again(evaluated[0])
            return
        self._metrics.transitions.inc(len(transitions))
        for one in evaluated:
            self._unkept.difference_update((one.rule.id, change.labels) for change in one.changes)
            self._engine.accept(one.rule, one.changes)

    async def _read_again(self, one: Evaluated) -> None:
        fingerprints = {
            change.labels: alerts.fingerprint(one.rule.tenant, one.rule.id, change.labels) for change in one.changes
        }
        stored = {found.fingerprint: found for found in await self._states.some(list(fingerprints.values()))}
        now: dict[Labels, Alert | None] = {}
        for labels, fingerprint in fingerprints.items():
            found = stored.get(fingerprint)
            now[labels] = None if found is None else alerts.decode(found.data)
            self._unkept.discard((one.rule.id, labels))
        self._engine.replace(one.rule, now, self._clock.now_ms())

    def _accept(self, one: Evaluated) -> None:
        self._unkept.update((one.rule.id, change.labels) for change in one.changes)
        self._engine.accept(one.rule, one.changes)

    async def _keep(self) -> None:
        """Store what changed without a transition, so that a restart goes on from here."""
        self._kept_at = self._clock.monotonic()
        unkept, self._unkept = self._unkept, set()
        moves: list[Move] = []
        for rule_id, labels in unkept:
            rule = self._engine.rules.get(rule_id)
            alert = rule.alerts.get(labels) if rule is not None else None
            if rule is not None and alert is not None:
                moves.append(Move(_stored(rule.compiled, alert), _stored(rule.compiled, alert)))
        with suppress(AlertMoved):  # whoever moved it stored what it is
            await self._states.write(moves)
        oldest: dict[int, int] = {}
        for rule in self._engine.rules.values():
            if rule.evaluated_ms and rule not in self._new:
                partition = self._partition_of[rule.id]
                oldest[partition] = min(oldest.get(partition, rule.evaluated_ms), rule.evaluated_ms)
        await self._checkpoints.keep(oldest)


def _move(rule: ActiveRule, change: Change) -> Move | None:
    """What changed in memory only is no other step: the stored alert has the same start and sequence."""
    before = None if change.before is None else _stored(rule.compiled, change.before)
    after = change.after
    if after is None and change.before is not None and change.transitions:
        last = change.transitions[-1]
        if last.to_state is AlertState.RESOLVED:  # forgotten by the engine, and still to be shown
            after = replace(change.before, state=last.to_state, ends_at=last.timestamp, sequence=last.sequence)
    if before is None and after is None:
        return None
    return Move(before, None if after is None else _stored(rule.compiled, after))


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
