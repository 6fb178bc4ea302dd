"""What checks found, on its way: to the logs of samples and checks, to the store, and to whoever watches.

A check is published before its state is stored. Whoever owns the target next begins with what is stored, and makes the
same check again when a crash came between: its record and its samples are then known by their ids. While Kafka is away
states are stored all the same, and checks wait; when too many do, the oldest are given up. Of each target only the last
state waits for MongoDB, with what it became on the way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from vigie_contracts.checks import Check
from vigie_contracts.targets import Target
from vigie_contracts.tenants import TenantId
from vigie_publishing.errors import PublishingError
from vigie_publishing.errors import Reason as Refusal
from vigie_publishing.publishers import NamedSamples, Outcome
from vigie_runtime import logging, tasks
from vigie_runtime.backoff import Backoff
from vigie_runtime.clock import Clock
from vigie_runtime.errors import BufferFull, BusUnavailable, StoreUnavailable, reason_of
from vigie_runtime.metrics import Counter, Gauge, MetricSet
from vigie_runtime.redis_breaker import RedisAway, RedisBreaker, RedisUse
from vigie_storage.health.live import LiveHealth, LiveState
from vigie_storage.health.states import TargetState

from vigie_healthcheck.checking import Checked
from vigie_healthcheck.recording import Found, Gone
from vigie_healthcheck.samples import check_of, labels_of, last_of, samples_of
from vigie_healthcheck.state import Change, Step

log = logging.get(__name__)

FLUSH_S: Final = 0.2
"""What is found in such a time goes on together."""
PATIENCE_S: Final = 1.0
"""How long a state waits for its check to be published."""
MAX_WAITING: Final = 20_000
"""Checks that wait for Kafka: a minute's of 10,000 targets, some 30 MB."""
MAX_CHANGES: Final = 100
"""Of a target, while MongoDB is away; an even number, so that what it became is still true."""
_PUBLISHED_TOGETHER: Final = 500
_ANNOUNCED_TOGETHER: Final = 200
"""States in one message: some hundred kilobytes."""
_LAST_S: Final = 5.0
"""How long the last checks may take to Kafka, at the stop."""
_AWAY: Final = Backoff(0.2, 5.0)
_PASSING: Final = (PublishingError, BusUnavailable, BufferFull)

GIVEN_UP: Final = Counter(
    "vigie_healthcheck_given_up_checks_total",
    "checks",
    "Checks that are not in the log, nor their samples: Kafka was away for so long that too many waited",
)
REFUSED: Final = Counter(
    "vigie_healthcheck_refused_samples_total", "samples", "Samples of checks that were refused", {"reason": Refusal}
)
FENCED: Final = Counter(
    "vigie_healthcheck_fenced_states_total",
    "states",
    "States that were not stored: another process had stored a newer check of the target",
)
UNANNOUNCED: Final = Counter(
    "vigie_healthcheck_unannounced_states_total",
    "states",
    "States that the live feed was not told: watchers see them when they read the store",
)
UNPUBLISHED: Final = Gauge("vigie_healthcheck_unpublished_checks", "checks", "Checks that wait for Kafka")
UNSTORED: Final = Gauge("vigie_healthcheck_unstored_states", "states", "States that wait for MongoDB")

RESULTS_METRICS: Final = (GIVEN_UP, REFUSED, FENCED, UNANNOUNCED, UNPUBLISHED, UNSTORED)


class Publisher(Protocol):
    """`publishing.CheckPublisher`."""

    async def publish(self, checks: Sequence[tuple[Check, NamedSamples]]) -> Sequence[Outcome]: ...

    async def say(self, samples: Sequence[NamedSamples]) -> None: ...


class Recorder(Protocol):
    """`recording.StateRecorder`."""

    async def write(self, found: Sequence[Found]) -> set[str]: ...

    async def remove(self, gone: Sequence[Gone]) -> None: ...


class Feed(Protocol):
    """`HealthFeed`."""

    async def announce(self, tenant: TenantId, stored: LiveHealth) -> None: ...


@dataclass(frozen=True, slots=True)
class _Result:
    target: Target
    step: Step
    checked: Checked
    at_ms: int


@dataclass(slots=True)
class _Unstored:
    """What waits to be stored of a target."""

    state: TargetState
    since: float
    """When its newest check came, on the monotonic clock."""
    changes: list[Change] = field(default_factory=list[Change])
    published: bool = False
    """Whether that is in the log, or never will be."""


class Results:
    """`run` in a task, until `stop` lets it finish what it has."""

    def __init__(self, publisher: Publisher, recorder: Recorder, feed: Feed, clock: Clock, metrics: MetricSet) -> None:
        """`metrics` declares RESULTS_METRICS and REDIS_AWAY."""
        self._publisher, self._recorder, self._feed, self._clock = publisher, recorder, feed, clock
        self._breaker = RedisBreaker(clock, RedisUse.LIVE_HEALTH, metrics)
        self._given_up, self._fenced = metrics.counter(GIVEN_UP), metrics.counter(FENCED)
        self._refused = {reason: metrics.counter(REFUSED, reason=reason) for reason in Refusal}
        self._unannounced = metrics.counter(UNANNOUNCED)
        metrics.gauge(UNPUBLISHED).set_function(lambda: len(self._unpublished))
        metrics.gauge(UNSTORED).set_function(lambda: len(self._unstored))
        self._unpublished: deque[_Result] = deque()
        self._unstored: dict[str, _Unstored] = {}
        self._writing: dict[str, _Unstored] = {}
        """What is being stored, and kept when that fails."""
        self._gone: dict[str, Gone] = {}
        self._targets: dict[str, Target] = {}
        """As they were at their newest check."""
        self._last: dict[int, tuple[str, NamedSamples]] = {}
        """The last samples of targets under labels that they have no more, in their order."""
        self._ordinal = 0
        self._kafka_away = self._store_away = False
        self._room = asyncio.Event()
        self._stored = asyncio.Event()
        """Set whenever something was stored, or could not be."""
        self._stopping = asyncio.Event()

    async def add(self, target: Target, step: Step, checked: Checked, at_ms: int) -> None:
        """A check that was due at `at_ms`. Waits while there are too many and Kafka takes them."""
        while len(self._unpublished) >= MAX_WAITING and not self._kafka_away and not self._stopping.is_set():
            self._room.clear()
            await self._room.wait()
        while len(self._unpublished) >= MAX_WAITING:
            self._given_up.inc()
            self._published([self._unpublished.popleft()])
        self._unpublished.append(_Result(target, step, checked, at_ms))
        self._gone.pop(target.id, None)  # it is back before it was forgotten
        known = self._targets.get(target.id)
        if known is not target:
            self._targets[target.id] = target
            if known is not None and labels_of(known) != labels_of(target):
                self._end(known)
        now = self._clock.monotonic()
        before = self._unstored.get(target.id)
        changes = [] if before is None else before.changes
        if step.change is not None:
            changes.append(step.change)
            if len(changes) > MAX_CHANGES:
                del changes[:2]
        self._unstored[target.id] = _Unstored(step.state, now, changes)

    async def remove(self, target: Target) -> None:
        """The target is deleted, or disabled: what is known of it goes, and its incident ends."""
        self._unstored.pop(target.id, None)
        self._targets.pop(target.id, None)
        self._end(target)
        self._gone[target.id] = Gone(TenantId(target.tenant), target.id, self._clock.now_ms())

    async def flush(self, timeout_s: float = 2.0) -> None:
        """Return when what was added before is stored, so that who owns the targets next begins there; or after that
        time, or when MongoDB is away."""
        now = self._clock.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._since(now) and not self._store_away:
                    self._stored.clear()
                    await self._stored.wait()

    async def hand_over(self, targets: Iterable[str]) -> None:
        """Store what was found of these, if that is possible now. Afterwards nothing of them is stored: whoever has
        them goes on from what there is, and would be contradicted."""
        await self.flush()
        for target in targets:
            for waiting in (self._unstored, self._writing, self._gone):
                waiting.pop(target, None)

    def stop(self) -> None:
        """Make `run` return when it has told what it has, or cannot."""
        self._stopping.set()
        self._room.set()

    async def run(self) -> None:
        """Until `stop`."""
        publishing = asyncio.create_task(self._publishing(), name="checks to Kafka")
        storing = asyncio.create_task(self._storing(), name="states to MongoDB")
        try:
            await asyncio.gather(publishing, storing)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_S):
                    await self._publish()
            await self._store(all_=True)
        finally:
            await tasks.end([publishing, storing])

    def _end(self, target: Target) -> None:
        if len(self._last) >= MAX_WAITING:
            del self._last[next(iter(self._last))]
        self._ordinal += 1
        self._last[self._ordinal] = target.id, last_of(target, self._clock.now_ms())

    def _since(self, then: float) -> bool:
        """Whether something from before that waits, or is being stored."""
        waiting = (*self._unstored.values(), *self._writing.values())
        return bool(self._gone) or any(one.since <= then for one in waiting)

    async def _publishing(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            await self._pause(_AWAY.pause_s(failures) if failures else FLUSH_S)
            failures = 0 if await self._publish() else failures + 1

    async def _publish(self) -> bool:
        """Everything that waits. False: Kafka, or the catalogue, cannot take it now."""
        while self._unpublished:
            some = [self._unpublished.popleft() for _ in range(min(_PUBLISHED_TOGETHER, len(self._unpublished)))]
            try:
                # By id: two of one would be known as a repeat only when they are in records of their own.
                made = {
                    check.id: (check, samples_of(one.target, one.step, one.checked, one.at_ms))
                    for one in some
                    for check in (check_of(one.target, one.step, one.checked, one.at_ms),)
                }
                outcomes = await self._publisher.publish(list(made.values()))
            except _PASSING as e:
                self._unpublished.extendleft(reversed(some))
                if not self._kafka_away:
                    log.warning("checks cannot be published now", checks=len(self._unpublished), reason=reason_of(e))
                self._kafka_away = True
                self._room.set()
                return False
            if self._kafka_away:
                log.info("checks are published again", checks=len(self._unpublished))
            self._kafka_away = False
            self._count(outcomes)
            self._published(some)
            self._room.set()
        return await self._say_last()

    async def _say_last(self) -> bool:
        """The last samples of targets that are gone: after those of their checks."""
        some = dict(self._last)
        try:
            if some:
                await self._publisher.say([samples for _, samples in some.values()])
        except _PASSING:
            return False
        for ordinal in some:
            self._last.pop(ordinal, None)
        return True

    def _count(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            for error in outcome.refused:
                self._refused[error.reason].inc()

    def _published(self, results: Iterable[_Result]) -> None:
        for one in results:
            waiting = self._unstored.get(one.target.id)
            if waiting is not None and waiting.state is one.step.state:
                waiting.published = True

    async def _storing(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            await self._pause(_AWAY.pause_s(failures) if failures else FLUSH_S)
            failures = 0 if await self._store() else failures + 1
            self._stored.set()

    async def _store(self, *, all_: bool = False) -> bool:
        """What is published or has waited long enough, and what is gone. False: MongoDB cannot take it now."""
        # What is forgotten before its last samples are in the log would never end its alerts: after a crash nobody
        # would know that they are to be said.
        unsaid = {target for target, _ in self._last.values()}
        gone = {target: one for target, one in self._gone.items() if target not in unsaid}
        some = self._ready(all_=all_)
        self._gone = {target: one for target, one in self._gone.items() if target in unsaid}
        self._writing = some
        if not gone and not some:
            return True
        try:
            if gone:
                await self._recorder.remove(list(gone.values()))
            newer = await self._recorder.write([Found(one.state, one.changes) for one in some.values()])
        except StoreUnavailable as e:
            self._gone = gone | self._gone
            self._keep(some)
            if not self._store_away:
                log.warning("states cannot be stored now", states=len(self._unstored), reason=reason_of(e))
            self._store_away = True
            return False
        finally:
            self._writing = {}
        if self._store_away:
            log.info("states are stored again", states=len(some))
        self._store_away = False
        self._fenced.inc(len(newer))
        await self._tell([one for target, one in some.items() if target not in newer], gone.values())
        return True

    def _ready(self, *, all_: bool) -> dict[str, _Unstored]:
        late = self._clock.monotonic() - PATIENCE_S
        ready = {target: one for target, one in self._unstored.items() if all_ or one.published or one.since <= late}
        for target in ready:
            del self._unstored[target]
        return ready

    def _keep(self, some: dict[str, _Unstored]) -> None:
        """For the next time, unless there is something newer meanwhile."""
        for target, one in some.items():
            newer = self._unstored.get(target)
            if newer is not None:
                newer.changes = [*one.changes, *newer.changes][-MAX_CHANGES:]
            elif target not in self._gone:
                self._unstored[target] = one

    async def _tell(self, stored: Iterable[_Unstored], gone: Iterable[Gone]) -> None:
        """Whoever watches. Nothing waits for Redis."""
        now_ms = self._clock.now_ms()
        told: dict[TenantId, LiveHealth] = {}
        for one in gone:
            told.setdefault(one.tenant, LiveHealth(now_ms, [], [])).removed.append(one.target)
        for one in stored:
            live = told.setdefault(TenantId(one.state.tenant), LiveHealth(now_ms, [], []))
            live.states.append(LiveState(one.state, _before(one)))
        for tenant, live in told.items():
            for start in range(0, max(1, len(live.states)), _ANNOUNCED_TOGETHER):
                some = live.states[start : start + _ANNOUNCED_TOGETHER]
                part = LiveHealth(now_ms, some, live.removed if start == 0 else [])
                try:
                    await self._breaker.call(lambda tenant=tenant, part=part: self._feed.announce(tenant, part))
                except RedisAway:
                    self._unannounced.inc(len(some))

    async def _pause(self, seconds: float) -> None:
        """So long, or until the stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def _before(one: _Unstored) -> str:
    """What it was when it was last stored, if it has changed."""
    if not one.changes or one.changes[0].from_ is one.state.state:
        return ""
    return one.changes[0].from_.value
