"""The consumer of the reports topic: stored in transactions of a bounded size, each report counted once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from vigie_contracts.topics import REPORTS
from vigie_runtime.bus import events

from vigie_aggregator.metrics import Metrics
from vigie_aggregator.reports.reading import Incoming, read
from vigie_aggregator.reports.storing import ReportStore
from vigie_aggregator.resources import Resources

MAX_SHARE_BYTES: Final = 8 << 20
"""Of the documents of one transaction, unless a single one is larger: MongoDB holds a transaction in its cache, and
refuses one that is large for it however often it is tried."""


def consumer(resources: Resources) -> events.Batches[Incoming]:
    """The declaration, for the registry."""
    settings = resources.settings
    retention = timedelta(days=settings.report_retention_days)
    store = ReportStore(
        resources.database, settings.reports_topic, resources.clock, zones=settings.zones, retention=retention
    )
    return stored_in(store, resources.metrics)


def stored_in(store: ReportStore, metrics: Metrics) -> events.Batches[Incoming]:
    """The declaration with this store."""

    async def stored(reports: Sequence[Incoming]) -> None:
        new = await store.store(reports)
        metrics.reports.inc(new)
        metrics.repeated.inc(len(reports) - new)

    return events.batches(REPORTS, read, stored, divide=shares, prepare=store.prepare, released=store.forget_partitions)


def shares(batch: Iterable[Incoming], max_bytes: int = MAX_SHARE_BYTES) -> Iterator[list[Incoming]]:
    """The batch in its order, divided into as many transactions as its bytes need."""
    share: list[Incoming] = []
    held = 0
    for report in batch:
        size = len(report.document.raw)
        if share and held + size > max_bytes:
            yield share
            share, held = [], 0
        share.append(report)
        held += size
    if share:
        yield share
