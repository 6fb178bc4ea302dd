"""What an event consumer counts, under names made of service and topic: `vigie_aggregator_report_lag_records`."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client import CollectorRegistry
from vigie_contracts.topics import Topic

from vigie_runtime.errors import DeadReason
from vigie_runtime.metrics import Counter, Gauge, Histogram, MetricSet


def dead_records(service: str) -> Counter:
    """The records that a service set aside, whichever of its consumers did: one metric for all."""
    name = f"vigie_{service}_dead_records_total"
    return Counter(name, "records", "Records sent to the dead letters", {"reason": DeadReason})


class EventMetricNames(NamedTuple):
    """The metrics of one consumer, declared."""

    records: Counter
    lag: Gauge
    stores: Histogram
    failures: Counter


def names(service: str, topic: Topic) -> EventMetricNames:
    """The metrics of the consumer of a topic in a service."""
    many, one = topic.word, topic.word.removesuffix("s")
    prefix = f"vigie_{service}_{one}"
    return EventMetricNames(
        Counter(f"{prefix}_records_total", "records", f"Records of {many} read and acknowledged, dead ones too"),
        Gauge(f"{prefix}_lag_records", "records", f"Records of {many} in the log that are not stored yet"),
        Histogram(f"{prefix}_commit_seconds", "seconds", f"Time it took to store a batch of {many}"),
        Counter(f"{prefix}_failures_total", "attempts", f"Failed attempts to store a batch of {many}; tried again"),
    )


class EventMetrics:
    """The metrics of one consumer, ready to be counted on."""

    def __init__(self, service: str, topic: Topic, registry: CollectorRegistry | None = None) -> None:
        declared = names(service, topic)
        made = MetricSet(declared, registry=registry)
        self.records = made.counter(declared.records)
        self.lag = made.gauge(declared.lag)
        self.stores = made.histogram(declared.stores)
        self.failures = made.counter(declared.failures)
