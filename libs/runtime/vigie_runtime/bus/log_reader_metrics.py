"""What the log reader counts. Add `LOGREADER_METRICS` to the declarations of a service that reads a log."""

from __future__ import annotations

from typing import Final

from vigie_runtime.bus.ownership import LoadReason
from vigie_runtime.metrics import LATENCY_S, SIZES, Counter, Gauge, Histogram, Metric, MetricSet

RECORDS: Final = Counter("vigie_logreader_records_total", "records", "Records handed to the handler")
BATCH: Final = Histogram("vigie_logreader_batch_records", "records", "Records handed over at once", buckets=SIZES)
HANDLING: Final = Histogram("vigie_logreader_handling_seconds", "seconds", "One call of the handler", buckets=LATENCY_S)
LIVE: Final = Gauge("vigie_logreader_partitions", "partitions", "Partitions that are loaded and read")
WANTED: Final = Gauge(
    "vigie_logreader_topic_partitions", "partitions", "Partitions that this reader and its group have to read"
)
LAG: Final = Gauge("vigie_logreader_lag_records", "records", "Records of the live partitions not handed over yet")
LOADS: Final = Counter("vigie_logreader_loads_total", "loads", "Partitions loaded, by why", {"reason": LoadReason})
LOST: Final = Counter(
    "vigie_logreader_lost_records_total", "records", "Records that retention deleted before they were read"
)
CUT: Final = Counter(
    "vigie_logreader_cut_total",
    "logs",
    "Times a log ended before what had been read of it (an unclean leader election, a disk that lost writes)",
)
UNREADABLE: Final = Counter(
    "vigie_logreader_unreadable_total", "records", "Records that the Kafka client could not decode, passed over"
)
COMMIT_FAILURES: Final = Counter(
    "vigie_logreader_commit_failures_total",
    "commits",
    "Offsets that could not be told to Kafka (they are for dashboards only)",
)
RESTARTS: Final = Counter("vigie_logreader_restarts_total", "consumers", "Kafka consumers given up after an error")

LOGREADER_METRICS: Final[tuple[Metric, ...]] = (
    RECORDS, BATCH, HANDLING, LIVE, WANTED, LAG, LOADS, LOST, CUT, UNREADABLE, COMMIT_FAILURES, RESTARTS,
)  # fmt: skip


class LogReaderMetrics:
    """The metrics with their labels bound."""

    def __init__(self, metrics: MetricSet | None) -> None:
        metrics = metrics or MetricSet(LOGREADER_METRICS)
        self.records = metrics.counter(RECORDS)
        self.batch = metrics.histogram(BATCH)
        self.handling = metrics.histogram(HANDLING)
        self.live = metrics.gauge(LIVE)
        self.wanted = metrics.gauge(WANTED)
        self.lag = metrics.gauge(LAG)
        self.loads = {reason: metrics.counter(LOADS, reason=reason) for reason in LoadReason}
        self.lost = metrics.counter(LOST)
        self.cut = metrics.counter(CUT)
        self.unreadable = metrics.counter(UNREADABLE)
        self.commit_failures = metrics.counter(COMMIT_FAILURES)
        self.restarts = metrics.counter(RESTARTS)
