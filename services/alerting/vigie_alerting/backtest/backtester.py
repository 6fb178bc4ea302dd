"""Runs rules over the stored past of a tenant, in threads of its own and within a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryError, RetentionExceeded
from vigie_runtime.clock import Clock
from vigie_runtime.expressions import Expressions, ExpressionTooSlow, Thinking
from vigie_storage.alerts.document import order
from vigie_storage.promql.reader import PromqlReader
from vigie_web.concurrency import ConcurrencyLimit

from vigie_alerting.backtest.pages import Pages, Told
from vigie_alerting.backtest.reading import Stretch, past
from vigie_alerting.backtest.replay import Check, Replay
from vigie_alerting.engine.horizon import HorizonError
from vigie_alerting.notifying.muting import Judge
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rules.compiling import CompiledRule

DEADLINE_S: Final = 30.0
"""Of one question, by the clock, and of a core."""
_TELLING: Final = 1 / 6
"""The part of it that is kept for who would have been told."""
AT_ONCE: Final = 2
"""Questions; as many wait for their turn. Of one tenant are half of all these."""
VALUES: Final = 60_000_000
"""That one rule computes in all, about: where that would be more, it is evaluated less often."""
MAX_TRANSITIONS: Final = 20_000
"""That one question keeps: what a rule does beyond is counted, and not kept."""
MAX_INFOS: Final = 10


@dataclass(slots=True)
class Backtest:
    """What one rule would have done after `start_ms`. Unix milliseconds."""

    rule: CompiledRule
    start_ms: int
    until_ms: int
    """So far it was evaluated."""
    whole: bool = False
    """Whether that is the end: not when the time was over before."""
    transitions: list[Transition] = field(default_factory=list[Transition])
    dropped: int = 0
    """Transitions that are not kept."""
    resolution_ms: int = 0
    """Between two evaluations of what is stored of that time, at most."""
    series: int = 0
    evaluations: int = 0
    failures: int = 0
    """Evaluations that failed, of which `error` is the first."""
    error: str = ""
    infos: tuple[str, ...] = ()


class Backtester:
    """Works for several questions at the same time, for each in one thread."""

    def __init__(
        self, reader: PromqlReader, routes: Callable[[TenantId], Awaitable[Routes]],
        judges: Sequence[Callable[[TenantId], Awaitable[Judge]]], clock: Clock, deadline_s: float = DEADLINE_S,
    ) -> None:  # fmt: skip
        """`routes` and `judges`: what a tenant has now; they are asked as of the past."""
        self._reader, self._routes, self._judges = reader, routes, judges
        self._clock, self._deadline_s = clock, deadline_s
        # What is given up may hold its thread for a moment: the next one waits for that.
        self._threads = Expressions(deadline_s, AT_ONCE, wait_s=deadline_s)
        self.slots = ConcurrencyLimit(AT_ONCE, "previews", AT_ONCE)
        """One is to be held by whoever asks, from reading the question on."""

    async def run(
        self, tenant: TenantId, rules: Sequence[CompiledRule], start_ms: int, end_ms: int
    ) -> tuple[list[Backtest], Pages]:
        """Each from nothing on, in their order; and how often somebody would have been told. When the time is over,
        what is known by then. Raises RetentionExceeded, StoreUnavailable, Busy."""
        thinking = self._threads.question("preview", tenant)
        deadline = self._clock.monotonic() + self._deadline_s
        until = deadline - self._deadline_s * _TELLING
        done: list[Backtest] = []
        room = MAX_TRANSITIONS
        for rule in rules:
            one = Backtest(rule, start_ms, start_ms)
            with suppress(TimeoutError):
                async with asyncio.timeout(until - self._clock.monotonic()):
                    await self._run(one, end_ms, thinking, room)
            room -= len(one.transitions)
            done.append(one)
        return done, await self._told(tenant, done, deadline)

    async def _told(self, tenant: TenantId, done: Sequence[Backtest], deadline: float) -> Pages:
        routes, judges = await self._routes(tenant), [await one(tenant) for one in self._judges]

        def work(check: Check) -> Pages:
            def timely() -> None:
                check()
                if self._clock.monotonic() > deadline:
                    raise ExpressionTooSlow("preview", self._deadline_s)

            steps = [step for one in done for step in one.transitions]
            steps.sort(key=lambda step: (step.timestamp, order(step)))
            return Told(tenant, routes, judges, timely).run(steps, min((one.until_ms for one in done), default=0))

        return await self._threads.question("preview", tenant).run(work)

    async def _run(self, one: Backtest, end_ms: int, thinking: Thinking, room: int) -> None:
        try:
            read = await past(self._reader, one.rule, (one.start_ms, end_ms), self._clock.now_ms())
            replay = Replay(one.rule, read.tier.width_ms, VALUES // max(1, read.windows))
            one.start_ms = one.until_ms = read.start_ms
            one.resolution_ms, one.series = read.tier.width_ms, read.series
            async with aclosing(read.stretches(lambda: replay.idle)) as stretches:
                async for stretch in stretches:
                    made = await thinking.run(partial(_work, replay, stretch))
                    _take(one, replay, stretch, made, room)
            one.until_ms, one.whole = read.end_ms, True
        except ExpressionTooSlow:
            return
        except RetentionExceeded:
            raise
        except (QueryError, HorizonError) as e:
            one.error, one.failures = str(e), one.failures + 1


def _work(replay: Replay, stretch: Stretch, check: Check) -> list[Transition]:
    return replay.run(stretch.data, stretch.start_ms, stretch.end_ms, check)


def _take(one: Backtest, replay: Replay, stretch: Stretch, made: list[Transition], room: int) -> None:
    kept = made[: max(0, room - len(one.transitions))]
    one.transitions += kept
    one.dropped += len(made) - len(kept)
    one.until_ms = stretch.end_ms
    one.infos = tuple(dict.fromkeys((*one.infos, *stretch.infos)))[:MAX_INFOS]
    one.evaluations, one.failures, one.error = replay.evaluations, replay.failures, replay.error
