"""What evaluations changed, stored before it is sent: state, transitions and notifications together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Reason
from vigie_contracts.series import Labels
from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Retryable, StoreUnavailable
from vigie_storage import mongo
from vigie_storage.alerts.checkpoints import Checkpoints
from vigie_storage.alerts.states import AlertMoved, AlertStates, Move

from vigie_alerting import alert as alerts
from vigie_alerting.alert import Alert, UnknownFormError
from vigie_alerting.alerts.stored import stored
from vigie_alerting.dispatch import MAX_TRANSITIONS, Dispatcher
from vigie_alerting.engine.active_rule import ActiveRule
from vigie_alerting.engine.engine import Engine, Evaluated
from vigie_alerting.engine.evaluation import Change
from vigie_alerting.engine.metrics import EngineMetrics
from vigie_alerting.lifecycle import withdraw

log = logging.get(__name__)

DISPATCHED: Final = 200
"""Transitions in one transaction, about."""
MAX_UNSTORED: Final = 10_000
"""Transitions that wait for MongoDB; nothing is evaluated while there are more."""
PASSING: Final = (Retryable, StoreUnavailable)


@dataclass(frozen=True, slots=True)
class Stores:
    """Where alerts are kept."""

    states: AlertStates
    dispatcher: Dispatcher
    checkpoints: Checkpoints


class Storing:
    """Moves alerts, in memory and in MongoDB. Where somebody else moved one of them, what is stored counts."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, stores: Stores, *, clock: Clock, metrics: EngineMetrics
    ) -> None:
        """`lock` keeps the engine to one at a time."""
        self._engine, self._lock, self._clock, self._metrics = engine, lock, clock, metrics
        self._states, self._dispatcher, self._checkpoints = stores.states, stores.dispatcher, stores.checkpoints
        self._unkept: set[tuple[str, Labels]] = set()
        """Alerts that changed without a transition."""
        self._unstored: deque[list[Evaluated]] = deque()
        """Accepted, and not stored yet. In their order."""
        self.waiting = 0
        """Transitions that are not stored yet."""
        self._in_order = asyncio.Lock()
        """Of whoever stores the first of them."""
        self.refused: dict[str, str] = {}
        """Rules that cannot be evaluated, and why."""

    async def withdraw(self, rule: ActiveRule, reason: Reason) -> None:
        """All of its alerts are over, whoever moved them meanwhile; what was accepted of it before is stored before.
        Raises StoreUnavailable."""
        rule.ending = True
        await self.store_unstored()
        while rule.alerts and rule.id not in self.refused:
            now_ms = self._clock.now_ms()
            changes = [
                Change(one.series, one, *withdraw(one, rule.compiled, reason, now_ms)) for one in rule.alerts.values()
            ]
            for some in _batches([Evaluated(rule, changes)]):
                await self._store(some)

    async def settle(self, done: Sequence[Evaluated]) -> None:
        """Make it so in memory. What moved waits for `store_unstored`; the rest is kept from time to time. Nothing is
        taken of alerts that somebody else moved meanwhile: their rules are due again. Nor of rules that changed or went
        meanwhile: those of now know nothing of such alerts, and would never end them."""
        async with self._lock:
            rules = self._engine.rules
            done = [one for one in done if rules.get(one.rule.id) is one.rule and not one.rule.ending]
            for one in done:
                one.changes[:] = _going_on(one)
                self._engine.accept(one.rule, one.changes)
        moved: list[Evaluated] = []
        for one in done:
            if any(change.transitions for change in one.changes):
                moved.append(one)
            else:
                self._unkept.update((one.rule.id, change.labels) for change in one.changes)
        for some in _batches(moved):
            self._unstored.append(some)
            self.waiting += _transitions(some)

    async def store_unstored(self) -> None:
        """In its order, whoever asks. Raises StoreUnavailable."""
        async with self._in_order:
            while self._unstored:
                await self._store(self._unstored[0], accepted=True)
                self.waiting -= _transitions(self._unstored.popleft())

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
                [one] = evaluated
                before = {change.labels: change.before for change in reversed(one.changes)} if accepted else None
                await self._read_again(one.rule, [change.labels for change in one.changes], before)
            return
        if not accepted:
            async with self._lock:
                for one in evaluated:
                    self._engine.accept(one.rule, one.changes)

    async def _read_again(
        self, rule: ActiveRule, series: Iterable[Labels], before: Mapping[Labels, Alert | None] | None = None
    ) -> None:
        """Somebody moved these alerts, or may have. `before`: what they were before changes that were accepted and
        cannot be stored, which are taken back with all that was built on them."""
        fingerprints = {labels: alerts.fingerprint(rule.tenant, rule.id, labels) for labels in series}
        there = {found.fingerprint: found for found in await self._states.some(list(fingerprints.values()))}
        now: dict[Labels, Alert | None] = {}
        for labels, fingerprint in fingerprints.items():
            found, mine = there.get(fingerprint), (rule.alerts if before is None else before).get(labels)
            if found is None or mine is None or (found.starts_at, found.sequence) != (mine.starts_at, mine.sequence):
                try:
                    now[labels] = None if found is None else alerts.decode(found.data)
                except UnknownFormError as e:
                    log.error("an alert cannot be read", rule=rule.id, reason=str(e))
                    self.refused[rule.id] = str(e)
                    async with self._lock:
                        self._engine.remove(rule.id)
                    return
                self._unkept.discard((rule.id, labels))
            elif before is not None:
                now[labels] = mine
        async with self._lock:
            self._engine.replace(rule, now, self._clock.now_ms())
            if before is not None:
                self._forget_unstored(rule, before)

    def _forget_unstored(self, rule: ActiveRule, series: Container[Labels]) -> None:
        """But for what is being stored now."""
        for some in islice(self._unstored, 1, None):
            for one in some:
                if one.rule is rule:
                    one.changes[:] = [change for change in one.changes if change.labels not in series]
        self.waiting = sum(map(_transitions, self._unstored))

    async def keep(self, partition_of: Mapping[str, int]) -> None:
        """Store what changed without a transition, so that a restart goes on from here. An alert that somebody moved
        (acknowledged it, resolved it by hand) is read again."""
        until = self._evaluated_until(partition_of)  # of now: more is evaluated while this is stored
        unkept: dict[str, list[Labels]] = {}
        for rule_id, labels in self._unkept:
            rule = self._engine.rules.get(rule_id)
            if rule is not None and labels in rule.alerts:
                unkept.setdefault(rule_id, []).append(labels)
        kept = [(self._engine.rules[rule_id], labels) for rule_id, some in unkept.items() for labels in some]
        alive = [stored(rule.alerts[labels], rule.compiled) for rule, labels in kept]
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
        await self._checkpoints.keep(until)

    def _evaluated_until(self, partition_of: Mapping[str, int]) -> dict[int, int]:
        """By partition, of those of which everything that came of it is stored."""
        if self._unstored:
            return {}
        until: dict[int, int] = {}
        for rule in self._engine.rules.values():
            if rule.evaluated_ms and not rule.records and rule.id in partition_of:
                partition = partition_of[rule.id]
                # What moves is still to be accepted.
                until[partition] = min(until.get(partition, rule.evaluated_ms), 0 if rule.moving else rule.evaluated_ms)
        return {partition: at for partition, at in until.items() if at}


def _transitions(evaluated: Iterable[Evaluated]) -> int:
    return sum(len(change.transitions) for one in evaluated for change in one.changes)


def _going_on(evaluated: Evaluated) -> list[Change]:
    """The changes that begin where the alerts are now."""
    now, going_on = dict(evaluated.rule.alerts), list[Change]()
    for change in evaluated.changes:
        if now.get(change.labels) != change.before:
            continue
        going_on.append(change)
        if change.after is None:
            now.pop(change.labels, None)
        else:
            now[change.labels] = change.after
    return going_on


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
        None if before is None else stored(before, rule.compiled),
        None if after is None else stored(after, rule.compiled),
    )
