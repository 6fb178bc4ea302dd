"""Writes what recording rules gave: acknowledged by Kafka, each time of each rule once, and without gaps.

What was missed, because nobody had the rule, or Kafka or the catalogue were away for long, is evaluated on the stored
windows. Up to when the rules of a partition have written everything is kept in MongoDB, for whoever has them next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from vigie_publishing.errors import ItemError, PublishingError
from vigie_publishing.publishers import NamedSamples
from vigie_query.errors import QueryError
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError, Retryable, StoreUnavailable, reason_of
from vigie_runtime.metrics import MetricSet
from vigie_storage.alerts.checkpoints import Checkpoints

from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.evaluation import EvaluationError
from vigie_alerting.recording.history import History
from vigie_alerting.recording.metrics import FILLED, LOST, WAITING, WRITTEN, Outcome
from vigie_alerting.recording.results import Recorded, interval_ms, tick

log = logging.get(__name__)

MAX_WAITING: Final = 200_000
"""Samples that wait for Kafka or the catalogue; what comes beyond is evaluated on the stored windows later."""
MAX_UNKNOWN: Final = 1_000
"""Results of rules of which is not known yet what they missed, while the store is away."""
AT_ONCE: Final = 100
"""Results that are on their way at the same time."""
MAX_GAP_MS: Final = 6 * 3_600_000
"""What was missed longer ago stays missing."""
MAX_FILLED: Final = 200
"""Times of a rule that are evaluated with one question."""
KEEP_S: Final = 10.0
FILL_S: Final = 1.0
_PASSING: Final = (Retryable, StoreUnavailable, PublishingError)
_AWAY: Final = Backoff(0.2, 5.0)

Publish: TypeAlias = Callable[[Sequence[NamedSamples]], Awaitable[tuple[int, list[ItemError]]]]
"""As `NamedPublisher.publish`."""


class Recorder:
    """One per process. `run` until `stop`."""

    def __init__(
        self, engine: Engine, publish: Publish, history: History, checkpoints: Checkpoints,
        partition_of: Mapping[str, int], *, clock: Clock, metrics: MetricSet,
    ) -> None:  # fmt: skip
        """`partition_of`: of the rules of this process, by id. `metrics` declares RECORDING_METRICS."""
        self._engine, self._publish, self._history = engine, publish, history
        self._checkpoints, self._partition_of, self._clock = checkpoints, partition_of, clock
        self._metrics = metrics
        self._waiting: deque[Recorded] = deque()
        self._size = 0
        """Samples in it."""
        self._done: dict[str, int] = {}
        """By rule the last time that is written, waits, or is in a gap."""
        self._gaps: dict[str, range] = {}
        """By rule the times that are to be evaluated on the stored windows."""
        self.problems: dict[str, str] = {}
        """By rule why what it gave is not written, or not all of it."""
        self._arrived = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """The engine may have recorded something."""
        if self._engine.recorded:
            self._arrived.set()

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stopping = True
        self._arrived.set()

    async def run(self) -> None:
        """Write until stopped. What waits then is the next one's to evaluate."""
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(self._filling()), group.create_task(self._keeping())]
            await self._writing()
            for task in others:
                task.cancel()
        with suppress(*_PASSING):
            await self.keep()

    async def _writing(self) -> None:
        failures = 0
        while not self._stopping:
            rest_s = KEEP_S
            try:
                await self._take()
                await self._write()
                failures = 0
            except _PASSING as e:
                failures += 1
                rest_s = _AWAY.pause_s(failures)
                log.warning("what rules recorded waits", samples=self._size, reason=reason_of(e))
            await self._rest(rest_s)

    async def _take(self) -> None:
        """What the engine recorded, as much as may wait. Raises Retryable."""
        recorded = self._engine.recorded
        while recorded:
            if self._size > MAX_WAITING:
                self._leave(recorded.popleft())
                continue
            try:
                await self._note(recorded[0])
            except Retryable:
                while len(recorded) > MAX_UNKNOWN:
                    self._leave(recorded.popleft())
                raise
            one = recorded.popleft()
            self._waiting.append(one)
            self._size += len(one.samples)
        self._metrics.gauge(WAITING).set(self._size)

    def _leave(self, one: Recorded) -> None:
        """It will be missed when the next one of the rule is taken."""
        self.problems[one.rule.id] = "what it gives is not written: Kafka, or the store, has not answered for long"

    async def _note(self, one: Recorded) -> None:
        """Of this rule everything up to this time is known, waits, or is missed."""
        step, done = interval_ms(one.rule), self._done.get(one.rule.id)
        if done is None:
            done = await self._written_until(one)
        done = max(done, one.rule.updated_at or 0, one.at_ms - MAX_GAP_MS)
        missed = range(tick(one.rule, done) + step, one.at_ms, step)
        if missed:
            known = self._gaps.get(one.rule.id)
            self._gaps[one.rule.id] = range(min(missed[0], known[0] if known else missed[0]), missed[-1] + 1, step)
        self._done[one.rule.id] = one.at_ms

    async def _written_until(self, one: Recorded) -> int:
        """By whoever had the rule before; as if until now, when nobody had."""
        partition = self._partition_of.get(one.rule.id)
        kept = None if partition is None else await self._checkpoints.of(partition)
        return one.at_ms if kept is None else kept

    async def _write(self) -> None:
        """What waits. Raises Retryable, PublishingError: then the rest waits on."""
        while self._waiting and not self._stopping:
            some = [self._waiting[place] for place in range(min(AT_ONCE, len(self._waiting)))]
            await self._write_all(some)
            for one in some:
                self._waiting.popleft()
                self._size -= len(one.samples)
            self._metrics.gauge(WAITING).set(self._size)

    async def _write_all(self, some: Sequence[Recorded]) -> None:
        """Return when Kafka has all of them. To write some once more adds nothing."""
        ends = await asyncio.gather(*map(self._write_one, some), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _write_one(self, one: Recorded) -> None:
        if not one.samples:
            self.problems.pop(one.rule.id, None)
            return
        group = NamedSamples(tenant=one.rule.tenant, at_ms=one.at_ms, key=one.key, samples=one.samples)
        try:
            written, refused = await self._publish([group])
        except PublishingError as e:
            self.problems[one.rule.id] = f"what it gave waits to be written: {e.detail}"
            raise
        self._metrics.counter(WRITTEN, outcome=Outcome.WRITTEN).inc(written)
        self._metrics.counter(WRITTEN, outcome=Outcome.REFUSED).inc(len(refused))
        if refused:
            why = f"{refused[0].field}: {refused[0].detail}"
            self.problems[one.rule.id] = f"{len(refused):,} of {len(one.samples):,} series are not written: {why}"
        else:
            self.problems.pop(one.rule.id, None)

    async def _filling(self) -> None:
        """What was missed, when the stored windows know it."""
        failures = 0
        while True:
            await self._clock.sleep(FILL_S if not failures else max(FILL_S, _AWAY.pause_s(failures)))
            try:
                if self._gaps and await self._history.whole():
                    for rule_id in list(self._gaps):
                        await self._fill(rule_id)
                failures = 0
            except _PASSING as e:
                failures += 1
                log.warning("what recording rules missed has to wait", rules=len(self._gaps), reason=reason_of(e))

    async def _fill(self, rule_id: str) -> None:
        while gap := self._gaps.get(rule_id):
            rule = self._engine.rules.get(rule_id)
            if rule is None or not rule.records:
                break
            times, rest = gap[:MAX_FILLED], gap[MAX_FILLED:]
            try:
                some = await self._history.at(rule.compiled, times)
            except StoreUnavailable:
                raise
            except (QueryError, ProblemError, EvaluationError) as e:
                log.warning("what a rule missed is not known", rule=rule_id, times=len(times), reason=reason_of(e))
                self._metrics.counter(LOST).inc(len(times))
            else:
                for start in range(0, len(some), AT_ONCE):
                    await self._write_all(some[start : start + AT_ONCE])
                self._metrics.counter(FILLED).inc(len(times))
            if self._gaps.get(rule_id) == gap:
                self._gaps[rule_id] = rest
        self._gaps.pop(rule_id, None)

    async def _keeping(self) -> None:
        while True:
            await self._clock.sleep(KEEP_S)
            with suppress(*_PASSING):
                await self.keep()

    async def keep(self) -> None:
        """Store, by partition, up to when everything is written. Raises Retryable."""
        mine = {rule.id: rule for rule in list(self._engine.rules.values()) if rule.records}
        for known in (self._done, self._gaps, self.problems):
            for rule_id in known.keys() - mine.keys():
                del known[rule_id]
        owed = {rule_id: gap[0] for rule_id, gap in self._gaps.items()}
        for one in self._waiting:
            owed[one.rule.id] = min(owed.get(one.rule.id, one.at_ms), one.at_ms)
        until: dict[int, int] = {}
        unknown: set[int] = set()
        for rule in mine.values():
            partition = self._partition_of.get(rule.id)
            if partition is None or rule.id not in self._done:
                unknown |= set() if partition is None else {partition}
                continue
            next_ms = owed.get(rule.id, self._done[rule.id] + rule.interval_ms)
            until[partition] = min(until.get(partition, self._clock.now_ms()), next_ms - 1)
        await self._checkpoints.keep({one: at for one, at in until.items() if one not in unknown})

    async def _rest(self, seconds: float) -> None:
        """Until something came, or so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        self._arrived.clear()
