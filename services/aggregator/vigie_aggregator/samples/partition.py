"""The state of one owned partition: what is committed, what is pending, and where its series live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from opentelemetry.trace import SpanContext
from vigie_contracts.latest import unpack
from vigie_contracts.tiers import FINE, TIERS, Tier
from vigie_runtime.clients import KafkaRecord
from vigie_storage.latest import LatestChunk
from vigie_storage.partitions.checkpoint import COARSE, Checkpoint, Position
from vigie_windows import Cells

from vigie_aggregator.samples.columns import TierSlice
from vigie_aggregator.samples.keys import RequestKeys
from vigie_aggregator.samples.latest import LatestValues
from vigie_aggregator.samples.pending import Lagging, Pending, oldest_of
from vigie_aggregator.samples.schedule import Schedule
from vigie_aggregator.samples.series_index import SeriesIndex
from vigie_aggregator.samples.sizes import DocumentSizes
from vigie_aggregator.samples.window_cache import Int64s, WindowCache, widened

MAX_LINKS = 128
"""Spans of records that the span of a commit links to."""
_RECORD_BYTES: Final = 1024
"""What the client makes of a record, besides its value: objects for it, its key and its headers."""


class Partition:
    """The state of a partition from its assignment to its revocation or first failure, when it is dropped."""

    def __init__(self, number: int, stored: Checkpoint | None, start: Checkpoint, schedule: Schedule) -> None:
        """stored: what the store says. start: the same, unless counting starts anew (no document, another log)."""
        self.number = number
        self.stored = stored
        self.checkpoint = start
        self.position = start.first
        """The place in the log up to which everything is committed or pending."""
        self.inbox: list[KafkaRecord] = []
        """Read, not looked at yet: many small records are folded at the price of one large one."""
        self.inbox_bytes = 0
        self.sent_ms = 0
        """When the newest record that was read was sent."""
        self.schedule = schedule
        self.series = SeriesIndex()
        self.latest = LatestValues()
        self.keys = RequestKeys(start.epoch)
        self.fresh = Pending(FINE.width_ms)
        """Samples that no tier has."""
        self.lagging = {tier: Lagging(tier, start.dirty_since[tier.name]) for tier in COARSE}
        self.window_caches = {tier: WindowCache(tier.width_ms) for tier in TIERS}
        self.sizes = DocumentSizes()
        self.links: list[SpanContext] = []
        self.flush_to = Position(0)
        """No tier may be left before this place: what it would read again is poison, and it might judge otherwise."""

    def restore_latest(self, chunks: list[LatestChunk]) -> None:
        """Take over the latest values; every stored chunk gets its local number."""
        for tenant, chunk, data in chunks:
            self.latest.restore(self.series.chunk(tenant, chunk), unpack(data))

    def latest_chunks(self, locals_: Sequence[int]) -> list[LatestChunk]:
        """The latest values of these local chunks, packed."""
        packed = self.latest.packed(locals_)
        return [LatestChunk(*self.series.chunks[local], data) for local, data in packed.items()]

    def receive(self, records: Sequence[KafkaRecord]) -> None:
        """Take records into the inbox."""
        self.inbox += records
        self.inbox_bytes += sum(_RECORD_BYTES + len(record.value or b"") for record in records)
        self.sent_ms = records[-1].timestamp

    def empty_inbox(self) -> list[KafkaRecord]:
        """What was in the inbox."""
        records, self.inbox, self.inbox_bytes = self.inbox, [], 0
        return records

    def add(self, part: TierSlice, cells: Cells) -> None:
        """Make the cells of a slice pending in every tier that needs them, and move on behind it."""
        if FINE in part.tiers:
            self.fresh.add(cells, len(part))
        else:
            for tier in part.tiers:
                self.lagging[tier].cells.add(cells)
        self.position = part.after

    def skip_to(self, position: Position) -> None:
        """Move on: what lies before `position` holds nothing to count."""
        self.position = max(self.position, position)

    @property
    def moved(self) -> bool:
        """Whether any tier has something to commit."""
        return bool(self.inbox) or any(at < self.position for at in self.checkpoint.positions.values())

    @property
    def pending_groups(self) -> int:
        """Documents that a commit of everything would write, about."""
        return len(self.fresh.groups) + sum(len(lagging.cells.groups) for lagging in self.lagging.values())

    def documents(self, groups: Int64s, *, pending: bool) -> dict[Tier, int]:
        """How many documents these fine chunk-windows come to in each tier; `pending`: with all that is pending."""
        fresh = np.union1d(self.fresh.groups, groups) if pending else groups
        counts = {FINE: len(fresh)}
        for tier, lagging in self.lagging.items():
            wide = widened(fresh, tier.width_ms // FINE.width_ms)
            counts[tier] = len(np.union1d(lagging.cells.groups, wide) if pending else wide)
        return counts

    @property
    def pending_bytes(self) -> int:
        """Memory of everything that is folded and pending."""
        return self.fresh.nbytes + sum(lagging.cells.nbytes for lagging in self.lagging.values())

    def tiers_due(self, now: float, now_ms: int) -> tuple[Tier, ...]:
        """The tiers that a commit made now should write."""
        flush = self.checkpoint.first < self.flush_to
        return tuple(
            tier
            for tier in TIERS
            if tier is FINE or flush or self.schedule.coarse_due(tier, self._oldest(tier), now, now_ms)
        )

    def _oldest(self, tier: Tier) -> int | None:
        return oldest_of(self.fresh.oldest, self.lagging[tier].cells.oldest)
