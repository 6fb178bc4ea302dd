"""The checks at work: what is due is asked, many at a time, and what that finds becomes a state and a result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

from vigie_contracts.targets import Secrets, Target
from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable

from vigie_healthcheck.checking import Checked, unknown
from vigie_healthcheck.metrics import CheckingMetrics
from vigie_healthcheck.roster import Roster, Watched
from vigie_healthcheck.schedule import Due, Schedule
from vigie_healthcheck.state import Step, step

log = logging.get(__name__)

MOST_AT_ONCE: Final = 100
"""Checks that begin together; then what came meanwhile has its turn."""
IDLE_S: Final = 0.5
GRACE_S: Final = 3.0
"""How long checks under way are waited for at the stop; the next owner makes the others."""
SKEW_MS: Final = 60_000
"""Whoever asks for a check may have a clock that is ahead by so much."""


Check: TypeAlias = Callable[[Target, Secrets], Awaitable[Checked]]
Muted: TypeAlias = Callable[[Target, int], Awaitable[str]]
"""Why nobody is alerted of a target at that time."""
AddResult: TypeAlias = Callable[[Target, Step, Checked, int], Awaitable[None]]
"""Takes what a check of that time found, and what the target is by it."""


class Runner:
    """`run` and `listen` in tasks until `stop`. A slow target holds one of `slots`; what is due and finds none free
    waits, the earliest first."""

    def __init__(
        self, schedule: Schedule, roster: Roster, check: Check, muted: Muted, add: AddResult, *,
        asked: Callable[[], Awaitable[dict[str, int]]], slots: int, clock: Clock, now_ms: Callable[[], int],
        metrics: CheckingMetrics, woken: asyncio.Event,
    ) -> None:  # fmt: skip
        """`asked`: when somebody asked for a check, by target, of all processes; `now_ms`: the time of the schedule;
        `woken` is set when something may be due earlier than before."""
        self._schedule, self._roster, self._check, self._muted, self._add = schedule, roster, check, muted, add
        self._asked, self._slots, self._clock, self._now_ms, self._metrics = asked, slots, clock, now_ms, metrics
        self._under_way: set[asyncio.Task[None]] = set()
        self._woken, self._listen = woken, asyncio.Event()
        self._stopping = False
        self._skipped = 0
        metrics.slots.set(slots)
        metrics.under_way.set_function(lambda: len(self._under_way))
        metrics.waiting.set_function(lambda: schedule.waiting(now_ms()))
        metrics.targets.set_function(lambda: len(roster.watched))

    def look(self) -> None:
        """Somebody asked for checks in this process: look now."""
        self._listen.set()

    def stop(self) -> None:
        """Begin no more; `run` and `listen` return soon."""
        self._stopping = True
        self._woken.set()
        self._listen.set()

    async def run(self) -> None:
        """Check what is due until stopped."""
        while not self._stopping:
            self._woken.clear()
            now_ms = self._now_ms()
            room = min(self._slots - len(self._under_way), MOST_AT_ONCE)
            taken = self._schedule.take(now_ms, room)
            for due in taken:
                self._begin(due, now_ms)
            self._metrics.skipped.inc(self._schedule.skipped - self._skipped)
            self._skipped = self._schedule.skipped
            if len(taken) == MOST_AT_ONCE:
                await asyncio.sleep(0)
            else:
                await self._rest()
        await self._end()

    async def listen(self) -> None:
        """Look for checks that are asked for, until stopped."""
        while not self._stopping:
            self._listen.clear()
            try:
                asked = await self._asked()
            except StoreUnavailable:
                asked = dict[str, int]()
            for id_, asked_ms in asked.items():
                one = self._roster.watched.get(id_)
                if one is not None and asked_ms > one.asked_ms:
                    one.asked_ms = asked_ms
                    self._schedule.ask(id_, self._now_ms())
                    self._woken.set()
            await _within(IDLE_S, self._listen)

    async def _rest(self) -> None:
        """Until something is due and there is room, or something came."""
        next_ms, rest_s = self._schedule.next_ms(), IDLE_S
        if next_ms is not None and len(self._under_way) < self._slots:
            rest_s = min(rest_s, (next_ms - self._now_ms()) / 1000)
        if rest_s > 0:
            await _within(rest_s, self._woken)

    def _begin(self, due: Due, now_ms: int) -> None:
        one = self._roster.watched[due.target]
        late_ms = now_ms - due.due_ms
        self._metrics.delay.observe(late_ms / 1000)
        at_ms = self._clock.now_ms() - late_ms
        if at_ms < one.asked_ms <= at_ms + SKEW_MS:
            at_ms = one.asked_ms
        task = asyncio.create_task(self._one(one, due, at_ms), name=f"check {due.target}")
        self._under_way.add(task)
        task.add_done_callback(lambda _: self._ended(task, due))

    def _ended(self, task: asyncio.Task[None], due: Due) -> None:
        self._under_way.discard(task)
        self._schedule.done(due)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a check ended with an error", target=due.target, exc_info=error)
            self._metrics.errors.inc()

    async def _one(self, one: Watched, due: Due, at_ms: int) -> None:
        clock, target = self._clock.monotonic, one.target
        began = clock()
        checked = await self._checked(one)
        took_s = clock() - began
        muted = await self._muted(target, at_ms)
        if self._roster.watched.get(target.id) is not one:
            self._metrics.dropped.inc()
            return
        next_ms = self._clock.now_ms() + due.next_ms - self._now_ms()
        done = step(one.state, target, checked.outcome, at_ms, muted=muted, next_ms=next_ms)
        one.state = done.state
        self._metrics.checks[checked.outcome.verdict].inc()
        self._metrics.duration.observe(took_s)
        await self._add(target, done, checked, at_ms)

    async def _checked(self, one: Watched) -> Checked:
        if one.secrets is None:
            return Checked(unknown("the secrets of the target are encrypted with a key that is not set"), 0)
        try:
            return await self._check(one.target, one.secrets)
        except Exception:  # a fault of one probe must not keep others from being asked
            log.exception("a check failed", target=one.target.id, kind=one.target.kind)
            self._metrics.errors.inc()
            return Checked(unknown("the check failed with a fault of the prober, see its log"))

    async def _end(self) -> None:
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=GRACE_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=GRACE_S)


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
