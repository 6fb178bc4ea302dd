"""The handler of the samples log: records in, commits out. One per process, for all partitions it owns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from opentelemetry.trace import Link
from vigie_contracts.tiers import FINE, TIERS, Tier
from vigie_runtime import logging, tracing
from vigie_runtime.bus.dead_letters import DeadLetters
from vigie_runtime.clients import KafkaRecord
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Fenced, Retryable, reason_of
from vigie_storage.latest import LatestChunk
from vigie_storage.partitions.checkpoint import Checkpoint, Log, Position, beginning, started_over, with_all_tiers
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_windows import Cells, fold

from vigie_aggregator.metrics import Metrics
from vigie_aggregator.samples.columns import Floats, TierSlice, tier_slices
from vigie_aggregator.samples.commit import INLINE_CELLS, Committed, commit
from vigie_aggregator.samples.keys import RequestKeys
from vigie_aggregator.samples.live import messages
from vigie_aggregator.samples.partition import Partition
from vigie_aggregator.samples.reading import RecordReader
from vigie_aggregator.samples.repair import repair
from vigie_aggregator.samples.schedule import LATE_MS, Intervals, Schedule
from vigie_aggregator.samples.store import Store
from vigie_aggregator.samples.view import RedisView
from vigie_aggregator.samples.window_cache import Int64s, groups_of

log = logging.get(__name__)

INBOX_BYTES: Final = 4 << 20
"""About 200,000 samples: a fold of many costs less per sample, and each of their windows is made once."""
MAX_GROUPS: Final = 2_000
"""Chunk-windows that one fold may touch, and that may be pending..."""
COMMIT_BYTES: Final = 32 << 20
"""... and about how large their documents may be together."""
_COMMITS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of memory and times of commits."""

    intervals: Intervals = field(default_factory=Intervals)
    pending_bytes: int = 64 << 20
    """Of one partition."""
    cache_bytes: int = 128 << 20
    """Of all partitions together."""
    inbox_bytes: int = INBOX_BYTES
    """Records that wait for their fold, of one partition."""
    max_groups: int = MAX_GROUPS
    commit_bytes: int = COMMIT_BYTES


class SamplesHandler:
    """Called by the log reader, one call at a time. Any failure drops the partition's state, to be loaded again."""

    def __init__(
        self,
        log_: Log,
        *,
        store: Store,
        catalogue: SeriesCatalogue,
        dead_letters: DeadLetters,
        clock: Clock,
        metrics: Metrics,
        view: RedisView,
        limits: Limits,
        lag: Callable[[], Mapping[int, int]] = dict,
    ) -> None:
        """lag: of each partition that is read, how many records wait in the log."""
        self._log = log_
        self._lag = lag
        self._store = store
        self._reader = RecordReader(catalogue, store, dead_letters, clock, metrics)
        self._clock = clock
        self._metrics = metrics
        self._view = view
        self._limits = limits
        self._owned: dict[int, Partition] = {}
        self._dropped: set[int] = set()
        self._tracer = tracing.tracer(__name__)

    async def assigned(self, partition: int) -> int | None:
        """Load the partition; the offset of the first record that some tier lacks. None: begin where the log begins."""
        stored = await self._store.checkpoint(partition)
        same_log = stored is not None and stored.log == self._log
        start = self._start(partition, stored)
        schedule = Schedule(self._limits.intervals, partition, self._clock.monotonic())
        state = Partition(partition, stored, start, schedule)
        state.restore_latest(await self._store.latest(partition))
        if stored is not None and not same_log:
            self._metrics.unrepaired.inc(await repair(state, self._store, self._clock.now_ms()))
        self._owned[partition] = state
        self._dropped.discard(partition)
        self._view.adopt(partition)
        return state.position.offset if same_log else None

    async def records(self, partition: int, records: Sequence[KafkaRecord]) -> None:
        """Keep the records until they are many, or a commit is due."""
        if not records:
            return
        with self._dropping(partition) as state:
            state.receive(records)
            state.schedule.received(self._clock.monotonic())
            if state.inbox_bytes >= self._limits.inbox_bytes:
                await self._digest(state)

    async def tick(self) -> None:
        """Commit the partitions whose time has come."""
        if self._dropped:
            # Said once per drop: whoever says it at every tick puts the loading off for ever.
            raise Fenced(self._dropped.pop())
        now, now_ms, lag = self._clock.monotonic(), self._clock.now_ms(), self._lag()
        due = [
            state
            for state in self._owned.values()
            if state.moved
            and state.schedule.fine_due(now, backlog=lag.get(state.number, 0) > 0 and state.sent_ms < now_ms - LATE_MS)
        ]
        await self._commit_all(due, lambda state: state.tiers_due(now, now_ms))
        self._metrics.pending.set(sum(state.pending_bytes + state.inbox_bytes for state in self._owned.values()))
        self._metrics.series.set(sum(len(state.series) for state in self._owned.values()))

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Commit everything of these partitions and let go of them."""
        leaving = [state for number in partitions if (state := self._owned.get(number)) is not None]
        try:
            await self._commit_all(leaving, lambda _: TIERS)
        except (Retryable, Fenced) as e:
            log.warning("a partition was left without a last commit; its next owner reads on", error=reason_of(e))
        finally:  # also when the time for it is over: they are no longer ours
            for number in partitions:
                self._forget(number)
                self._dropped.discard(number)

    async def lost_log(self, partition: int, stored: int, start: int) -> None:
        """Go on at `start`: where a log now begins that dropped records unread, or ends that was cut."""
        state = self._state(partition)
        if start < stored:  # a new epoch: offsets will come again, for other records
            state.checkpoint = started_over(state.checkpoint, self._log, start)
            state.keys = RequestKeys(state.checkpoint.epoch)
        else:
            lost = max(0, start - state.checkpoint.fine.offset)
            first = max(state.checkpoint.fine, Position(start))
            positions = dict.fromkeys(state.checkpoint.positions, first)
            state.checkpoint = replace(state.checkpoint, positions=positions, lost=state.checkpoint.lost + lost)
        state.position = state.checkpoint.first
        with self._dropping(partition):
            self._metrics.unrepaired.inc(await repair(state, self._store, self._clock.now_ms()))

    def committed(self, partition: int) -> int | None:
        """The offset up to which the fine tier is stored: what lag is measured by."""
        state = self._owned.get(partition)
        return None if state is None or state.stored is None else state.stored.fine.offset

    def snapshot(self, partition: int) -> list[LatestChunk]:
        """The latest values of all chunks of an owned partition, for the view."""
        state = self._owned.get(partition)
        return [] if state is None else state.latest_chunks(range(len(state.series.chunks)))

    def _start(self, partition: int, stored: Checkpoint | None) -> Checkpoint:
        if stored is None:
            return beginning(self._log)
        whole = with_all_tiers(stored, self._clock.now_ms())
        if stored.log == self._log:
            return whole
        log.warning(
            "the partition was counted from another log; the new one is counted from its earliest record",
            partition=partition,
            stored_cluster=stored.log.cluster_id,
            stored_topic=stored.log.topic_id,
            cluster=self._log.cluster_id,
            topic=self._log.topic_id,
        )
        return started_over(whole, self._log)

    async def _digested(self, state: Partition) -> bool:
        """Whether the inbox could be emptied. What is in the way, a record that cannot become a dead letter for one,
        concerns no other partition: this one is dropped, and the next tick says so."""
        try:
            with self._dropping(state.number):
                await self._digest(state)
        except (Fenced, Retryable) as e:
            log.warning("the records of a partition cannot be counted now", partition=state.number, reason=reason_of(e))
            return False
        await asyncio.sleep(0)  # a full inbox takes some ten milliseconds, in which nobody else was heard
        return True

    async def _digest(self, state: Partition) -> None:
        """Make the samples of the inbox pending; commits only when too much is."""
        records = state.empty_inbox()
        if not records:
            return
        started = self._clock.monotonic()
        samples = await self._reader.samples(state, [r for r in records if Position(r.offset + 1) > state.position])
        for part in tier_slices(samples, state.position, state.checkpoint):
            await self._absorb(state, part)
        state.skip_to(Position(records[-1].offset + 1))
        self._metrics.digests.observe(self._clock.monotonic() - started)

    async def _absorb(self, state: Partition, part: TierSlice) -> None:
        columns = part.columns()
        samples = len(columns[0])
        cells = await _folded(*columns, state.series.kinds)
        groups = groups_of(cells)
        if len(part) > 1 and self._too_much(state, groups, pending=False):
            for half in part.halves():
                await self._absorb(state, half)
            return
        if state.pending_groups and self._too_much(state, groups, pending=True):
            await self._commit(state, TIERS)
        state.add(part, cells)
        self._metrics.samples.inc(samples)
        if state.pending_bytes > self._limits.pending_bytes:
            await self._commit(state, TIERS)

    def _too_much(self, state: Partition, groups: Int64s, *, pending: bool) -> bool:
        """Whether these chunk-windows, `pending`: with what is pending, are more than one transaction should write."""
        count = len(groups) + (state.pending_groups if pending else 0)
        if count <= 4 * len(state.series.chunks):  # a window of every chunk in every tier: what a busy partition writes
            return False
        if count > self._limits.max_groups:
            return True
        return state.sizes.total(state.documents(groups, pending=pending)) > self._limits.commit_bytes

    async def _commit_all(self, states: Sequence[Partition], tiers_of: Callable[[Partition], tuple[Tier, ...]]) -> None:
        """Commit several partitions, a few at a time. All are tried; the first failure is raised afterwards."""
        at_once = asyncio.Semaphore(_COMMITS_AT_ONCE)

        async def one(state: Partition) -> None:
            async with at_once:
                if not await self._digested(state):
                    return
                with self._dropping(state.number):
                    if state.moved:
                        await self._commit(state, tiers_of(state))

        outcomes = await asyncio.gather(*(one(state) for state in states), return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        # A bug must not hide behind what is merely away for now.
        failures.sort(key=lambda failure: isinstance(failure, Retryable | Fenced))
        if failures:
            raise failures[0]

    async def _commit(self, state: Partition, tiers: tuple[Tier, ...]) -> None:
        started = self._clock.monotonic()
        links, state.links = [Link(context) for context in state.links], []
        with self._tracer.start_as_current_span("aggregator commit", links=links) as span:
            done = await self._committed(state, tiers)
            span.set_attribute("vigie.partition", state.number)
            span.set_attribute("vigie.next_offset", state.checkpoint.fine.offset)
            span.set_attribute("vigie.documents", done.documents)
        now = self._clock.monotonic()
        state.schedule.committed(tiers, started, now)
        self._metrics.commits.observe(now - started)
        self._metrics.documents.inc(done.documents)
        self._metrics.cells.inc(done.cells)
        self._metrics.commit_documents.observe(done.documents)
        for tier, cells in done.expired.items():
            self._metrics.expired[tier.name].inc(cells)
        if len(done.rows):
            self._view.push(state.number, done.latest, messages(state.number, done.rows, state.series, state.latest))

    async def _committed(self, state: Partition, tiers: tuple[Tier, ...]) -> Committed:
        cache_bytes = self._limits.cache_bytes // max(1, len(self._owned))
        try:
            return await commit(state, tiers, self._store, self._clock.now_ms(), cache_bytes)
        except Fenced:
            self._metrics.fenced.inc()
            raise
        except Retryable:
            self._metrics.failures.inc()
            raise

    def _state(self, partition: int) -> Partition:
        state = self._owned.get(partition)
        if state is None:
            raise Fenced(partition)
        return state

    @contextmanager
    def _dropping(self, partition: int) -> Generator[Partition]:
        """The state of the partition; when the block fails in any way, it is dropped and will be loaded again."""
        state = self._state(partition)
        finished = False
        try:
            yield state
            finished = True
        finally:
            if not finished:
                self._forget(partition)
                self._dropped.add(partition)

    def _forget(self, partition: int) -> None:
        self._owned.pop(partition, None)
        self._view.forget(partition)


async def _folded(rows: Int64s, timestamps: Int64s, values: Floats, kinds: Any) -> Cells:
    if len(rows) <= 10 * INLINE_CELLS:
        return fold(rows, timestamps, values, kinds, FINE.width_ms)
    return await asyncio.to_thread(fold, rows, timestamps, values, kinds, FINE.width_ms)
