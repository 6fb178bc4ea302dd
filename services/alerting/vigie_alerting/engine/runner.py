"""The engine at work: rules come and go, what is due is evaluated, and what that changes is stored before it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from vigie_query.errors import QueryError
from vigie_query.promql.queries import Answer, Check, Query, answer
from vigie_query.promql.samples import Vector
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError, StoreUnavailable, VigieError, reason_of
from vigie_storage.promql.reader import PromqlReader

from vigie_alerting.engine.engine import ActiveRule, Engine, Evaluated, run
from vigie_alerting.engine.evaluation import EvaluationError, Result
from vigie_alerting.engine.metrics import EngineMetrics
from vigie_alerting.engine.opening import Opener
from vigie_alerting.engine.roster import Roster
from vigie_alerting.engine.rules_handler import RulesHandler
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.engine.storing import MAX_UNSTORED, PASSING, Storing

log = logging.get(__name__)

BUDGET_S: Final = 0.1
"""Evaluations are interrupted after so long, for samples to be read."""
IDLE_S: Final = 0.5
KEEP_S: Final = 10.0
"""How often what changed without a transition is stored, and up to when rules were evaluated."""
MAX_CATCH_UP: Final = 2_000
"""Evaluations of one rule for the time in which nobody evaluated it."""
FIRST_RULES_S: Final = 15.0
"""How long reading the rules may take before the samples are read all the same."""
BACK_MS: Final = 10_000
"""The clock may go back by so much, and nothing is evaluated until it is where it was. By more, and the process ends:
the next one begins with what is stored."""
_POLL_S: Final = 0.05
_RETRY: Final = Backoff(0.2, 5.0)


class ClockWentBackError(VigieError):
    """What is in memory is of a time that is yet to come."""

    def __init__(self, by_ms: int) -> None:
        super().__init__(f"the clock went back by {by_ms / 1000:.0f} s: start again, and set it by NTP")


class Runner:
    """One per process. `run` until `stop`."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, rules: RulesHandler, samples: SamplesHandler, opener: Opener, *,
        roster: Roster, storing: Storing, rules_are_read: Callable[[], bool], samples_are_read: Callable[[], bool],
        reader: PromqlReader, clock: Clock, metrics: EngineMetrics, evaluated: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`rules_are_read`, `samples_are_read`: whether the logs were read to where they ended at the start.
        `evaluated` is called after each round."""
        self._rules_are_read, self._samples_are_read = rules_are_read, samples_are_read
        self._evaluated = evaluated
        self._engine, self._lock, self._rules, self._samples, self._opener = engine, lock, rules, samples, opener
        self._roster, self._storing, self._reader = roster, storing, reader
        self._clock, self._metrics = clock, metrics
        self._pauses: dict[str, tuple[int, float]] = {}
        """Of work that failed: how often, and when it is tried again."""
        self._preparing: asyncio.Task[None] | None = None
        self._now_ms = 0
        self._kept_at = 0.0
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
        with suppress(*PASSING):
            await self._storing.store_unstored()
            await self._storing.keep(self._roster.partition_of)

    async def _first_rules(self) -> None:
        """Those that are there get their past together, before the first sample is read."""
        until = self._clock.monotonic() + FIRST_RULES_S
        while not self._stopping and not self._rules_are_read() and self._clock.monotonic() < until:
            await self._clock.sleep(0.05)

    async def _turn(self) -> None:
        """MongoDB may be away: rules are evaluated all the same, and what that changes is stored when it is back."""
        await self._try("storing", self._storing.store_unstored)
        if not self._storing.waiting:
            await self._try("rules", self._roster.take_changes)
        await self._try("preparing", self._prepare)
        if self._may_evaluate:
            await self._evaluate()
        if self.live and not self._storing.waiting and self._clock.monotonic() - self._kept_at >= KEEP_S:
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
        except PASSING as e:
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
        self._evaluated()
        self._metrics.round.observe(self._clock.monotonic() - began)
        self._metrics.evaluations.inc(self._engine.evaluations - evaluations)
        self._metrics.failed.inc(self._engine.failures - failures)
        await self._storing.settle(done)
        self._metrics.rules.set(len(self._engine.rules))
        self._metrics.series.set(len(self._engine.memory))

    async def _keep(self) -> None:
        await self._storing.keep(self._roster.partition_of)
        self._kept_at = self._clock.monotonic()

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

    async def _prepare(self) -> None:
        """Rules that look at what is not in memory get it beside the evaluation of the others."""
        if self._preparing is not None:
            if not self._preparing.done():
                return
            done, self._preparing = self._preparing, None
            await done
        if self._engine.closed() or self._roster.new or not self.live:
            self._preparing = asyncio.create_task(self._prepared(list(self._roster.new.values())), name="rules' past")

    async def _prepared(self, new: Sequence[ActiveRule]) -> None:
        if closed := self._engine.closed():
            failed = await self._opener.open(closed)
            async with self._lock:
                self._engine.opened(closed, self._clock.now_ms())
            for watch in closed:
                for rule in self._engine.users(watch) if watch.number in failed else ():
                    await self._roster.refuse(rule.compiled, failed[watch.number], again=True)
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
            if self._roster.new.get(rule.id) is rule:
                del self._roster.new[rule.id]

    async def _catch_up_with(self, rule: ActiveRule, end_ms: int, times: int) -> None:
        step = rule.interval_ms
        query = Query(rule.compiled.text, rule.compiled.value, end_ms - (times - 1) * step, end_ms, step)
        try:
            found = await answer(self._reader.of(rule.tenant), query, _in_thread)
            if self._engine.rules.get(rule.id) is rule:
                result = Result(_vector(found), found.times)
                changes = await asyncio.to_thread(self._engine.judge, rule, result)
                await self._storing.settle([Evaluated(rule, changes)])
        except StoreUnavailable:
            raise
        except (QueryError, ProblemError, EvaluationError) as e:
            log.warning("what a rule missed is not known", rule=rule.id, missed=times, reason=reason_of(e))

    @property
    def refused(self) -> Mapping[str, str]:
        """Rules that cannot be evaluated, and why."""
        return self._roster.refused

    @property
    def _may_evaluate(self) -> bool:
        return self.live and self._storing.waiting < MAX_UNSTORED


async def _in_thread(work: Callable[[Check], Answer]) -> Answer:
    """Without a limit of time: what is asked is bounded."""
    return await asyncio.to_thread(work, lambda: None)


def _vector(found: Answer) -> Vector:
    if not isinstance(found.value, Vector):
        raise EvaluationError("the expression gives no series over time")
    return found.value
