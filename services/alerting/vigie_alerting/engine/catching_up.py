"""What happened to the alerts of rules while nobody evaluated them: an episode that began and ended meanwhile is told.

Most of it is found out from the windows in memory, which reach back some time beyond what the rules look at; what is
older than that, from the stored ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from vigie_contracts.alerts import Condition, NoData
from vigie_query.errors import QueryError
from vigie_query.promql.labels import without_name
from vigie_query.promql.queries import Answer, Check, Query, answer
from vigie_query.promql.samples import Vector
from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError, StoreUnavailable, reason_of
from vigie_storage.promql.reader import PromqlReader

from vigie_alerting.engine.active_rule import ActiveRule
from vigie_alerting.engine.bank import Ints
from vigie_alerting.engine.engine import TOGETHER, Engine, Evaluated, parts_of
from vigie_alerting.engine.evaluation import Change, EvaluationError, Result, any_active, evaluate

log = logging.get(__name__)

MAX_CATCH_UP: Final = 2_000
"""Evaluations of one rule for the time in which nobody evaluated it."""
AT_ONCE_S: Final = 0.05
"""Samples wait for so long while rules are evaluated, about."""
Settle: TypeAlias = Callable[[Sequence[Evaluated]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Missed:
    """What one rule missed."""

    rule: ActiveRule
    times: Ints
    """Of the evaluations; before them when it was evaluated last, for rules to which silence is a reason to fire."""

    @property
    def seeds(self) -> bool:
        """Whether what had values at the first of the times is to be known, and no more is made of it."""
        return misses_silence(self.rule)

    @classmethod
    def of(cls, rule: ActiveRule, now_ms: int) -> Missed | None:
        """The last step is left to the evaluation that comes next. None: it missed nothing."""
        step = rule.interval_ms
        count = (now_ms - rule.evaluated_ms) // step - 1
        numbers = np.arange(max(1, count - MAX_CATCH_UP + 1), count + 1)
        if misses_silence(rule):
            numbers = np.concatenate([numbers[:1] - 1 if len(numbers) else [0], numbers])
        return cls(rule, rule.evaluated_ms + numbers * step) if len(numbers) else None

    def judged(self, engine: Engine, found: Vector) -> list[Change]:
        """Raises EvaluationError."""
        if self.seeds:
            self.rule.known |= {without_name(found.labels[row]) for row in np.flatnonzero(found.present[:, 0]).tolist()}
            found = Vector(found.labels, found.values[:, 1:], found.floats[:, 1:])
        times = self.times[1:] if self.seeds else self.times
        return engine.judge(self.rule, Result(found, times)) if len(times) else []


def misses_silence(rule: ActiveRule) -> bool:
    """Whether it must know what had values before, to which silence is a reason to fire."""
    return rule.compiled.rule.no_data is NoData.ALERT and rule.compiled.compares


class CatchUp:
    """Evaluates rules for the time in which nobody did."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, settle: Settle, stored: Callable[[], Awaitable[bool]], *,
        reader: PromqlReader, clock: Clock,
    ) -> None:  # fmt: skip
        """`settle` stores what that changes. `stored` tells whether all that was read of the log is stored."""
        self._engine, self._lock, self._settle, self._stored = engine, lock, settle, stored
        self._reader, self._clock = reader, clock

    async def run(self, rules: Sequence[ActiveRule]) -> None:
        """Returns when they are evaluated as all others, but for those that are not open. Raises Retryable,
        StoreUnavailable: some may be then."""
        from_store = await self.run_from_memory(rules)
        whole = bool(from_store) and await self._stored()  # else what is not stored yet would look like silence
        for rule in from_store:
            if whole:
                await self._from_store(rule)
            await self._caught_up([rule])

    async def run_from_memory(self, rules: Sequence[ActiveRule]) -> list[ActiveRule]:
        """The same, but for those that missed what is not in memory: these are left."""
        # Those that are looked at in a moment first; then such as may be evaluated together.
        left = sorted(rules, key=lambda rule: (not rule.plain, id(rule.family), rule.evaluated_ms))
        from_store: list[ActiveRule] = []
        while left:
            async with self._lock:
                looked_at, older, done = await asyncio.to_thread(self._from_memory, left)
            left = left[looked_at:]
            from_store += older
            await self._settle(done)  # before they are evaluated, as of later
            await self._caught_up([one.rule for one in done])
        return from_store

    async def _caught_up(self, rules: Sequence[ActiveRule]) -> None:
        async with self._lock:
            for rule in rules:
                self._engine.caught_up(rule, self._clock.now_ms())

    def _from_memory(self, rules: Sequence[ActiveRule]) -> tuple[int, list[ActiveRule], list[Evaluated]]:
        """How many were looked at; those of them that missed what is not in memory; and what the others missed."""
        until = self._engine.timer() + AT_ONCE_S
        now_ms = self._clock.now_ms()
        self._engine.memory.advance(now_ms)
        older: list[ActiveRule] = []
        done: list[Evaluated] = []
        for place in range(0, len(rules), TOGETHER):
            if place and self._engine.timer() > until:
                return place, older, done
            some = [rule for rule in rules[place : place + TOGETHER] if self._waits(rule)]
            held: list[Missed] = []
            for rule in some:
                missed = Missed.of(rule, now_ms)
                if missed is None:
                    done.append(Evaluated(rule, []))
                elif self._reaches(missed):
                    held.append(missed)
                else:
                    older.append(rule)
            quiet = self._quiet(held)
            done += [Evaluated(missed.rule, []) for missed in held if missed.rule.id in quiet]
            done += self._judged([missed for missed in held if missed.rule.id not in quiet], now_ms)
        return len(rules), older, done

    def _waits(self, rule: ActiveRule) -> bool:
        """Whether it is still a rule of this process, that looks at nothing but what is open."""
        memory = self._engine.memory
        there = rule.waiting and self._engine.rules.get(rule.id) is rule
        return there and all(memory.is_open(watch) for _, watch in rule.inputs)

    def _reaches(self, missed: Missed) -> bool:
        """Whether all that it would have looked at is in memory."""
        first_ms, memory = int(missed.times[0]), self._engine.memory
        return all(
            first_ms + horizon.wanted.first_ms > memory.oldest_ms(horizon.depth) for horizon, _ in missed.rule.inputs
        )

    def _quiet(self, held: Sequence[Missed]) -> set[str]:
        """Most rules compare with a threshold that nothing reached in all the time that is in memory: their ids."""
        rules = [missed.rule for missed in held if missed.rule.may_be_quiet]
        rules = [rule for rule in rules if rule.compiled.condition is not Condition.EQUAL]
        found = self._engine.memory.extremes([rule.inputs[0][1] for rule in rules])
        return {
            rule.id
            for rule, values in zip(rules, found, strict=True)
            if values is not None and not any_active(rule.compiled, values[np.isfinite(values)])
        }

    def _judged(self, held: Sequence[Missed], now_ms: int) -> list[Evaluated]:
        """Those that missed the same times, and are of one family, together."""
        by_times: dict[bytes, dict[str, Missed]] = {}
        for missed in held:
            by_times.setdefault(missed.times.tobytes(), {})[missed.rule.id] = missed
        done: list[Evaluated] = []
        for alike in by_times.values():
            for part in parts_of(missed.rule for missed in alike.values()):
                some = [alike[rule.id] for rule in part]
                values = self._values_together(some, now_ms) if len(some) > 1 else [None]
                done += [
                    Evaluated(one.rule, self._changes(one, now_ms, own)) for one, own in zip(some, values, strict=True)
                ]
        return done

    def _values_together(self, some: Sequence[Missed], now_ms: int) -> Sequence[Vector | None]:
        try:
            return self._engine.values_together([one.rule for one in some], some[0].times, now_ms)
        except Exception:  # noqa: BLE001 - each of them will tell what is wrong with it
            return [None] * len(some)

    def _changes(self, missed: Missed, now_ms: int, values: Vector | None) -> list[Change]:
        """`values`: what the rule's expression gave, if that is known."""
        rule = missed.rule
        try:
            return missed.judged(self._engine, self._values(missed, now_ms) if values is None else values)
        except Exception as e:  # noqa: BLE001 - also a bug: that of one rule must not end the others
            _unknown(rule, e)
            return []

    def _values(self, missed: Missed, now_ms: int) -> Vector:
        memory = self._engine.memory
        data = {
            horizon.wanted.selector: memory.read(watch, horizon, now_ms, int(missed.times[0]))
            for horizon, watch in missed.rule.inputs
        }
        return evaluate(missed.rule.compiled.value, data, missed.times)

    async def _from_store(self, rule: ActiveRule) -> None:
        missed = Missed.of(rule, self._clock.now_ms())
        if missed is None or not self._waits(rule):
            return
        start, end = int(missed.times[0]), int(missed.times[-1])
        query = Query(rule.compiled.text, rule.compiled.value, start, end, rule.interval_ms)
        try:
            found = await answer(self._reader.of(rule.tenant), query, _in_thread)
            if not isinstance(found.value, Vector):
                raise EvaluationError("the expression gives no series over time")
            changes = await asyncio.to_thread(missed.judged, self._engine, found.value)
            if self._engine.rules.get(rule.id) is rule:
                await self._settle([Evaluated(rule, changes)])
        except StoreUnavailable:
            raise
        except (QueryError, ProblemError, EvaluationError) as e:
            _unknown(rule, e)


def _unknown(rule: ActiveRule, error: Exception) -> None:
    log.warning("what a rule missed is not known", rule=rule.id, reason=reason_of(error))


async def _in_thread(work: Callable[[Check], Answer]) -> Answer:
    """Without a limit of time: what is asked is bounded."""
    return await asyncio.to_thread(work, lambda: None)
