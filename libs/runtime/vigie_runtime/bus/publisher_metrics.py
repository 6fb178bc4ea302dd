"""What the publishers count. Add `PUBLISHER_METRICS` to the declarations of a service that publishes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vigie_runtime.metrics import LATENCY_S, SIZES, Counter, Histogram, Metric, MetricSet


class Outcome(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    UNKNOWN = "unknown"
    """Kafka did not acknowledge in time: written or not."""
    REFUSED = "refused"
    """The buffer was full."""


SAMPLES: Final = Counter(
    "vigie_publisher_samples_total", "samples", "Samples given to the publisher, by how it ended", {"outcome": Outcome}
)
FLUSH_SAMPLES: Final = Histogram("vigie_publisher_flush_samples", "samples", "Samples sent together", buckets=SIZES)
WAIT: Final = Histogram(
    "vigie_publisher_wait_seconds", "seconds", "From the first sample gathered until it was sent", buckets=LATENCY_S
)
DELIVERY: Final = Histogram(
    "vigie_publisher_delivery_seconds", "seconds", "From the first sample gathered to its end", buckets=LATENCY_S
)
RECREATED: Final = Counter(
    "vigie_publisher_replacements_total", "producers", "Kafka producers given up after a failure"
)
RECORDS: Final = Counter(
    "vigie_publisher_records_total", "records", "Single records given to be published, by how it ended",
    {"outcome": Outcome},
)  # fmt: skip

PUBLISHER_METRICS: Final[tuple[Metric, ...]] = (SAMPLES, FLUSH_SAMPLES, WAIT, DELIVERY, RECREATED, RECORDS)


class PublisherMetrics:
    """The metrics with their labels bound, for a path where looking them up would cost."""

    def __init__(self, metrics: MetricSet | None) -> None:
        metrics = metrics or MetricSet(PUBLISHER_METRICS)
        self._acknowledged = metrics.counter(SAMPLES, outcome=Outcome.ACKNOWLEDGED)
        self._unknown = metrics.counter(SAMPLES, outcome=Outcome.UNKNOWN)
        self.refused = metrics.counter(SAMPLES, outcome=Outcome.REFUSED)
        self._samples = metrics.histogram(FLUSH_SAMPLES)
        self._wait = metrics.histogram(WAIT)
        self._delivery = metrics.histogram(DELIVERY)
        self.recreated = metrics.counter(RECREATED)

    def flushed(self, samples: int, waited_s: float) -> None:
        self._samples.observe(samples)
        self._wait.observe(waited_s)

    def finished(self, acknowledged: int, unknown: int, took_s: float) -> None:
        if acknowledged:
            self._acknowledged.inc(acknowledged)
        if unknown:
            self._unknown.inc(unknown)
        self._delivery.observe(took_s)


class RecordMetrics:
    """Those of single records."""

    def __init__(self, metrics: MetricSet | None) -> None:
        metrics = metrics or MetricSet(PUBLISHER_METRICS)
        self.acknowledged = metrics.counter(RECORDS, outcome=Outcome.ACKNOWLEDGED)
        self.unknown = metrics.counter(RECORDS, outcome=Outcome.UNKNOWN)
        self.refused = metrics.counter(RECORDS, outcome=Outcome.REFUSED)
        self.recreated = metrics.counter(RECREATED)
