"""Metrics of the engine."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from typing import Final

from vigie_contracts.alerts import Reason, Transition
from vigie_runtime.bus.log_reader_metrics import LOGREADER_METRICS
from vigie_runtime.metrics import Counter, Gauge, Histogram, MetricSet

from vigie_alerting.recording.metrics import RECORDING_METRICS

SAMPLES: Final = Counter("vigie_alerting_samples_total", "samples", "Samples of series that rules select")
LATE: Final = Counter(
    "vigie_alerting_late_windows_total", "windows", "Windows of single series that were too old for what rules look at"
)
EARLY: Final = Counter(
    "vigie_alerting_early_samples_total", "samples", "Samples of a time that is far ahead, held until it comes"
)
EARLY_DROPPED: Final = Counter(
    "vigie_alerting_dropped_early_samples_total", "samples", "Of those, samples for which there was no room"
)
EVALUATIONS: Final = Counter("vigie_alerting_evaluations_total", "rules", "Evaluations of rules, quiet ones included")
FAILED: Final = Counter("vigie_alerting_failed_evaluations_total", "rules", "Evaluations of rules that failed")
TRANSITIONS: Final = Counter(
    "vigie_alerting_transitions_total", "transitions", "Transitions of alerts that were stored", {"reason": Reason}
)
MOVED: Final = Counter(
    "vigie_alerting_moved_alerts_total", "rules", "Evaluations that were made again: somebody else moved an alert"
)
ROUND: Final = Histogram("vigie_alerting_round_seconds", "seconds", "Time it took to evaluate what was due")
RULES: Final = Gauge("vigie_alerting_rules", "rules", "Rules that this process evaluates")
SERIES: Final = Gauge("vigie_alerting_series", "series", "Series that rules select")
BEHIND: Final = Gauge("vigie_alerting_behind_seconds", "seconds", "Age of the samples that were read last")
MISSED: Final = Counter(
    "vigie_alerting_missed_records_total",
    "records",
    "Records of the samples log that new rules miss: not counted by the aggregator yet, and not to be read again",
)
ENGINE_METRICS: Final = (
    SAMPLES, LATE, EARLY, EARLY_DROPPED, EVALUATIONS, FAILED, TRANSITIONS, MOVED, ROUND, RULES, SERIES, BEHIND, MISSED,
    *LOGREADER_METRICS, *RECORDING_METRICS,
)  # fmt: skip


class EngineMetrics:
    """`metrics` declares ENGINE_METRICS."""

    def __init__(self, metrics: MetricSet) -> None:
        self.set = metrics
        self.samples = metrics.counter(SAMPLES)
        self.late = metrics.counter(LATE)
        self.early = metrics.counter(EARLY)
        self.early_dropped = metrics.counter(EARLY_DROPPED)
        self.evaluations = metrics.counter(EVALUATIONS)
        self.failed = metrics.counter(FAILED)
        self.moved = metrics.counter(MOVED)
        self.round = metrics.histogram(ROUND)
        self.rules = metrics.gauge(RULES)
        self.series = metrics.gauge(SERIES)
        self.behind = metrics.gauge(BEHIND)
        self.missed = metrics.counter(MISSED)


def count_transitions(metrics: MetricSet, transitions: Iterable[Transition]) -> None:
    """They were stored: by why they happened."""
    for reason, count in Tally(Reason(one.reason) for one in transitions).items():
        metrics.counter(TRANSITIONS, reason=reason).inc(count)
