"""Every metric of the aggregator beside those of its event consumers (`vigie_runtime.bus.event_metrics`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vigie_runtime.bus.event_metrics import dead_records
from vigie_runtime.bus.log_reader_metrics import LOGREADER_METRICS
from vigie_runtime.errors import DeadReason
from vigie_runtime.metrics import SIZES, Counter, Gauge, Histogram, MetricSet
from vigie_runtime.redis_breaker import REDIS_AWAY


class TierName(StrEnum):
    """The tiers of `vigie_contracts.tiers`, by their names."""

    FINE = "10s"
    MINUTE = "1m"
    HOUR = "1h"


SERVICE: Final = "aggregator"

SAMPLES = Counter("vigie_aggregator_samples_total", "samples", "Samples read and counted, replayed ones again")
RECORDS = Counter("vigie_aggregator_records_total", "records", "Records read, replayed ones again")
DUPLICATES = Counter("vigie_aggregator_duplicate_samples_total", "samples", "Samples of repeated requests, not counted")
DEAD = dead_records(SERVICE)
DIGESTS = Histogram("vigie_aggregator_digest_seconds", "seconds", "Time it took to fold the records that had gathered")
COMMITS = Histogram("vigie_aggregator_commit_seconds", "seconds", "Time a commit took, store and arithmetic")
DOCUMENTS = Counter("vigie_aggregator_documents_total", "documents", "Chunk-windows written")
CELLS = Counter("vigie_aggregator_cells_total", "windows", "Windows of single series written")
COMMIT_DOCUMENTS = Histogram(
    "vigie_aggregator_commit_documents", "documents", "Chunk-windows in one transaction", buckets=SIZES
)
FAILURES = Counter("vigie_aggregator_commit_failures_total", "commits", "Commits that failed and were started over")
FENCED = Counter("vigie_aggregator_fenced_total", "commits", "Commits refused: another owner had moved the partition")
EXPIRED = Counter(
    "vigie_aggregator_expired_windows_total",
    "windows",
    "Windows not written to a tier because its retention was over when their samples came",
    {"tier": TierName},
)
UNREPAIRED = Counter(
    "vigie_aggregator_unrepaired_windows_total",
    "windows",
    "Windows of a partition and coarse tier that may lack samples: the log was lost, and the fine windows had expired",
)
SERIES = Gauge("vigie_aggregator_series", "series", "Series met in the owned partitions")
PENDING = Gauge(
    "vigie_aggregator_pending_bytes", "bytes", "Memory of records and windows that are not committed everywhere yet"
)
VIEW_FAILURES = Counter("vigie_aggregator_redis_failures_total", "pushes", "Pushes to Redis that failed; tried again")
LIVE_DROPPED = Counter("vigie_aggregator_live_dropped_total", "messages", "Live messages that Redis did not get")

REPORTS = Counter("vigie_aggregator_reports_total", "reports", "Reports stored")
REPEATED = Counter(
    "vigie_aggregator_repeated_reports_total", "reports", "Reports that were stored already, not counted"
)
CHECKS = Counter("vigie_aggregator_checks_total", "checks", "Checks of targets stored")
REPEATED_CHECKS = Counter(
    "vigie_aggregator_repeated_checks_total", "checks", "Checks of targets that were stored already"
)
ALL = (
    SAMPLES, RECORDS, DUPLICATES, DEAD, DIGESTS, COMMITS, DOCUMENTS, CELLS, COMMIT_DOCUMENTS, FAILURES, FENCED, EXPIRED,
    UNREPAIRED, SERIES, PENDING, VIEW_FAILURES, LIVE_DROPPED, REPORTS, REPEATED, CHECKS,
    REPEATED_CHECKS,
)  # fmt: skip


class Metrics:
    """The metrics of one process, ready to be counted on."""

    def __init__(self, metrics: MetricSet | None = None) -> None:
        made = metrics or MetricSet([*ALL, *LOGREADER_METRICS, REDIS_AWAY])
        self.set = made
        self.registry = made.registry
        self.samples = made.counter(SAMPLES)
        self.records = made.counter(RECORDS)
        self.duplicates = made.counter(DUPLICATES)
        self.dead = {reason: made.counter(DEAD, reason=reason) for reason in DeadReason}
        self.digests = made.histogram(DIGESTS)
        self.commits = made.histogram(COMMITS)
        self.documents = made.counter(DOCUMENTS)
        self.cells = made.counter(CELLS)
        self.commit_documents = made.histogram(COMMIT_DOCUMENTS)
        self.failures = made.counter(FAILURES)
        self.fenced = made.counter(FENCED)
        self.expired = {tier.value: made.counter(EXPIRED, tier=tier) for tier in TierName}
        self.unrepaired = made.counter(UNREPAIRED)
        self.series = made.gauge(SERIES)
        self.pending = made.gauge(PENDING)
        self.view_failures = made.counter(VIEW_FAILURES)
        self.live_dropped = made.counter(LIVE_DROPPED)
        self.reports = made.counter(REPORTS)
        self.repeated = made.counter(REPEATED)
        self.checks = made.counter(CHECKS)
        self.repeated_checks = made.counter(REPEATED_CHECKS)
