"""The engine at work: rules come and go, what is due is evaluated, and what that changes is stored before it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any, Final

from vigie_contracts.alerts import Rule
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.bus.compacted import CompactedLog
from vigie_runtime.clock import Clock
from vigie_runtime.errors import VigieError, reason_of
from vigie_storage.promql.reader import PromqlReader
from vigie_web.process import without_garbage_collection

from vigie_alerting.engine.active_rule import ActiveRule
from vigie_alerting.engine.catching_up import CatchUp
from vigie_alerting.engine.engine import Engine, Evaluated, run
from vigie_alerting.engine.metrics import EngineMetrics
from vigie_alerting.engine.opening import Opener
from vigie_alerting.engine.roster import Roster
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.engine.storing import MAX_UNSTORED, PASSING, Storing
from vigie_alerting.engine.watch import Watch

log = logging.get(__name__)

BUDGET_S: Final = 0.02
"""Evaluations are interrupted after so long, for samples to be read, and requests to be answered."""
REST_S: Final = 0.02
"""After a turn the pause is as long as it took, and so long at most."""
IDLE_S: Final = 0.5
KEEP_S: Final = 10.0
"""How often what changed without a transition is stored, and up to when rules were evaluated."""
FIRST_RULES_S: Final = 15.0
"""How long reading the rules may take before the samples are read all the same."""
BACK_MS: Final = 10_000
"""The clock may go back by so much, and nothing is evaluated until it is where it was. By more, and the process ends:
the next one begins with what is stored."""
STORED_S: Final = 1.0
"""Rules that changed wait so long for what others changed to be stored, and nothing is evaluated."""
PREPARING, STORING = "preparing", "storing"
_POLL_S: Final = 0.05
_RETRY: Final = Backoff(0.2, 5.0)


class ClockWentBackError(VigieError):
    """What is in memory is of a time that is yet to come."""

    def __init__(self, by_ms: int) -> None:
        super().__init__(f"the clock went back by {by_ms / 1000:.0f} s: start again, and set it by NTP")


class Runner:
    """One per process. `run` until `stop`."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, rules: CompactedLog[Rule], samples: SamplesHandler, opener: Opener, *,
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
        self._slow_rests_until = 0.0
        self._evaluations = self._failures = 0
        """Those that the metrics know."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """What is done beside the evaluation of rules."""
        self._now_ms = 0
        self._kept_at = 0.0
        self.opened = asyncio.Event()
        """Set when the past of the first rules is loaded, or there are none: then the samples may be read."""
        self.live = False
        """Whether the samples were read: what is not in memory by then was never sent."""
        self.prepared = False
        """Whether the first rules have their past, and what they missed is told."""
        self._catch_up = CatchUp(
            engine, lock, storing.settle, lambda: opener.stored_to(dict(samples.positions)), reader=reader, clock=clock
        )
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
            for task in self._tasks.values():
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks.values())
        with suppress(*PASSING):
            await self._storing.store_unstored()
            await self._storing.keep(self._roster.partition_of)

    async def _first_rules(self) -> None:
        """Those that are there get their past together, before the first sample is read."""
        until = self._clock.monotonic() + FIRST_RULES_S
        while not self._stopping and not self._rules_are_read() and self._clock.monotonic() < until:
            await self._clock.sleep(0.05)
        with without_garbage_collection():
            await self._try("rules", self._roster.take_changes)

    async def _turn(self) -> None:
        """MongoDB may be away: rules are evaluated all the same, and what that changes is stored when it is back."""
        began = self._clock.monotonic()
        await self._store()
        if await self._all_is_stored():
            await self._try("rules", self._roster.take_changes)
        unprepared = bool(self._engine.closed() or self._roster.new or not self.prepared)
        await self._beside(PREPARING, lambda: self._prepared(list(self._roster.new.values())), wanted=unprepared)
        await self._try("counting", self._samples.count)
        read = self._samples_are_read() and not self._samples.waiting
        self.live = self.live or (self.opened.is_set() and read)
        if self._may_evaluate:
            await self._evaluate()
            await self._store()
        await self._beside("keeping", self._keep, wanted=self._keeps)
        # What comes meanwhile is counted together, which costs little more than the first of it.
        await asyncio.sleep(min(self._clock.monotonic() - began, REST_S))
        await self._wait()

    async def _store(self) -> None:
        await self._beside(STORING, self._storing.store_unstored, wanted=self._storing.waiting > 0)

    async def _all_is_stored(self) -> bool:
        """Before rules change. With many transitions that is so only when nothing is evaluated for a moment."""
        if self._rules.arrived.is_set() and (task := self._tasks.get(STORING)):
            await asyncio.wait([task], timeout=STORED_S)
        return not self._storing.waiting

    async def _beside(self, what: str, work: Callable[[], Coroutine[Any, Any, None]], *, wanted: bool) -> None:
        """Have it done beside the evaluation of rules, unless that is so or it failed a moment ago."""
        task = self._tasks.get(what)
        if task is not None and task.done():
            del self._tasks[what]
            await self._try(what, lambda: task)
        if wanted and what not in self._tasks and self._clock.monotonic() >= self._pauses.get(what, (0, 0.0))[1]:
            self._tasks[what] = asyncio.create_task(work(), name=what)

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
        next_ms = self._engine.next_ms()
        if next_ms is not None and next_ms <= self._now_ms:
            await self._round()
        rested = self._clock.monotonic() >= self._slow_rests_until
        await self._beside("slow rules", self._evaluate_slow, wanted=rested and bool(self._engine.slow))

    async def _round(self) -> None:
        """On the event loop: a thread would wait for it, and it for the thread, with every step."""
        began = self._clock.monotonic()
        async with self._lock:
            done = run(self._engine, self._now_ms, BUDGET_S)
        self._metrics.round.observe(self._clock.monotonic() - began)
        await self._settle(done)

    async def _settle(self, done: Sequence[Evaluated]) -> None:
        self._evaluated()
        await self._storing.settle(done)
        self._metrics.evaluations.inc(self._engine.evaluations - self._evaluations)
        self._metrics.failed.inc(self._engine.failures - self._failures)
        self._evaluations, self._failures = self._engine.evaluations, self._engine.failures
        self._metrics.rules.set(len(self._engine.rules))
        self._metrics.series.set(len(self._engine.memory))

    async def _evaluate_slow(self) -> None:
        """One that takes long, in threads, and the most of it without the lock: samples and other rules do not wait for
        it. The pauses between them are as long as they are."""
        if (rule := self._engine.next_slow(self._now_ms)) is None:
            return
        began = self._clock.monotonic()
        async with self._lock:
            attempt = await asyncio.to_thread(self._engine.begin, rule, self._now_ms)
        await asyncio.to_thread(attempt.compute)
        async with self._lock:
            changes = await asyncio.to_thread(self._engine.conclude, attempt)
        await self._settle([Evaluated(rule, changes)] if changes else [])
        ended = self._clock.monotonic()
        self._slow_rests_until = ended + (ended - began)
        self._samples.arrived.set()

    async def _keep(self) -> None:
        await self._storing.keep(self._roster.partition_of)
        self._kept_at = self._clock.monotonic()

    async def _wait(self) -> None:
        """Until something is due, or came."""
        if not self._may_evaluate:
            await asyncio.sleep(_POLL_S)
            return
        next_ms = self._engine.next_ms()
        rest = IDLE_S if next_ms is None else min(IDLE_S, (next_ms - self._clock.now_ms()) / 1000)
        if PREPARING in self._tasks or self._rules.arrived.is_set() or self._engine.slow:
            rest = min(rest, _POLL_S)
        if rest > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._samples.arrived.wait()
        self._samples.arrived.clear()

    async def _prepared(self, new: Sequence[ActiveRule]) -> None:
        if closed := self._engine.closed():
            with nullcontext() if self.prepared else without_garbage_collection():
                failed = await self._opener.open(closed, self._opened)
            for watch in closed:
                for rule in self._engine.users(watch) if watch.number in failed else ():
                    await self._roster.refuse(rule.compiled, failed[watch.number], again=True)
        await self._opener.begin()
        self.opened.set()
        while not self.live:
            await self._clock.sleep(0.02)
        await self._catch_up.run(new)
        self._roster.forget_new(new)
        self.prepared = True

    async def _opened(self, watches: Sequence[Watch]) -> None:
        """Their rules are evaluated at once; samples may be read."""
        async with self._lock:
            self._engine.opened(watches, self._clock.now_ms())
        self.opened.set()
        if self.live:
            rules = {rule.id: rule for watch in watches for rule in self._engine.users(watch) if rule.waiting}
            await self._catch_up.run_from_memory(list(rules.values()))

    @property
    def refused(self) -> Mapping[str, str]:
        """Rules that cannot be evaluated, and why."""
        return self._roster.refused

    @property
    def _keeps(self) -> bool:
        return self.live and not self._storing.waiting and self._clock.monotonic() - self._kept_at >= KEEP_S

    @property
    def _may_evaluate(self) -> bool:
        return self.live and self._storing.waiting < MAX_UNSTORED
