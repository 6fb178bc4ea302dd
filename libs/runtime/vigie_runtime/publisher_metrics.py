"""What the sample publisher counts. Add `PUBLISHER_METRICS` to the declarations of a service that publishes samples."""

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

PUBLISHER_METRICS: Final[tuple[Metric, ...]] = (SAMPLES, FLUSH_SAMPLES, WAIT, DELIVERY, RECREATED)


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
