"""Every metric of the aggregator, and every reason that is a label value."""

from __future__ import annotations

from enum import StrEnum

from vigie_runtime.bus.log_reader_metrics import LOGREADER_METRICS
from vigie_runtime.metrics import SIZES, Counter, Gauge, Histogram, MetricSet
from vigie_runtime.redis_breaker import REDIS_AWAY


class TierName(StrEnum):
    """The tiers of `vigie_contracts.tiers`, by their names."""

    FINE = "10s"
    MINUTE = "1m"
    HOUR = "1h"


class DeadReason(StrEnum):
    """Why a record went to the dead letters; the reason in its headers begins with this word."""

    UNDECODABLE = "undecodable"
    UNKNOWN_SERIES = "unknown_series"
    INVALID = "invalid"


SAMPLES = Counter("vigie_aggregator_samples_total", "samples", "Samples read and counted, replayed ones again")
RECORDS = Counter("vigie_aggregator_records_total", "records", "Records read, replayed ones again")
DUPLICATES = Counter("vigie_aggregator_duplicate_samples_total", "samples", "Samples of repeated requests, not counted")
DEAD = Counter(
    "vigie_aggregator_dead_records_total", "records", "Records sent to the dead letters", {"reason": DeadReason}
)
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
REPORT_COMMITS = Histogram(
    "vigie_aggregator_report_commit_seconds", "seconds", "Time it took to store a batch of reports"
)
REPORT_FAILURES = Counter(
    "vigie_aggregator_report_failures_total",
    "attempts",
    "Failed attempts to store a batch of reports; tried again",
)
REPORT_LAG = Gauge("vigie_aggregator_report_lag_records", "records", "Reports in the log that are not stored yet")

ALL = (
    SAMPLES, RECORDS, DUPLICATES, DEAD, DIGESTS, COMMITS, DOCUMENTS, CELLS, COMMIT_DOCUMENTS, FAILURES, FENCED, EXPIRED,
    UNREPAIRED, SERIES, PENDING, VIEW_FAILURES, LIVE_DROPPED, REPORTS, REPEATED, REPORT_COMMITS, REPORT_FAILURES,
    REPORT_LAG,
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
        self.report_commits = made.histogram(REPORT_COMMITS)
        self.report_failures = made.counter(REPORT_FAILURES)
        self.report_lag = made.gauge(REPORT_LAG)
